"""What must leave a wrapper untouched, because LangGraph steers by it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import (
    GraphBubbleUp,
    GraphDrained,
    GraphInterrupt,
    NodeInterrupt,
    ParentCommand,
    is_invalid_resume,
)
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command, Send, interrupt
from langgraph.warnings import LangGraphDeprecatedSinceV10
from pydantic import ValidationError

from .scripted import Watcher, asks, call, play, results, thread, tools_only

MODES = ["sync", "async"]


def raising(error: BaseException) -> BaseTool:
    """Make a tool that raises this."""

    @tool
    def leave() -> str:
        """Leave."""
        raise error

    return leave


@tool
def approve() -> str:
    """Ask a human."""
    return interrupt("approve?")


def test_all_that_bubbles_up_is_a_plain_exception() -> None:
    # So `except Exception` swallows an interrupt, and a retry library tries it again.
    for kind in (GraphInterrupt, NodeInterrupt, ParentCommand, GraphDrained):
        assert issubclass(kind, GraphBubbleUp)
    assert GraphBubbleUp.__mro__[1] is Exception


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("settings", [{}, {"handle_tool_errors": True}], ids=["default", "handled"])
def test_an_interrupt_passes_the_wrapper_as_an_exception_and_suspends_the_run(mode: str, settings: Any) -> None:
    watcher = Watcher()
    graph = tools_only(watcher.node([approve], **settings), checkpointer=InMemorySaver())

    state = play(graph, asks(call("approve")), thread(), mode=mode)

    assert [type(error) for error in watcher.errors] == [GraphInterrupt]
    assert [pending.value for pending in state["__interrupt__"]] == ["approve?"]
    assert graph.get_state(thread()).next == ("tools",)


@pytest.mark.parametrize("mode", MODES)
def test_a_resumed_call_gets_the_answer_where_it_asked(mode: str) -> None:
    watcher = Watcher()
    graph = tools_only(watcher.node([approve]), checkpointer=InMemorySaver())

    play(graph, asks(call("approve")), thread(), mode=mode)
    state = play(graph, Command(resume="yes"), thread(), mode=mode)

    assert [message.content for message in results(state)] == ["yes"]
    assert len(watcher.requests) == 2


def test_a_wrapper_that_catches_exceptions_swallows_an_interrupt() -> None:
    def careless(request: ToolCallRequest, execute: Callable[[ToolCallRequest], Any]) -> Any:
        try:
            return execute(request)
        except Exception:  # noqa: BLE001 - this is the mistake that the test shows
            return ToolMessage("swallowed", tool_call_id=request.tool_call["id"])

    graph = tools_only(ToolNode([approve], wrap_tool_call=careless), checkpointer=InMemorySaver())
    state = graph.invoke(asks(call("approve")), thread())

    assert "__interrupt__" not in state
    assert [message.content for message in results(state)] == ["swallowed"]


def test_the_deprecated_interrupt_suspends_the_run_too() -> None:
    @tool
    def ask() -> str:
        """Ask."""
        raise NodeInterrupt("approve?")

    graph = tools_only(Watcher().node([ask], handle_tool_errors=True), checkpointer=InMemorySaver())

    with pytest.warns(LangGraphDeprecatedSinceV10):
        state = graph.invoke(asks(call("ask")), thread())

    assert [pending.value for pending in state["__interrupt__"]] == ["approve?"]


@pytest.mark.parametrize("mode", MODES)
def test_draining_passes_although_errors_are_handled(mode: str) -> None:
    watcher = Watcher()
    graph = tools_only(watcher.node([raising(GraphDrained("deploy"))], handle_tool_errors=True))

    with pytest.raises(GraphDrained):
        play(graph, asks(call("leave")), mode=mode)

    assert [type(error) for error in watcher.errors] == [GraphDrained]


def parent_of(tools: ToolNode) -> Any:
    """Make a graph with a sub-agent that has these tools, beside a node that hands over to the human."""
    builder = StateGraph(MessagesState)
    builder.add_node("agent", tools_only(tools), destinations=("human",))
    builder.add_node("human", lambda state: {"messages": [HumanMessage("taken over")]})
    builder.add_edge(START, "agent")
    builder.add_edge("human", END)
    return builder.compile()


@pytest.mark.parametrize("mode", MODES)
def test_a_handoff_that_a_tool_returns_reaches_the_wrapper_as_a_command(mode: str) -> None:
    @tool
    def hand_over() -> Command:
        """Hand over."""
        message = ToolMessage("handed over", tool_call_id="call-1")
        return Command(graph=Command.PARENT, goto="human", update={"messages": [message]})

    watcher = Watcher()
    state = play(parent_of(watcher.node([hand_over])), asks(call("hand_over")), mode=mode)

    assert watcher.errors == []
    assert [type(result) for result in watcher.results] == [Command]
    assert [message.content for message in state["messages"]][-2:] == ["handed over", "taken over"]


@pytest.mark.parametrize("mode", MODES)
def test_a_handoff_of_an_agent_inside_a_tool_passes_the_wrapper_as_an_exception_and_succeeds(mode: str) -> None:
    inner = StateGraph(MessagesState)
    inner.add_node("leave", lambda state: Command(graph=Command.PARENT, update={"messages": [HumanMessage("bye")]}))
    inner.add_edge(START, "leave")
    inner_graph = inner.compile()

    @tool
    def delegate() -> str:
        """Ask an agent that hands over."""
        inner_graph.invoke({"messages": []})
        return "never"

    watcher = Watcher()
    graph = tools_only(watcher.node([delegate], handle_tool_errors=True))
    state = play(graph, asks(call("delegate")), mode=mode)

    (error,) = watcher.errors
    assert isinstance(error, ParentCommand)
    assert isinstance(error.args[0], Command)
    assert state["messages"][-1].content == "bye"


def test_parent_commands_of_several_calls_become_one() -> None:
    @tool
    def hand_over(to: str) -> Command:
        """Hand over."""
        return Command(graph=Command.PARENT, goto=[Send("human", {"messages": []})])

    state = parent_of(ToolNode([hand_over])).invoke(
        asks(call("hand_over", "1", to="a"), call("hand_over", "2", to="b"))
    )

    assert [message.content for message in state["messages"]][-2:] == ["taken over", "taken over"]


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_does_not_fit_fails_the_run_marked_and_can_be_given_again(mode: str) -> None:
    @tool
    def ask_amount() -> str:
        """Ask for a number."""
        return str(interrupt("how many?", response_schema=int))

    watcher = Watcher()
    graph = tools_only(watcher.node([ask_amount], handle_tool_errors=True), checkpointer=InMemorySaver())
    play(graph, asks(call("ask_amount")), thread(), mode=mode)

    with pytest.raises(ValidationError) as raised:
        play(graph, Command(resume="many"), thread(), mode=mode)
    state = play(graph, Command(resume=3), thread(), mode=mode)

    assert is_invalid_resume(raised.value)
    assert is_invalid_resume(watcher.errors[-1])
    assert not is_invalid_resume(ValueError())
    assert [message.content for message in results(state)] == ["3"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)], ids=["KeyboardInterrupt", "SystemExit"])
def test_what_ends_the_process_passes_although_errors_are_handled(error: BaseException) -> None:
    watcher = Watcher()
    graph = tools_only(watcher.node([raising(error)], handle_tool_errors=True))

    with pytest.raises(type(error)):
        graph.invoke(asks(call("leave")))

    assert watcher.errors == [error]


async def test_a_cancellation_passes_although_errors_are_handled() -> None:
    started = asyncio.Event()

    @tool
    async def wait() -> str:
        """Wait for ever."""
        started.set()
        return await asyncio.Future()

    watcher = Watcher()
    run = asyncio.create_task(tools_only(watcher.node([wait], handle_tool_errors=True)).ainvoke(asks(call("wait"))))
    await started.wait()
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert [type(error) for error in watcher.errors] == [asyncio.CancelledError]
