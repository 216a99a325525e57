"""Opening the store that a command is about, without making one, and reading its log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import click

from clawproof_langgraph.backends.urls import default_file, project_url
from clawproof_langgraph.cli.settings import Settings
from clawproof_langgraph.config.store import StoreTerms
from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.events import Event

_PAGE: Final = 1000


@contextmanager
def opened(settings: Settings) -> Iterator[Coordinator]:
    """Open a store that exists already.

    A store that would be made now has nothing to show, and an agent that is killed in it goes on elsewhere.

    Raises:
        click.ClickException: there is none, or it lives in another process.
        click.UsageError: the URL is wrong.
    """
    terms = settings.store_terms()
    with wrong_url_is_usage():
        _check_presence(terms)
        coordinator = Coordinator.from_url(terms.url or project_url(terms.start), namespace=terms.namespace)
    with coordinator:
        yield coordinator


@contextmanager
def wrong_url_is_usage() -> Iterator[None]:
    """Let what is wrong with a URL end as an error of usage."""
    try:
        yield
    except ValueError as exc:  # a ConfigurationError is one, and so is what urlsplit raises
        raise click.UsageError(str(exc), click.get_current_context()) from exc


def read_log(
    coordinator: Coordinator, *, after: int = 0, types: Iterable[str] = (), since: float = 0.0, **about: str | None
) -> Iterator[Event]:
    """Read the log page by page.

    Args:
        coordinator: whose log.
        after: the cursor of the last event that is known already.
        types: only these; all if there are none.
        since: seconds since the epoch; nothing that is older.
        about: only events of this `resource`, `agent` or `thread`; None is no filter.
    """
    kinds, filters = tuple(types), {name: value for name, value in about.items() if value is not None}
    while page := coordinator.events(after=after, types=kinds, limit=_PAGE, **filters):
        yield from (event for event in page if event.time >= since)
        after = page[-1].cursor


def _check_presence(terms: StoreTerms) -> None:
    url = terms.url
    parts = urlsplit(url or "sqlite:")
    if parts.scheme == "memory":
        raise click.ClickException(
            f"The store {url} lives inside one process, and the command cannot look into it: use the methods of the "
            f"coordinator there, or give the agents a file, for example sqlite:///clawproof.db."
        )
    if parts.scheme == "sqlite" and not parts.netloc:
        path = Path(unquote(parts.path).removeprefix("/")) if url else default_file(terms.start)
        if not path.exists() or not path.stat().st_size:
            raise click.ClickException(
                f"There is no coordination store {path.absolute()} yet, and none was made: the first guarded call does "
                f"that. Name another one with --url or CLAWPROOF_URL."
            )
