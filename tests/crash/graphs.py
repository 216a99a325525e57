"""The graphs of a cell: the application, and the agent that works inside a tool of it."""

from __future__ import annotations

import os
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from clawproof_langgraph import Guard
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.crash.cells import Build, Cell, Moment
from tests.crash.kinds import ASK_CLERK, PAY
from tests.crash.tools import Tools
from tests.langgraph.scripted import ScriptedModel, call, says

NUMBER = 7
"""The argument of every call."""


class Buyer(ScriptedModel):
    """Asks for its calls until it sees an answer, and then says what it was told."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        told = [message.text for message in messages if isinstance(message, ToolMessage)]
        reply = says(text=told[-1]) if told else self.replies[0].model_copy(deep=True)
        return ChatResult(generations=[ChatGeneration(message=reply)])


class Graphs:
    """Builds the graphs.

    Args:
        cell: of which.
        tools: makes its tools.
        guard: of those, if the cell is guarded.
    """

    def __init__(self, cell: Cell, tools: Tools, guard: Guard) -> None:
        self._cell, self._tools, self._guard = cell, tools, guard

    def application(self, saver: Any, *, node_timeout: float | None = None) -> Any:
        """Build the application."""
        tool = self._cell.kind.tool
        made = [self._asking() if tool == ASK_CLERK else self._tools.acting(tool)]
        if self._cell.moment is Moment.BESIDE_SIBLING:
            made.append(self._tools.sibling(self._cell.kind.watched))
        return self._built(self._cell.build, made, node_timeout, checkpointer=saver)

    def _asking(self) -> BaseTool:
        """Make the tool with an agent inside: with the checkpointer of the graph around it, or with none."""
        build = Build.READY_MADE if self._cell.build is Build.READY_MADE else Build.HOOKED
        if self._cell.kind.inner_saved:
            return self._tools.asking(self._built(build, [self._tools.acting(PAY)], checkpointer=None))
        clerk = self._built(build, [self._tools.acting(PAY)], checkpointer=False)
        # LangGraph 1.2 fails where a graph without a checkpointer inherits durability="sync".
        return self._tools.asking(clerk, durability="async")

    def _built(self, build: Build, tools: list[BaseTool], node_timeout: float | None = None, **compiled: Any) -> Any:
        # As a real one does, the model gives new ids to calls that it is asked for again.
        calls = [call(tool.name, f"{tool.name}-of-{os.getpid()}", number=NUMBER) for tool in tools]
        model = Buyer(replies=[says(*calls)])
        if build is Build.READY_MADE:
            middleware = [CoordinationMiddleware(self._guard)] if self._cell.guarded else []
            return create_agent(model, tools, middleware=middleware, **compiled)
        return _loop(model, self._node(build, tools), node_timeout).compile(**compiled)

    def _node(self, build: Build, tools: list[BaseTool]) -> Any:
        if not self._cell.guarded:
            return ToolNode(tools)
        match build:
            case Build.WRAPPED:
                return ToolNode(self._guard.wrap_tools(tools))
            case Build.BY_HAND:
                return _calling(self._guard.wrap_tools(tools))
            case _:
                return self._guard.tool_node(tools)


def _loop(model: Buyer, tools: Any, timeout: float | None) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_node("tools", tools, timeout=timeout)
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    return builder


def _calling(tools: list[BaseTool]) -> Any:
    """Make a node that calls tools itself, as people write it."""
    named = {tool.name: tool for tool in tools}

    def node(state: MessagesState) -> dict[str, Any]:
        asking = state["messages"][-1]
        assert isinstance(asking, AIMessage)
        return {"messages": [named[wanted["name"]].invoke(wanted) for wanted in asking.tool_calls]}

    return node
