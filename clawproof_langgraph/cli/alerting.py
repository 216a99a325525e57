"""`clawproof alerts`: tells the sinks of the configuration file, in the foreground."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from clawproof_langgraph.backends.urls import project_url
from clawproof_langgraph.cli.screen import Screen
from clawproof_langgraph.cli.settings import Settings, common_options
from clawproof_langgraph.cli.store import wrong_url_is_usage
from clawproof_langgraph.cli.wording import counted, listed
from clawproof_langgraph.config.document import located
from clawproof_langgraph.coordinator import Coordinator

if TYPE_CHECKING:
    from clawproof_langgraph.config.configuration import Configuration

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@click.command()
@common_options
@click.option("--once", is_flag=True, help="Deliver what there is to deliver, and end.")
def alerts(settings: Settings, once: bool) -> None:
    """Tell the sinks of [alerts] of what happens, until Ctrl-C.

    It does what a process with Guard.from_file does by itself, for agents that are not always there. Each event goes to
    each sink once for the namespace, however many processes stand by; after a crash, another one goes on.
    """
    from clawproof_langgraph.observe.alerts import Alerts, Undelivered
    from clawproof_langgraph.observe.sinks import sinks_of

    configuration = _configuration(settings)
    sys.path.append(str(configuration.folder))  # where functions are looked for that the project names
    sinks = sinks_of(configuration)
    if not sinks:
        raise click.ClickException(f'{configuration.file} names no sinks; write [alerts] sinks = ["log"].')
    _log_to_the_screen()
    with _opened(settings) as coordinator:
        teller = Alerts(coordinator, configuration.alerts.events, sinks, settings.namespace_name)
        if once:
            try:
                number = teller.drain()
            except Undelivered as exc:
                raise click.ClickException(f"{exc}") from exc
            _tell(settings, f"Delivered {counted(number, 'alert')}.", delivered=number)
            return
        ended = _end_on_signals()
        teller.start()
        kinds, titles = listed(configuration.alerts.events), [sink.title for sink in sinks]
        place = settings.place(coordinator.store)
        _tell(settings, f"Telling {listed(titles)} of {kinds} in {place}. Ctrl-C ends it.", sinks=titles)
        ended.wait()


def _configuration(settings: Settings) -> Configuration:
    from clawproof_langgraph.config.reading import load

    file = located(settings.config)
    if file is None:
        raise click.ClickException("There is no clawproof.toml from here up; it names the sinks under [alerts].")
    return load(file)


def _opened(settings: Settings) -> Coordinator:
    terms = settings.store_terms()
    if terms.url is not None and terms.url.startswith("memory:"):
        raise click.ClickException(f"The store {terms.url} lives inside one process, and no other can read its log.")
    with wrong_url_is_usage():
        return Coordinator.from_url(terms.url or project_url(terms.start), namespace=terms.namespace)


def _log_to_the_screen() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("clawproof_langgraph")
    logger.addHandler(handler)
    logger.propagate = False


def _end_on_signals() -> threading.Event:
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    for number in _SIGNALS:
        signal.signal(number, end)
    return ended


def _tell(settings: Settings, sentence: str, **facts: object) -> None:
    if settings.json:
        Screen().json_line(facts)
    else:
        Screen().line(sentence)
        sys.stdout.flush()
