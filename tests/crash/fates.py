"""How the process of a cell ends: what it waits for, where it stops, and what it never gets to save."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from dataclasses import dataclass
from enum import Enum, auto

from tests.crash.cells import Build, Cell, Moment, Resumed, Saving
from tests.crash.kinds import PAY
from tests.waiting import await_until, wait_until


class Landmark(Enum):
    """What has happened so far, where it is not in the order of the code."""

    INPUT_SAVED = auto()
    MESSAGE_WRITTEN = auto()  # what the model's task wrote is saved
    MESSAGE_SAVED = auto()  # the checkpoint with the model's message is saved
    CLERKS_MESSAGE_SAVED = auto()
    EFFECT_MADE = auto()
    SETTLED = auto()
    ANSWER_WRITTEN = auto()  # what the call's task wrote is saved


@dataclass(frozen=True)
class Save:
    """One command to LangGraph's saver.

    Args:
        whole: whether it is a checkpoint; else what one task wrote.
        inside: whether it is of the clerk, the agent inside a tool.
        asks: whether it has a message that asks for a call.
        answers: whether it has the answer to one.
        has_messages: whether it has any: the first of the two checkpoints that LangGraph makes of an input has none.
    """

    whole: bool
    inside: bool
    asks: bool
    answers: bool
    has_messages: bool

    @property
    def landmark(self) -> Landmark | None:
        """What has happened once it is carried out."""
        if self.inside:
            return Landmark.CLERKS_MESSAGE_SAVED if self.whole and self.asks else None
        if self.answers:
            return None if self.whole else Landmark.ANSWER_WRITTEN
        if self.asks:
            return Landmark.MESSAGE_SAVED if self.whole else Landmark.MESSAGE_WRITTEN
        return Landmark.INPUT_SAVED if self.whole and self.has_messages else None


class Fate:
    """Lets the process run to its end."""

    def reached(self, moment: Moment, tool: str) -> None:
        """A call of a tool has come to a moment."""

    async def areached(self, moment: Moment, tool: str) -> None:
        """The same, on an event loop."""

    def saves(self, save: Save) -> None:
        """A command is about to be sent to the saver."""

    async def asaves(self, save: Save) -> None:
        """The same, on an event loop."""

    def saved(self, save: Save) -> None:
        """A command to the saver is carried out."""


class Doomed(Fate):
    """Ends the process at the moment of its cell, when just so much is saved as the cell says.

    Args:
        cell: which.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._passed: set[Landmark] = set()
        self._awaited = awaited(cell)

    def end(self) -> None:
        """End the process, or the run."""
        raise NotImplementedError

    async def aend(self) -> None:
        """The same, on an event loop."""
        self.end()

    def reached(self, moment: Moment, tool: str) -> None:
        if self._is_end(moment, tool):
            wait_until(self._is_ready)
            self.end()

    async def areached(self, moment: Moment, tool: str) -> None:
        if self._is_end(moment, tool):
            await await_until(self._is_ready)
            await self.aend()

    def saves(self, save: Save) -> None:
        if self._is_held(save):
            threading.Event().wait()
        if moment := self._moment_of(save):
            self.reached(*moment)

    async def asaves(self, save: Save) -> None:
        if self._is_held(save):
            await asyncio.Event().wait()
        if moment := self._moment_of(save):
            await self.areached(*moment)

    def saved(self, save: Save) -> None:
        if save.landmark:
            self._passed.add(save.landmark)

    def _is_ready(self) -> bool:
        return self._awaited <= self._passed

    def _is_end(self, moment: Moment, tool: str) -> bool:
        if tool != self._cell.kind.watched:
            return False
        if moment is Moment.AFTER_EFFECT:
            self._passed.add(Landmark.EFFECT_MADE)
        if moment is Moment.AFTER_SETTLE:
            self._passed.add(Landmark.SETTLED)
        return moment is self._cell.moment

    def _moment_of(self, save: Save) -> tuple[Moment, str] | None:
        if not save.answers:
            return None
        return Moment.BEFORE_CHECKPOINT, PAY if save.inside else self._cell.kind.tool

    def _is_held(self, save: Save) -> bool:
        if save.inside or not save.asks:
            return False
        return self._cell.saving is Saving.LATE or (self._cell.saving is Saving.HALF and save.whole)


class Killed(Doomed):
    """Kills the process as the kernel would."""

    def end(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def awaited(cell: Cell) -> frozenset[Landmark]:
    """Tell what must have happened before the process of a cell may die, so that each time the same is saved."""
    found = {
        Saving.SYNC: set(),
        Saving.ASYNC: {Landmark.MESSAGE_SAVED},
        Saving.HALF: {Landmark.INPUT_SAVED, Landmark.MESSAGE_WRITTEN},
        Saving.LATE: {Landmark.INPUT_SAVED},
        Saving.EXIT: set(),
    }[cell.saving]
    if cell.kind.dies_inside and cell.kind.inner_saved and cell.saving is Saving.ASYNC:
        found.add(Landmark.CLERKS_MESSAGE_SAVED)
    if cell.moment is Moment.BESIDE_SIBLING:
        found.add(Landmark.SETTLED if cell.guarded else Landmark.EFFECT_MADE)
        if is_answered(cell):
            found.add(Landmark.ANSWER_WRITTEN)
    return frozenset(found)


def is_answered(cell: Cell) -> bool:
    """Tell whether LangGraph has saved the answer by then: `create_agent` runs each call in a task of its own."""
    beside = cell.moment is Moment.BESIDE_SIBLING and cell.build is Build.READY_MADE
    return beside and cell.saving.keeps_message and cell.resumed is Resumed.GOES_ON
