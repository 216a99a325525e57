"""What the matrix varies, and every combination of it that can exist: one cell is one crash and one resumption."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from tests.crash.kinds import CUT_SHORT_KINDS, KINDS, ONCE, PLAIN_KINDS, Kind


class Build(StrEnum):
    """How the graph is made."""

    HOOKED = "ToolNode"  # with the guard's hooks
    WRAPPED = "wrap_tools"  # guarded tools in an ordinary ToolNode
    READY_MADE = "create_agent"
    BY_HAND = "own node"  # a node that calls the guarded tool itself, on the main thread


class Face(StrEnum):
    """How the tool runs."""

    SYNC = "sync tool"
    ASYNC = "async tool"
    THREAD = "sync tool under ainvoke"


class Saving(StrEnum):
    """LangGraph's durability, and for `async` how much of the message that asks for the call is saved by then."""

    SYNC = "sync"
    ASYNC = "async"
    HALF = "async, half saved"  # what the model's task wrote, and not yet the checkpoint after it
    LATE = "async, not saved"
    EXIT = "exit"

    @property
    def durability(self) -> str:
        """What LangGraph calls it."""
        return self.split(",")[0]

    @property
    def keeps_message(self) -> bool:
        """Whether the checkpoint with the message outlives the process."""
        return self in (Saving.SYNC, Saving.ASYNC)


class Moment(StrEnum):
    """How far a call has come when its process ends."""

    BEFORE_BEGIN = "before begin is sent"
    AFTER_BEGIN = "after begin"
    BEFORE_EFFECT = "in the tool, before its effect"
    AFTER_EFFECT = "in the tool, after its effect"
    BEFORE_SETTLE = "before settle is sent"
    AFTER_SETTLE = "after settle, before the reply"
    BEFORE_CHECKPOINT = "before LangGraph's checkpoint"
    BESIDE_SIBLING = "settled, while a sibling runs"

    @property
    def effect_made(self) -> bool:
        """Whether the effect has happened by then."""
        return self not in (Moment.BEFORE_BEGIN, Moment.AFTER_BEGIN, Moment.BEFORE_EFFECT)

    @property
    def is_guards(self) -> bool:
        """Whether the moment is a step of the guard, and does not exist without it."""
        return self in (Moment.BEFORE_BEGIN, Moment.AFTER_BEGIN, Moment.BEFORE_SETTLE, Moment.AFTER_SETTLE)


IN_THE_TOOL = (Moment.BEFORE_EFFECT, Moment.AFTER_EFFECT)


class End(StrEnum):
    """What ends the run."""

    KILL = "SIGKILL"
    TERM = "SIGTERM"
    EXIT = "SIGTERM with a handler that raises SystemExit"
    INTERRUPT = "KeyboardInterrupt"
    CANCEL = "cancellation of the run"
    STEP_TIMEOUT = "step_timeout"
    NODE_TIMEOUT = "time-out of the node"

    @property
    def is_death(self) -> bool:
        """Whether the process is gone at once, with no time to settle anything."""
        return self in (End.KILL, End.TERM)


class Resumed(StrEnum):
    """How the run is taken up again."""

    GOES_ON = "invoke(None)"  # or the message again, where nothing is saved to go on from
    ASKS_AGAIN = "the message again"


@dataclass(frozen=True)
class Cell:
    """One crash and one resumption.

    Args:
        kind: what the tool does, and its policy.
        moment: how far the call has come.
        build: how the graph is made.
        face: how the tool runs.
        saving: LangGraph's durability.
        end: what ends the run.
        resumed: how the run is taken up again.
        business_key: whether the policy names one.
        guarded: whether the guard is there at all.
    """

    kind: Kind
    moment: Moment
    build: Build = Build.HOOKED
    face: Face = Face.SYNC
    saving: Saving = Saving.SYNC
    end: End = End.KILL
    resumed: Resumed = Resumed.GOES_ON
    business_key: bool = False
    guarded: bool = True

    def __str__(self) -> str:
        words = [self.kind.name, self.moment, self.build, self.face, self.saving]
        words += [self.end] if self.end is not End.KILL else []
        words += [self.resumed] if self.resumed is not Resumed.GOES_ON else []
        words += ["business key"] if self.business_key else []
        words += ["unguarded"] if not self.guarded else []
        return " | ".join(words)

    @property
    def exists(self) -> bool:
        """Whether there is such a case."""
        if self.moment.is_guards and not self.guarded:
            return False
        return not self.kind.dies_inside or self._exists_inside()

    def _exists_inside(self) -> bool:
        if self.moment is Moment.BESIDE_SIBLING:
            return False  # that is about the calls of one message, which the outer kinds cover
        has_checkpoint = self.kind.inner_saved and self.saving is not Saving.EXIT
        return self.moment is not Moment.BEFORE_CHECKPOINT or has_checkpoint


BUILDS = (Build.HOOKED, Build.WRAPPED, Build.READY_MADE)


def guarded_cells() -> Iterator[Cell]:
    """Every crash by SIGKILL with the guard."""
    for kind, moment, build, face, saving in product(KINDS, Moment, BUILDS, Face, Saving):
        cell = Cell(kind, moment, build, face, saving)
        if cell.exists:
            yield cell


def asked_again_cells() -> Iterator[Cell]:
    """The crashes after which the user sends the message again, though the run could go on."""
    for moment, build, face, saving in product(Moment, BUILDS, Face, (Saving.SYNC, Saving.ASYNC)):
        yield Cell(ONCE, moment, build, face, saving, resumed=Resumed.ASKS_AGAIN)


def unguarded_cells() -> Iterator[Cell]:
    """Every crash by SIGKILL without the guard."""
    for kind, moment, build, face, saving in product(PLAIN_KINDS, Moment, BUILDS, Face, Saving):
        cell = Cell(kind, moment, build, face, saving, guarded=False)
        if cell.exists and build is not Build.WRAPPED:  # without the guard it is that of the hooks
            yield cell


def cut_short_cells() -> Iterator[Cell]:
    """Every run that is ended in its tool by something else than SIGKILL."""
    savings = (Saving.SYNC, Saving.ASYNC, Saving.LATE, Saving.EXIT)
    ends = [end for end in End if end is not End.KILL]
    for kind, moment, build, face, saving, end in product(CUT_SHORT_KINDS, IN_THE_TOOL, Build, Face, savings, ends):
        cell = Cell(kind, moment, build, face, saving, end)
        if _can_be_cut_short(cell):
            yield cell


def _can_be_cut_short(cell: Cell) -> bool:
    if cell.saving is Saving.LATE and not _may_be_late(cell):
        return False
    if cell.build is Build.BY_HAND:  # it stands for code on the main thread, which only a signal can interrupt
        return cell.face is Face.SYNC and cell.end in (End.EXIT, End.INTERRUPT)
    if cell.end is End.NODE_TIMEOUT and cell.build is Build.READY_MADE:
        return False  # create_agent has no such parameter
    # Nothing can cancel `invoke`, and LangGraph has time-outs of a node for async runs only.
    return cell.face is not Face.SYNC or cell.end not in (End.CANCEL, End.NODE_TIMEOUT)


def _may_be_late(cell: Cell) -> bool:
    # Who lives on saves all that it has, but for a SystemExit that leaves an event loop: that cancels its tasks.
    # Whether the agent inside a tool still finds the coordinator open then is chance.
    return cell.end is End.EXIT and cell.face is not Face.SYNC and cell.kind.effect != "delegate"
