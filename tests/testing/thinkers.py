"""Agents that read, think and write: each kind of graph in which a model and its tools go round."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, RemoveMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Send

from clawproof_langgraph import Guard
from clawproof_langgraph.middleware import CoordinationMiddleware
from clawproof_langgraph.testing import Seat, Turn
from tests.testing.books import Books, asked, graph_of, policies
from tests.testing.thinking import Goal, decide, drawn, goals_of, known_of, message_of, shortened

CAST: Final = (
    *("careless",) * 3,
    *("loop", "loop async") * 2,
    "made",
    "made async",
    "fan of loops",
    "fan of made async",
    "forgetful loop",
)
CROWD: Final = ("loop", "loop async") * 6
"""Twelve who want the same."""

Draw = Callable[[Turn], list[Goal]]
_STEPS: Final = {"recursion_limit": 5000}


class Company:
    """The agents of one schedule.

    Args:
        books: what they work on.
        guarded: whether their tools are guarded.
        requires_read: whether a guarded write is refused if what it rests on has changed.
        cast: the kinds of agents; who gets which is drawn.
        draw: draws the goals of a turn.
        think: the most seconds that a model thinks.
    """

    def __init__(
        self,
        books: Books,
        *,
        guarded: bool = True,
        requires_read: bool = True,
        cast: Sequence[str] = CAST,
        draw: Draw = drawn,
        think: float = 0.004,
    ) -> None:
        self.books, self.guarded, self.cast, self.draw, self.think = books, guarded, cast, draw, think
        self.policies = policies(requires_read=requires_read)
        self.kinds: dict[str, str] = {}
        self.goals: dict[str, int] = {}
        self.refused: dict[str, int] = {}

    def make_agent(self, seat: Seat) -> Any:
        """Make the agent of a seat."""
        kinds = Random(f"{seat.seed}/cast").sample(self.cast, len(self.cast))
        kind = self.kinds[seat.name] = kinds[seat.number - 1]
        guard = Guard(seat.coordinator, agent=seat.name, tools=self.policies)
        if kind == "careless":
            return graph_of(self._tool_node(guard))
        maker = _Maker(self, guard, Random(f"{seat.seed}/{seat.name}"), use_async=kind.endswith("async"))
        graph = maker.fan(kind) if kind.startswith("fan") else maker.agent(kind, checkpointer=InMemorySaver())
        graph = graph.with_config(_STEPS)
        return Awaited(graph) if kind.endswith("async") else graph

    def input(self, turn: Turn) -> dict[str, Any]:
        """Draw what an agent is to do."""
        if self.kinds[turn.agent] == "careless":
            return asked(turn)
        goals = self.draw(turn)
        for goal in goals:
            self.goals[goal.name] = self._calls_on(goal)
        return {"messages": [message_of(goals)]}

    def end(self, messages: Sequence[AnyMessage]) -> None:
        """Note that a model has no more to do, and check that it was refused for a reason each time.

        Whoever is refused has been overtaken by somebody who was not: that is why all come to an end.
        """
        known = known_of(messages)
        for goal in goals_of(messages):
            refused = self.refused[goal.name] = known[goal.name].refused
            overtaken = self._calls_on(goal) - self.goals[goal.name] + known[goal.name].forgotten
            assert refused <= overtaken, f"{goal} was refused {refused} times, and overtaken {overtaken} times"

    def check(self) -> None:
        """Find what broke; all that was to be done must have come to an end."""
        assert self.refused.keys() == self.goals.keys(), "some goals have no end"
        self.books.check()

    def _calls_on(self, goal: Goal) -> int:
        return sum(self.books.calls[name] for name in goal.of)

    def _tool_node(self, guard: Guard) -> ToolNode:
        return guard.tool_node(self.books.tools()) if self.guarded else ToolNode(self.books.tools())


class Awaited:
    """A graph that is run on an event loop."""

    def __init__(self, graph: Any) -> None:
        self._graph, self.checkpointer = graph, graph.checkpointer

    async def ainvoke(self, given: Any, **options: Any) -> Any:
        """Run it."""
        return await self._graph.ainvoke(given, **options)


class _Maker:
    """Makes the graphs of one agent."""

    def __init__(self, company: Company, guard: Guard, chance: Random, *, use_async: bool) -> None:
        self._company, self._guard, self._chance, self._async = company, guard, chance, use_async

    def agent(self, kind: str, **options: Any) -> Any:
        return self._made(**options) if "made" in kind else self._loop(kind, **options)

    def fan(self, kind: str) -> Any:
        """Make a graph that hands each goal to a branch of its own, side by side."""
        builder = StateGraph(MessagesState)
        builder.add_node("worker", self.agent(kind))
        builder.add_conditional_edges(START, _one_for_each_goal, ["worker"])
        return builder.compile()

    def _loop(self, kind: str, **options: Any) -> Any:
        """Make a loop of a model and a ToolNode."""
        builder = StateGraph(MessagesState)
        builder.add_node("model", self._athink if self._async else self._think)
        builder.add_node("tools", self._company._tool_node(self._guard))
        builder.add_node("trim", _trim if "forgetful" in kind else _keep)
        builder.add_edge(START, "model")
        builder.add_conditional_edges("model", tools_condition)
        builder.add_edge("tools", "trim")
        builder.add_edge("trim", "model")
        return builder.compile(**options)

    def _made(self, **options: Any) -> Any:
        """Make an agent of LangChain's; every other one shortens its history."""
        middleware: list[Any] = [CoordinationMiddleware(self._guard)] if self._company.guarded else []
        middleware += [_Trimming()] if self._chance.random() < 0.5 else []
        model = _Model(think=self._think, athink=self._athink)
        return create_agent(model, self._company.books.tools(), middleware=middleware, **options)

    def _think(self, state: Any) -> dict[str, Any]:
        time.sleep(self._pause())
        return self._decide(state)

    async def _athink(self, state: Any) -> dict[str, Any]:
        await asyncio.sleep(self._pause())
        return self._decide(state)

    def _pause(self) -> float:
        return self._chance.uniform(0, self._company.think)

    def _decide(self, state: Any) -> dict[str, Any]:
        said = decide(state["messages"])
        if not said.tool_calls:
            self._company.end(state["messages"])
        return {"messages": [said]}


def _one_for_each_goal(state: MessagesState) -> list[Send]:
    return [Send("worker", {"messages": [message_of([goal])]}) for goal in goals_of(state["messages"])]


def _keep(state: Any) -> dict[str, Any]:
    return {}


def _trim(state: Any) -> dict[str, Any]:
    summary = shortened(state["messages"])
    return {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), summary]} if summary else {}


class _Trimming(AgentMiddleware[Any, Any, Any]):
    """Shortens the history of an agent before its model is asked."""

    def before_model(self, state: Any, runtime: Any) -> dict[str, Any]:
        return _trim(state)


class _Model(BaseChatModel):
    """A chat model that decides from its messages alone."""

    think: Any
    athink: Any

    @property
    def _llm_type(self) -> str:
        return "thinking"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        return _said(self.think({"messages": messages}))

    async def _agenerate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        return _said(await self.athink({"messages": messages}))


def _said(update: dict[str, Any]) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=update["messages"][0])])
