"""`clawproof demo`: the same agents and the same careless tools in two acts, without and with the guard."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from clawproof_langgraph.cli.demo.acts import Act, Progress, run_act
from clawproof_langgraph.cli.demo.crew import WorkerFailed
from clawproof_langgraph.cli.demo.report import Report, print_introduction, print_report
from clawproof_langgraph.cli.demo.store import Store
from clawproof_langgraph.cli.demo.tally import verdict
from clawproof_langgraph.cli.demo.workload import Workload, a_day
from clawproof_langgraph.errors import ConfigurationError

__all__ = ["run_demo"]


def run_demo(console: Console, *, url: str | None = None, folder: Path | None = None) -> int:
    """Play both acts, print what they did, and give the exit code.

    Args:
        console: where to print.
        url: the coordination store of the second act; an SQLite file in the folder by default.
        folder: where the databases are kept; a new folder for temporary files by default.

    Returns:
        0 if the guarded act kept every invariant, else 1.

    Raises:
        ConfigurationError: the store cannot be shared by several processes.
    """
    began = time.monotonic()
    kept = _folder(folder)
    store, work = _store(url, kept), a_day()
    print_introduction(console, work)
    try:
        unguarded = _play(console, "Act one, without the guard", kept / "unguarded", work, None)
        guarded = _play(console, "Act two, with the guard", kept / "guarded", work, store)
    except WorkerFailed as failure:
        console.print(f"{failure} The databases are in {kept}.", style="red", markup=False)
        return 1
    events = tuple(store.events())
    print_report(console, Report(unguarded, guarded, events, store, kept, time.monotonic() - began))
    return verdict(guarded.tally)


def _folder(folder: Path | None) -> Path:
    return Path(tempfile.mkdtemp(prefix="clawproof-demo-")) if folder is None else folder.absolute()


def _store(url: str | None, folder: Path) -> Store:
    if url is None:
        return Store(f"sqlite:///{folder / 'guarded' / 'clawproof.db'}")
    if url.startswith("memory:"):
        raise ConfigurationError(
            f"The demo's agents work in several processes, which cannot share {url!r}: give the URL of a store that is "
            f"shared, such as redis://localhost, or none at all for an SQLite file."
        )
    return Store(url, namespace=f"demo-{uuid.uuid4().hex[:8]}")


def _play(console: Console, title: str, folder: Path, work: Workload, store: Store | None) -> Act:
    folder.mkdir(parents=True)
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
