"""What has to come of each cell, told from how far the call had come and what is known of it afterwards."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto

from tests.crash.cells import Build, Cell, End, Face, Moment, Resumed, Saving
from tests.crash.fates import is_answered
from tests.crash.kinds import Doubt
from tests.crash.observed import Observed, Told


class Left(Enum):
    """What a process has left behind of a call."""

    NOTHING = auto()
    DOUBT = auto()  # it has begun, and has not settled
    RESULT = auto()


def expected(cell: Cell) -> Observed:
    """Tell what has to come of a cell."""
    if not cell.guarded:
        return _observed(cell, runs=cell.moment.effect_made + (not is_answered(cell)), keys=0)
    if cell.kind.effect == "read":
        return _observed(cell, runs=cell.moment.effect_made + (not is_answered(cell)), keys=0)
    return _of_delegate(cell) if cell.kind.effect == "delegate" else _of_call(cell)


def _of_call(cell: Cell) -> Observed:
    made = _effect_made(cell)
    match _left(cell):
        case Left.NOTHING:
            return _observed(cell, runs=1)
        case Left.DOUBT:
            return _of_doubt(cell, made)
        case Left.RESULT:
            return _observed(cell, runs=1) if is_recognised(cell) else _observed(cell, runs=2, keys=2)


def _of_doubt(cell: Cell, made: int) -> Observed:
    match cell.kind.doubt:
        case Doubt.HELD:
            return _unknown(cell, runs=made)
        case Doubt.RUN_AGAIN:
            return _observed(cell, runs=made + 1)
        case Doubt.PROBED:
            return _observed(cell, runs=1)
        case Doubt.ASKED:
            return replace(_observed(cell, runs=1), questions=1)


def _of_delegate(cell: Cell) -> Observed:
    """The outer call runs again when it is in doubt; what counts is what becomes of the payment inside it."""
    if cell.kind.dies_inside:
        match _left(cell):
            case Left.DOUBT:
                return _unknown(cell, runs=_effect_made(cell))
            case left:
                made_again = left is Left.RESULT and not _is_recognised_inside(cell)
    elif _left(cell) is Left.RESULT:
        made_again = not is_recognised(cell)
    else:
        made_again = _effect_made(cell) and not _is_recognised_inside(cell)
    return _observed(cell, runs=2, keys=2) if made_again else _observed(cell, runs=1)


# --- what is left, and what is recognised -----------------------------------------------------------------------


def _left(cell: Cell) -> Left:
    if cell.end is not End.KILL:
        return Left.RESULT if _tool_ends(cell) else Left.DOUBT
    match cell.moment:
        case Moment.BEFORE_BEGIN:
            return Left.NOTHING
        case Moment.AFTER_BEGIN | Moment.BEFORE_EFFECT | Moment.AFTER_EFFECT | Moment.BEFORE_SETTLE:
            return Left.DOUBT
        case Moment.AFTER_SETTLE | Moment.BEFORE_CHECKPOINT | Moment.BESIDE_SIBLING:
            return Left.RESULT


def _tool_ends(cell: Cell) -> bool:
    """Tell whether the tool comes to its own end though its run was ended: nothing can stop a thread."""
    return cell.end is not End.TERM and cell.face is not Face.ASYNC and cell.build is not Build.BY_HAND


def _effect_made(cell: Cell) -> int:
    return int(cell.moment.effect_made or (cell.end is not End.KILL and _tool_ends(cell)))


def is_recognised(cell: Cell) -> bool:
    """Tell whether a repetition of a settled call is taken for it.

    A call is named by the message that asks for it, or by its task where tools without hooks do not see the message.
    Either is the same again only if it was saved. A business key is always the same.
    """
    if cell.business_key:
        return True
    if cell.resumed is Resumed.ASKS_AGAIN:
        return False
    if not cell.end.is_death and cell.saving is not Saving.LATE:  # who lives on saves all that it has
        return True
    return cell.saving.keeps_message or (cell.saving is Saving.HALF and cell.build is not Build.WRAPPED)


def _is_recognised_inside(cell: Cell) -> bool:
    """Tell the same of the payment inside another call.

    Without a checkpointer it is named by the call around it, which keeps its key. With one it is named by its own
    message, which is found again by the task around it.
    """
    return cell.business_key or not cell.kind.inner_saved or cell.saving.keeps_message


# --- what can be seen -------------------------------------------------------------------------------------------


def _observed(cell: Cell, *, runs: int, keys: int = 1) -> Observed:
    return Observed(_effects(cell, runs, keys), runs, keys, Told.RESULT, doubts=0)


def _unknown(cell: Cell, *, runs: int) -> Observed:
    told = Told.RAISED if cell.kind.tells_caller else Told.UNKNOWN
    return Observed(_effects(cell, runs, runs), runs, runs, told, doubts=1)


def _effects(cell: Cell, runs: int, keys: int) -> int:
    match cell.kind.effect:
        case "read":
            return 0
        case "idempotent":
            return min(runs, 1)
        case "keyed" | "transactional":
            return keys if cell.guarded else runs
        case _:
            return runs
