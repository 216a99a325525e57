"""`clawproof demo`: the same agents and the same careless tools in two acts, without and with the guard."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rich.console import Console

from clawproof_langgraph.cli.demo.acts import Act, Progress, run_act
from clawproof_langgraph.cli.demo.crew import WorkerFailed
from clawproof_langgraph.cli.demo.folder import ACTS, RunFolder
from clawproof_langgraph.cli.demo.report import Report, print_introduction, print_report
from clawproof_langgraph.cli.demo.store import Store
from clawproof_langgraph.cli.demo.tally import Tally, verdict
from clawproof_langgraph.cli.demo.workload import Workload, a_day
from clawproof_langgraph.errors import ConfigurationError

__all__ = ["Played", "run_demo"]


@dataclass(frozen=True, slots=True)
class Played:
    """How a run ended.

    Args:
        code: the exit code: 0 if the guarded act kept every invariant, else 1.
        folder: where its databases are.
        store: where the coordination of act two is.
        unguarded, guarded: what the acts did to the shop, None for one that broke off.
    """

    code: int
    folder: Path
    store: Store
    unguarded: Tally | None = None
    guarded: Tally | None = None


def run_demo(console: Console, folder: RunFolder, *, url: str | None = None) -> Played:
    """Play both acts and print what they did.

    Args:
        console: where to print.
        folder: where the databases are while the acts are played.
        url: the coordination store of the second act; an SQLite file in the folder by default.

    Raises:
        ConfigurationError: the store cannot be shared by several processes.
    """
    began = time.monotonic()
    shared, work = _shared_store(url), a_day()
    print_introduction(console, work)
    store = shared or _file_in(folder.path)
    try:
        unguarded = _play(console, "Act one, without the guard", folder.path / ACTS[0], work, None)
        guarded = _play(console, "Act two, with the guard", folder.path / ACTS[1], work, store)
    except WorkerFailed as failure:
        kept = folder.keep()
        console.print(f"{failure} The databases are in {kept}.", style="red", markup=False)
        return Played(1, kept, shared or _file_in(kept))
    events = tuple(store.events())
    kept = folder.keep()
    store = shared or _file_in(kept)
    print_report(console, Report(unguarded, guarded, events, store, kept, time.monotonic() - began))
    return Played(verdict(guarded.tally), kept, store, unguarded.tally, guarded.tally)


def _shared_store(url: str | None) -> Store | None:
    if url is None:
        return None
    if url.startswith("memory:"):
        raise ConfigurationError(
            f"The demo's agents work in several processes, which cannot share {url!r}: give the URL of a store that is "
            f"shared, such as sqlite:///demo.db, or none at all."
        )
    return Store(url, namespace=f"demo-{uuid.uuid4().hex[:8]}")


def _file_in(folder: Path) -> Store:
    return Store(f"sqlite:///{quote(str(folder / ACTS[1] / 'clawproof.db'))}")


def _play(console: Console, title: str, folder: Path, work: Workload, store: Store | None) -> Act:
    folder.mkdir()
    with _progress(console, title) as progress:
        return run_act(folder, work, store, progress)


@contextmanager
def _progress(console: Console, title: str) -> Iterator[Progress]:
    """Show a line that changes in a terminal, and one line per act elsewhere."""
    if not console.is_terminal:
        console.print(f"{title} ...", markup=False)
        yield lambda text: None
        return
    spinner = "line" if console.options.ascii_only else "dots"
    with console.status(title, spinner=spinner) as status:
        yield lambda text: status.update(f"{title}: {text}")
