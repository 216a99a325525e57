"""A process that runs cells for a test: the test's own has threads, and may not fork."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection

from tests.crash.cells import Cell
from tests.crash.lives import LIFETIME
from tests.crash.running import Outcome, run_cells

AT_ONCE = 10
"""Cells that run at once: most of the time they wait for the lease of the dead to end."""
_PATIENCE = 100.0
"""Seconds that a test waits for the next outcome."""

_SPAWN = multiprocessing.get_context("spawn")


class WarmParent:
    """A process that has imported everything and opened nothing."""

    def __init__(self) -> None:
        self._orders, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs,), daemon=False)
        self._process.start()
        theirs.close()

    def run(self, cells: Iterable[Cell], *, lifetime: float = LIFETIME) -> Iterator[Outcome]:
        """Run cells and give their outcomes, in the order in which they are known."""
        ordered = list(cells)
        self._orders.send((ordered, lifetime))
        for _ in ordered:
            assert self._orders.poll(_PATIENCE), "the process that runs the cells is silent"
            yield self._orders.recv()

    def close(self) -> None:
        """Let it end."""
        self._orders.close()
        self._process.join(_PATIENCE)


def _serve(orders: Connection) -> None:
    while True:
        try:
            cells, lifetime = orders.recv()
        except EOFError:
            return
        for outcome in run_cells(cells, at_once=AT_ONCE, lifetime=lifetime):
            orders.send(outcome)
