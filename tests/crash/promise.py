"""What DESIGN section 4 promises, said of what was observed, whatever the moment of the crash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tests.crash.cells import Cell, Resumed, Saving
from tests.crash.expected import expected
from tests.crash.kinds import Doubt, Kind
from tests.crash.observed import Observed, Told

SYNC_OR_KEY = 'durability="sync" or a business key'
BUSINESS_KEY = "a business key"


def breach(kind: Kind, seen: Observed) -> str:
    """Tell in what a promise is broken; nothing where it is kept.

    Nothing happens more often than once, no call is lost without a word, and what is not known is said and listed. Of
    a tool that its author lets run again, whatever it does, nothing is promised but that it is not lost.
    """
    if seen.told not in (Told.RESULT, Told.UNKNOWN, Told.RAISED):
        return f"the caller was told: {seen.told}"
    if seen.told is Told.RESULT:
        return _breach_of_result(kind, seen)
    if not _may_be_unknown(kind):
        return "the caller was told that the outcome is unknown"
    if seen.doubts != 1:
        return f"{seen.doubts} calls are listed as in doubt, and one is"
    return "it happened more than once" if seen.effects > 1 else ""


def _breach_of_result(kind: Kind, seen: Observed) -> str:
    if seen.doubts:
        return "the caller was given a result, and the call is listed as in doubt"
    if kind.effect == "read":
        return "a read has changed something" if seen.effects else ""
    if seen.effects == 0:
        return "the caller was given a result, and nothing happened"
    runs_whatever_it_does = kind.effect == "once" and kind.doubt is Doubt.RUN_AGAIN
    return "it happened more than once" if seen.effects > 1 and not runs_whatever_it_does else ""


def _may_be_unknown(kind: Kind) -> bool:
    return kind.doubt is Doubt.HELD or kind.effect == "delegate"  # what its inner call says, which is held


def needed(cell: Cell) -> str:
    """Tell what the promise needs in a cell where it is not kept; nothing where it is."""
    if not cell.guarded or not breach(cell.kind, expected(cell)):
        return ""
    return SYNC_OR_KEY if cell.resumed is Resumed.GOES_ON else BUSINESS_KEY


def remedied(cells: Iterable[Cell]) -> Iterator[Cell]:
    """Give for each cell that needs something the same cell with it."""
    for cell in cells:
        need = needed(cell)
        if need:
            yield replace(cell, business_key=True)
        if need == SYNC_OR_KEY:
            yield replace(cell, saving=Saving.SYNC)
