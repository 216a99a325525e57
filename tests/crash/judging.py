"""Whether a cell has kept its promise."""

from __future__ import annotations

from tests.crash.expected import expected
from tests.crash.promise import breach, needed
from tests.crash.running import Outcome


def fault(outcome: Outcome) -> str:
    """Tell what is wrong with the outcome of a cell; nothing if it is as it has to be.

    Twice over: it must be exactly what is expected of this crash, and it must keep the promise, unless the cell is one
    of those that are known to need something for it.
    """
    cell, seen = outcome.cell, outcome.observed
    if seen is None:
        return f"{cell}\n    {outcome.trouble}"
    if seen != expected(cell):
        return f"{cell}\n    came to  {seen}\n    expected {expected(cell)}"
    broken = breach(cell.kind, seen) if cell.guarded and not needed(cell) else ""
    return f"{cell}\n    {broken}" if broken else ""
