"""What surrounds a guarded payment in tests: checkpoints on disk, agents inside graphs, policies that retry."""

import asyncio
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import RetryPolicy

from clawproof_langgraph import Coordinator, Guard, Retry, ToolPolicy
from clawproof_langgraph.errors import ClawproofWarning
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import ScriptedModel, call, play, says, thread

from .stage import as_tool, human

RETRY = RetryPolicy(initial_interval=0, jitter=False, max_attempts=3)


class Asking(ScriptedModel):
    """A model that pays when a human asks, under a new id each time; it may fail once, after the first payment."""

    paid: list[int]
    breaks: bool

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        if self.breaks and self.paid:
            self.breaks = False
            raise ConnectionError("the model is not reached")
        self.seen.append(messages)
        begun = isinstance(messages[-1], HumanMessage)
        reply = says(call("pay", f"call-{len(self.seen)}")) if begun else says(text="done")
        return ChatResult(generations=[ChatGeneration(message=reply)])


class Shop:
    """A guard over one payment, and what was paid.

    Args:
        coordinator: where.
        face: how the tool runs.
        error: what the payment raises after its effect, if anything.
        breaks: whether the model fails once after the first payment; asked anew, it pays under a new id.
        policy: terms of the tool's policy.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        face: str = "sync",
        *,
        error: Exception | None = None,
        breaks: bool = False,
        **policy: Any,
    ) -> None:
        self.coordinator, self._error = coordinator, error
        self.paid: list[int] = []
        terms = ToolPolicy(**{"retry": Retry(initial_delay=0, jitter=False), **policy})
        self.guard = Guard(coordinator, tools={"pay": terms})
        self.tool: BaseTool = as_tool(self._pay, face, name="pay", description="Pay.")
        self.model = Asking(replies=[], paid=[], breaks=breaks)
        self.model.paid = self.paid  # a model copies what it is made with

    def _pay(self, amount: int = 1) -> str:
        self.paid.append(amount)
        if self._error:
            raise self._error
        return f"paid {amount}"

    def node(self) -> ToolNode:
        """Make a guarded ToolNode."""
        return self.guard.tool_node([self.tool])

    def agent(self, *middleware: Any, **options: Any) -> Any:
        """Make an agent, with the guard's middleware unless others are given."""
        around = middleware or (CoordinationMiddleware(self.guard),)
        return create_agent(self.model, [self.tool], middleware=around, **{"checkpointer": InMemorySaver(), **options})

    def loop(self, tools: Any = None, *, retry: Any = None, defaults: Any = None, **compiled: Any) -> Any:
        """Write an agent by hand, of which the node of tools may be retried, or all nodes."""
        builder = StateGraph(MessagesState)
        if defaults:
            builder.set_node_defaults(retry_policy=defaults)
        builder.add_node("model", lambda state: {"messages": [self.model.invoke(state["messages"])]})
        builder.add_node("tools", tools or self.node(), retry_policy=retry)
        builder.add_edge(START, "model")
        builder.add_conditional_edges("model", tools_condition)
        builder.add_edge("tools", "model")
        return builder.compile(**{"checkpointer": InMemorySaver(), **compiled})


def inside(agent: Any, *, node: str = "agent", retry: Any = None, **compiled: Any) -> Any:
    """Compile a graph of one node, which is another graph or a function."""
    builder = StateGraph(MessagesState)
    builder.add_node(node, agent, retry_policy=retry)
    builder.add_edge(START, node)
    return builder.compile(**{"checkpointer": InMemorySaver(), **compiled})


def go(graph: Any, mode: str, **options: Any) -> Any:
    """Run a turn."""
    return play(graph, human(), thread(), mode=mode, **options)


def go_on_disk(
    build: Callable[[Any], Any], mode: str, folder: Path, name: str = "a", *, value: Any = None, **options: Any
) -> None:
    """Run a turn of a graph whose checkpoints outlive this process."""
    file, value = str(folder / "checkpoints.db"), value or human()

    async def on_a_loop() -> None:
        async with AsyncSqliteSaver.from_conn_string(file) as saver:
            await build(saver).ainvoke(value, thread(name), **options)

    if mode == "async":
        asyncio.run(on_a_loop())
        return
    with SqliteSaver.from_conn_string(file) as saver:
        build(saver).invoke(value, thread(name), **options)


def heard(action: Callable[[], Any]) -> list[str]:
    """Do something, and list what our warnings said."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        action()
    return [str(each.message) for each in seen if issubclass(each.category, ClawproofWarning)]
