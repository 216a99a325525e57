"""The agents of one process: each in a thread of its own, turn after turn, telling what it begins and how it ends."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal, NamedTuple

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import (
    AgentKilled,
    BackendUnavailable,
    ConfigurationError,
    LeaseLost,
    OutcomeUnknown,
    StaleRead,
    WaitTimeout,
)
from clawproof_langgraph.testing.stress.scenario import Scenario, Seat, Turn, described

How = Literal["ended", "resumed", "interrupted", "cut_short", "refused", "expected", "failed"]
"""How a turn came out: `cut_short`: its process was killed, and it has no checkpoints to go on from; `refused`: it
ended with a refusal of the library; `expected`, with one that the scenario names; `failed`, with any other."""


_REFUSALS: Final = (WaitTimeout, StaleRead, AgentKilled, LeaseLost, OutcomeUnknown, BackendUnavailable)
"""What the library may always answer to a sound agent. Its other errors tell of a mistake, such as a wrong policy."""


class Began(NamedTuple):
    """A turn has begun."""

    agent: str
    turn: int


class Ended(NamedTuple):
    """A turn has come out."""

    agent: str
    turn: int
    how: How
    error: str = ""


class Left(NamedTuple):
    """An agent has no more turns."""

    agent: str


Message = Began | Ended | Left
Tell = Callable[[Message], None]


class Part(NamedTuple):
    """Which agent is to play, from which turn on, and whether that turn was begun in a process that was killed."""

    number: int
    turn: int = 1
    again: bool = False

    @property
    def agent(self) -> str:
        """Its name."""
        return f"agent-{self.number}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What all agents of a run have in common.

    Args:
        run: the name of the run.
        seed: of the run.
        rounds: how many turns each agent plays, None for as many as there is time for.
    """

    run: str
    seed: int
    rounds: int | None = None


class Player:
    """One agent, ready to play."""

    def __init__(self, part: Part, scenario: Scenario, terms: Terms, coordinator: Coordinator) -> None:
        self.part, self._scenario, self._terms = part, scenario, terms
        self._runner = asyncio.Runner()
        seat = Seat(part.agent, part.number, terms.seed, coordinator)
        try:
            self._agent = self._finished(scenario.make_agent(seat))
        except Exception as exc:
            raise ConfigurationError(f"make_agent failed for {part.agent}: {described(exc)}.") from exc
        if not (hasattr(self._agent, "invoke") or hasattr(self._agent, "ainvoke") or callable(self._agent)):
            raise ConfigurationError(
                f"make_agent gave a {type(self._agent).__name__} for {part.agent}; an agent has invoke or ainvoke, or "
                f"is a function."
            )

    def play(self, tell: Tell, until: float) -> None:
        """Play turn after turn, as long as there is time."""
        number, again = self.part.turn, self.part.again
        try:
            while again or self._has_time(number, until):
                tell(Began(self.part.agent, number))
                tell(self._take(number, again=again))
                number, again = number + 1, False
        finally:
            tell(Left(self.part.agent))
            self._runner.close()

    def _has_time(self, number: int, until: float) -> bool:
        return time.monotonic() < until and (self._terms.rounds is None or number <= self._terms.rounds)

    def _take(self, number: int, *, again: bool) -> Ended:
        agent = self.part.agent
        chance = Random(f"{self._terms.seed}/{agent}/{number}")
        turn = Turn(agent, number, f"{self._terms.run}-{agent}-{number}", chance)
        try:
            return Ended(agent, number, self._go_on(turn) if again else self._begin(turn))
        except _REFUSALS as error:
            return Ended(agent, number, "refused", described(error))
        except self._scenario.expected as error:
            return Ended(agent, number, "expected", described(error))
        except Exception as error:  # noqa: BLE001 - whatever an agent raises is for the report
            return Ended(agent, number, "failed", described(error))

    def _begin(self, turn: Turn) -> How:
        return _outcome(self._invoke(self._input(turn), turn), "ended")

    def _go_on(self, turn: Turn) -> How:
        """Take up a turn whose process was killed, as an application would that finds the thread unfinished."""
        if not _outlives_its_process(getattr(self._agent, "checkpointer", None)):
            return "cut_short"
        state = self._state(turn)
        if state.created_at is None:  # nothing had happened yet
            return _outcome(self._invoke(self._input(turn), turn), "resumed")
        return _outcome(self._invoke(None, turn), "resumed") if state.next else "resumed"

    def _input(self, turn: Turn) -> Any:
        if self._scenario.input is not None:
            return self._scenario.input(turn)
        if hasattr(self._agent, "invoke") or hasattr(self._agent, "ainvoke"):
            return {"messages": [("user", f"Turn {turn.number}: do your work.")]}
        return turn

    def _invoke(self, given: Any, turn: Turn) -> Any:
        agent, is_async = self._agent, self._is_async
        if not is_async and not hasattr(agent, "invoke"):
            return self._finished(agent(given))
        options: dict[str, Any] = {"config": _thread(turn)}
        if getattr(agent, "checkpointer", None) is not None:
            options["durability"] = "sync"
        return self._finished((agent.ainvoke if is_async else agent.invoke)(given, **options))

    def _state(self, turn: Turn) -> Any:
        asked = self._agent.aget_state if self._is_async else self._agent.get_state
        return self._finished(asked(_thread(turn)))

    @property
    def _is_async(self) -> bool:
        has_async = hasattr(self._agent, "ainvoke")
        return has_async and (self._scenario.use_async or not hasattr(self._agent, "invoke"))

    def _finished(self, value: Any) -> Any:
        """Await what is to be awaited, always on the same loop: connections and checkpointers belong to one."""
        if not inspect.isawaitable(value):
            return value

        async def awaited() -> Any:
            return await value

        return self._runner.run(awaited())


class Players:
    """The agents of one process."""

    def __init__(self, parts: tuple[Part, ...], scenario: Scenario, terms: Terms, coordinator: Coordinator) -> None:
        # One after the other: the factories of users need not be made for threads.
        self._players = [Player(part, scenario, terms, coordinator) for part in parts]
        self._threads: list[threading.Thread] = []

    def start(self, tell: Tell, until: float) -> None:
        """Let all play.

        Args:
            tell: is told each step, from the threads of the agents.
            until: on the monotonic clock, when the last turns may begin.
        """
        for player in self._players:
            # A daemon: an agent that never ends is reported, and must not keep the process.
            thread = threading.Thread(target=player.play, args=(tell, until), name=player.part.agent, daemon=True)
            self._threads.append(thread)
            thread.start()

    def join(self) -> None:
        """Wait until all have left."""
        for thread in self._threads:
            thread.join()


def _thread(turn: Turn) -> dict[str, Any]:
    return {"configurable": {"thread_id": turn.thread}}


def _outcome(result: Any, well: How) -> How:
    return "interrupted" if isinstance(result, Mapping) and "__interrupt__" in result else well


def _outlives_its_process(checkpointer: Any) -> bool:
    names = {each.__name__ for each in type(checkpointer).__mro__}
    return bool(checkpointer) and "InMemorySaver" not in names
