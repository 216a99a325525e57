"""What the agents of a run told of their turns, and what was done to their processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import assert_never

from clawproof_langgraph.testing.stress.playing import Began, Ended, Left, Message, Part


@dataclass(frozen=True, slots=True)
class Kill:
    """A process that was killed: its agents, seconds after the start, and the leases that it held."""

    at: float
    agents: tuple[str, ...]
    leases: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A process that was stopped for a while.

    Args:
        at: seconds after the start.
        agents: those of the process.
        seconds: how long.
        outlasted: how many of its leases ended while it was stopped.
    """

    at: float
    agents: tuple[str, ...]
    seconds: float
    outlasted: int


@dataclass(slots=True)
class Ledger:
    """Is told everything while a run goes on.

    Attributes:
        turns: how many turns came out how.
        troubles: the turns that ended with an error, in the order in which they did.
        playing: the turn that each agent has begun and not ended.
        left: the agents that have ended.
        kills, pauses: what was injected.
        died: the processes that ended by themselves: their agents, and what is known of it.
    """

    turns: Counter[str] = field(default_factory=Counter)
    troubles: list[Ended] = field(default_factory=list)
    playing: dict[str, int] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    kills: list[Kill] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    _next: dict[str, int] = field(default_factory=dict)

    def note(self, message: Message) -> None:
        """Take up what an agent tells."""
        match message:
            case Began(agent, turn):
                self.playing[agent] = turn
            case Ended(agent, turn, how):
                self.playing.pop(agent, None)
                self._next[agent] = turn + 1
                self.turns[how] += 1
                if message.error:
                    self.troubles.append(message)
            case Left(agent):
                self.left.add(agent)
            case _:
                assert_never(message)

    def rest_of(self, part: Part) -> Part:
        """Tell where an agent goes on whose process is gone."""
        if (turn := self.playing.get(part.agent)) is not None:
            return part._replace(turn=turn, again=True)
        return part._replace(turn=self._next.get(part.agent, 1), again=False)
