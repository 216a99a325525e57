"""`clawproof demo`: the command around the demo, which needs LangGraph and is imported when it is asked for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from clawproof_langgraph.cli.screen import Screen
from clawproof_langgraph.cli.settings import Settings, common_options
from clawproof_langgraph.cli.store import wrong_url_is_usage
from clawproof_langgraph.coordinator import Coordinator

if TYPE_CHECKING:
    from clawproof_langgraph.cli.demo import Played
    from clawproof_langgraph.cli.demo.folder import RunFolder


@click.command()
@common_options
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to keep the databases; without acts of an earlier demo. Default: a folder clawproof-demo-UID among "
    "the temporary files, which the next demo replaces.",
)
def demo(settings: Settings, folder: Path | None) -> None:
    """See agents break a shop, and the guard keep it whole.

    The same agents do the same work twice, in many processes, one of which gets a kill -9: first without the guard,
    then with it. The exit code is 0 if the guarded act kept every invariant. Only a --url that is given here, and not
    CLAWPROOF_URL, is used; in it the demo takes a namespace of its own.
    """
    from clawproof_langgraph.cli.demo import run_demo

    if settings.namespace:
        raise click.UsageError("--namespace: the demo takes a namespace of its own.", click.get_current_context())
    with wrong_url_is_usage():
        _check(settings.url)
    with every_end_is_orderly(), _folder(folder) as kept:
        played = run_demo(Console(stderr=settings.json), kept, url=settings.url)
    if settings.json:
        Screen().json(_as_json(played))
    click.get_current_context().exit(played.code)


def _check(url: str | None) -> None:
    """Refuse a wrong URL before the first act, not in the middle of the second."""
    if url and not url.startswith("memory:"):  # which the demo itself refuses
        Coordinator.from_url(url).close()


def _folder(chosen: Path | None) -> RunFolder:
    from clawproof_langgraph.cli.demo.folder import RunFolder

    try:
        return RunFolder(chosen)
    except OSError as exc:
        raise click.BadParameter(f"{exc.strerror}: {exc.filename}", param_hint="--folder") from exc


@contextmanager
def every_end_is_orderly() -> Iterator[None]:
    """Let a time limit, or a terminal that is closed, end the demo as Ctrl-C does: it leaves nothing behind."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _as_json(played: Played) -> dict[str, Any]:
    acts = {"unguarded": played.unguarded, "guarded": played.guarded}
    return {
        "ok": played.code == 0,
        "folder": str(played.folder),
        "store": played.store.url,
        "namespace": played.store.namespace or "default",
        **{act: asdict(tally) if tally else None for act, tally in acts.items()},
    }
