"""Runs cells, many at a time, each in processes of its own that are forked from this one.

So this process must have imported everything and opened nothing: neither threads nor files of SQLite survive a fork.
"""

from __future__ import annotations

import gc
import multiprocessing
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from tests.crash.cells import Cell, End
from tests.crash.lives import ERRORS, LIFETIME, come_to_end, take_up
from tests.crash.observed import Observed
from tests.crash.struck import SEEN_BY_CALLER
from tests.crash.world import World

_FORKS = multiprocessing.get_context("fork")

_EXIT_CODES = {End.KILL: -signal.SIGKILL, End.TERM: -signal.SIGTERM}


@dataclass(frozen=True)
class Ended:
    """One process that has ended: its exit code, what it has reported, and whether it had to be killed for its age."""

    exit_code: int | None
    report: Any
    hung: bool = False


@dataclass(frozen=True)
class Outcome:
    """A cell that was run: what came of it, or why there is nothing to tell."""

    cell: Cell
    observed: Observed | None
    trouble: str = ""


class _Life:
    """A process of a cell, with its deadline."""

    def __init__(self, main: Callable[..., None], cell: Cell, directory: Path, lifetime: float) -> None:
        self._reports, theirs = _FORKS.Pipe(duplex=False)
        self._process: ForkProcess = _FORKS.Process(target=main, args=(cell, directory, theirs, lifetime))
        self._process.start()
        theirs.close()
        self.deadline, self._hung = time.monotonic() + lifetime, False

    @property
    def sentinel(self) -> int:
        return self._process.sentinel

    @property
    def is_over(self) -> bool:
        return not self._process.is_alive()

    def kill(self) -> None:
        """End it, for it hangs."""
        self._hung = True
        self._process.kill()
        self._process.join()

    def ended(self) -> Ended:
        """Tell how it ended."""
        with self._reports as reports:
            return Ended(self._process.exitcode, _received(reports), self._hung)


def _received(reports: Connection) -> Any:
    try:
        return reports.recv() if reports.poll() else None
    except EOFError:
        return None


Play = Generator[_Life, Ended, Outcome]


def run_cells(cells: Iterable[Cell], *, at_once: int, lifetime: float = LIFETIME) -> Iterator[Outcome]:
    """Run cells, so many at once, and give each outcome when it is known.

    A process that still runs after so many seconds is a failure, and not a stuck run.

    One thread looks after all processes: multiprocessing loses exit codes when several do.
    """
    # Else the collector of each child would go through all objects of LangChain, and copy the pages that they are on.
    gc.collect()
    gc.freeze()
    waiting = iter(cells)
    playing: dict[_Life, Play] = {}
    while True:
        while len(playing) < at_once and (cell := next(waiting, None)) is not None:
            play = _play(cell, lifetime)
            playing[next(play)] = play
        if not playing:
            return
        for life in _over(list(playing)):
            play = playing.pop(life)
            try:
                playing[play.send(life.ended())] = play
            except StopIteration as end:
                yield end.value


def _over(lives: list[_Life]) -> list[_Life]:
    """Wait until one or more processes are over; one that has lived for too long is killed."""
    wait([life.sentinel for life in lives], timeout=max(0.0, min(life.deadline for life in lives) - time.monotonic()))
    for life in lives:
        if time.monotonic() > life.deadline:
            life.kill()
    return [life for life in lives if life.is_over]


def _play(cell: Cell, lifetime: float) -> Play:
    directory = Path(tempfile.mkdtemp(prefix="crash-"))
    try:
        World(directory).create()
        victim = yield _Life(come_to_end, cell, directory, lifetime)
        if trouble := _did_not_end(cell, victim):
            return Outcome(cell, None, f"{trouble}\n{_errors(directory)}")
        successor = yield _Life(take_up, cell, directory, lifetime)
        if successor.exit_code != 0 or successor.report is None:
            return Outcome(cell, None, f"the successor ended with {successor.exit_code}\n{_errors(directory)}")
        return Outcome(cell, _observed(directory, *successor.report))
    finally:
        shutil.rmtree(directory)


def _did_not_end(cell: Cell, victim: Ended) -> str:
    """Tell in what the end of a process was not the one that its cell is about."""
    expected = Ended(_EXIT_CODES.get(cell.end, 0), SEEN_BY_CALLER.get(cell.end))
    return "" if victim == expected else f"the run should have ended with {expected}, and did with {victim}"


def _observed(directory: Path, told: str, doubts: list[str], questions: int) -> Observed:
    world = World(directory)
    keys = world.keys()
    if keys and not keys.issuperset(doubts):
        told = f"of {doubts} as in doubt, and it happened under {sorted(keys)}"
    return Observed(world.effects(), world.runs(), len(keys), told, len(doubts), questions)


def _errors(directory: Path) -> str:
    path = directory / ERRORS
    return path.read_text()[-3000:] if path.exists() else ""
