"""The processes of a cell: one that comes to its end in the midst of a call, and the one that takes it up."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from clawproof_langgraph import Coordinator, OutcomeUnknown
from tests.crash.cells import Cell, End, Resumed
from tests.crash.fates import Fate, Killed
from tests.crash.observed import Told, is_honest, told_by
from tests.crash.shop import Shop
from tests.crash.struck import CutShort
from tests.crash.watched import WatchedStore

VICTIMS_TTL = 0.7
"""Seconds until the lease of a dead process is over."""
_TTL = 60.0
"""Seconds for a process that is not to lose its lease, however slow the machine is."""
LIFETIME = 60.0
"""Seconds after which a process that still runs is a failure."""
ERRORS = "errors"
"""The file in a cell's directory with what its processes wrote to stderr."""


def come_to_end(cell: Cell, directory: Path, report: Connection, lifetime: float) -> None:
    """Run the application until it is ended; report what its caller saw, if there is time for it."""
    with _process_of(directory, lifetime):
        fate = Killed(cell) if cell.end is End.KILL else CutShort(cell)
        ttl = VICTIMS_TTL if cell.end.is_death else _TTL
        with Coordinator(WatchedStore(directory / "locks.db", fate)) as coordinator:
            try:
                Shop(cell, directory, coordinator, fate, ttl).run(anew=True)
                saw = "nothing"
            except BaseException as error:  # noqa: BLE001 - it is what the cell is about
                saw = type(error).__name__
        came = isinstance(fate, CutShort) and fate.came_to_moment
        report.send(saw if came else f"{saw}, and the call never came to its moment")


def take_up(cell: Cell, directory: Path, report: Connection, lifetime: float) -> None:
    """Take the run up again; report what the caller was told, the doubts left, and how many questions were asked."""
    with _process_of(directory, lifetime), Coordinator(WatchedStore(directory / "locks.db", Fate())) as coordinator:
        shop = Shop(cell, directory, coordinator, Fate(), _TTL)
        told: Told | str
        try:
            messages = shop.run(anew=cell.resumed is Resumed.ASKS_AGAIN)
        except OutcomeUnknown as error:
            doubts = _doubts(coordinator)
            told = Told.RAISED if is_honest(str(error), doubts) else f"raised: {error}"
        else:
            doubts = _doubts(coordinator)
            told = told_by(messages, cell.kind.tool, doubts)
        report.send((told, doubts, shop.questions))


def _doubts(coordinator: Coordinator) -> list[str]:
    return [entry.key for entry in coordinator.snapshot().in_doubt]


@contextmanager
def _process_of(directory: Path, lifetime: float) -> Iterator[None]:
    """Let a process write its errors into a file of its cell, and also where it hangs."""
    with (directory / ERRORS).open("a") as file:
        os.dup2(file.fileno(), 2)
    faulthandler.dump_traceback_later(lifetime * 0.9)
    yield
    faulthandler.cancel_dump_traceback_later()
