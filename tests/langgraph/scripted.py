"""A chat model that plays a script, and the smallest graphs that call tools."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.prebuilt.tool_node import ToolCallRequest
from pydantic import PrivateAttr

PATIENCE = 10.0
"""Seconds that a test waits for an event which is certain to come."""


class ScriptedModel(BaseChatModel):
    """Plays the given replies in order, from any thread, and keeps the messages that it was shown."""

    replies: list[AIMessage]
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _seen: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def seen(self) -> list[list[BaseMessage]]:
        """The messages of each call so far."""
        return self._seen

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable:
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._lock:
            position = len(self._seen)
            self._seen.append(list(messages))
        if position >= len(self.replies):
            raise AssertionError(f"the script has {len(self.replies)} replies, and one more was asked for")
        # A copy, because LangGraph writes a fresh id into a message that has none.
        return ChatResult(generations=[ChatGeneration(message=self.replies[position].model_copy(deep=True))])


def call(name: str, call_id: str | None = "call-1", /, **args: Any) -> ToolCall:
    """Make the tool call that a model would emit."""
    return ToolCall(name=name, args=args, id=call_id, type="tool_call")


def says(*calls: ToolCall, text: str = "", message_id: str | None = None) -> AIMessage:
    """Make an AIMessage with these tool calls; without calls it ends an agent's turn."""
    return AIMessage(content=text, tool_calls=list(calls), id=message_id)


def asks(*calls: ToolCall) -> dict[str, list[BaseMessage]]:
    """Make the state of a graph whose next step is to run these calls."""
    return {"messages": [says(*calls, message_id="ai-1")]}


def tools_only(tools: Sequence[Any] | ToolNode, *, node: dict[str, Any] | None = None, **compiled: Any) -> Any:
    """Compile START -> tools -> END; `node` goes to add_node, the rest to compile."""
    builder = StateGraph(MessagesState)
    builder.add_node("tools", tools if isinstance(tools, ToolNode) else ToolNode(tools), **(node or {}))
    builder.add_edge(START, "tools")
    builder.add_edge("tools", END)
    return builder.compile(**compiled)


def agent_loop(model: ScriptedModel, tools: ToolNode, **compiled: Any) -> CompiledStateGraph:
    """Compile the usual hand-written loop of a model and one ToolNode."""
    builder = StateGraph(MessagesState)
    builder.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_node("tools", tools)
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    return builder.compile(**compiled)


def play(graph: Any, value: Any, config: RunnableConfig | None = None, *, mode: str = "sync", **options: Any) -> Any:
    """Run the graph with invoke, or with ainvoke on an event loop of its own."""
    if mode == "sync":
        return graph.invoke(value, config, **options)
    return asyncio.run(graph.ainvoke(value, config, **options))


def thread(thread_id: str = "thread-1") -> RunnableConfig:
    """Make the config of a conversation."""
    return {"configurable": {"thread_id": thread_id}}


def results(state: dict[str, Any]) -> list[ToolMessage]:
    """Pick the ToolMessages of a state."""
    return [message for message in state["messages"] if isinstance(message, ToolMessage)]


def both_hooks(change: Callable[[ToolCallRequest], ToolCallRequest]) -> dict[str, Any]:
    """Make a pair of hooks that changes the request and executes it."""

    def wrap(request: ToolCallRequest, execute: Callable[[ToolCallRequest], Any]) -> Any:
        return execute(change(request))

    async def awrap(request: ToolCallRequest, execute: Callable[[ToolCallRequest], Awaitable[Any]]) -> Any:
        return await execute(change(request))

    return {"wrap_tool_call": wrap, "awrap_tool_call": awrap}


@dataclass(frozen=True)
class Identity:
    """What a wrapper can know about the call that it wraps."""

    thread_id: str | None
    tool_call_id: str | None
    message_id: str | None
    task_id: str
    checkpoint_id: str
    checkpoint_ns: str
    step: int
    attempt: int
    run_id: str | None

    @classmethod
    def of(cls, request: ToolCallRequest) -> "Identity":
        info = request.runtime.execution_info
        message = next(m for m in reversed(request.state["messages"]) if isinstance(m, AIMessage))
        return cls(
            thread_id=info.thread_id,
            tool_call_id=request.tool_call["id"],
            message_id=message.id,
            task_id=info.task_id,
            checkpoint_id=info.checkpoint_id,
            checkpoint_ns=info.checkpoint_ns,
            step=request.runtime.config["metadata"]["langgraph_step"],
            attempt=info.node_attempt,
            run_id=info.run_id,
        )


class Watcher:
    """A pair of pass-through hooks that keeps what it saw."""

    def __init__(self) -> None:
        self.requests: list[ToolCallRequest] = []
        self.results: list[Any] = []
        self.errors: list[BaseException] = []

    def node(self, tools: Sequence[Any], **options: Any) -> ToolNode:
        """Make a ToolNode with both hooks."""
        return ToolNode(tools, wrap_tool_call=self.wrap, awrap_tool_call=self.awrap, **options)

    def identities(self, name: str) -> list[Identity]:
        """Tell how the calls of one tool were named, in the order of execution."""
        return [Identity.of(request) for request in self.requests if request.tool_call["name"] == name]

    def wrap(self, request: ToolCallRequest, execute: Callable[[ToolCallRequest], Any]) -> Any:
        self.requests.append(request)
        try:
            result = execute(request)
        except BaseException as error:
            self.errors.append(error)
            raise
        self.results.append(result)
        return result

    async def awrap(self, request: ToolCallRequest, execute: Callable[[ToolCallRequest], Awaitable[Any]]) -> Any:
        self.requests.append(request)
        try:
            result = await execute(request)
        except BaseException as error:
            self.errors.append(error)
            raise
        self.results.append(result)
        return result
