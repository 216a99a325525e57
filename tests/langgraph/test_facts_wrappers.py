"""What a wrapper around a tool call sees, may change and may return."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.prebuilt import ToolNode, ToolRuntime
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from .scripted import Watcher, asks, both_hooks, call, play, results, tools_only

MODES = ["sync", "async"]

Execute = Callable[[ToolCallRequest], Any]


@tool
def greet(whom: str = "you") -> str:
    """Greet."""
    return f"hello {whom}"


def answering(answer: Callable[[ToolCallRequest], Any]) -> dict[str, Any]:
    """Make a pair of hooks that never executes the tool."""

    async def awrap(request: ToolCallRequest, execute: Any) -> Any:
        return answer(request)

    return {"wrap_tool_call": lambda request, execute: answer(request), "awrap_tool_call": awrap}


def test_a_request_has_four_fields() -> None:
    assert [field.name for field in fields(ToolCallRequest)] == ["tool_call", "tool", "state", "runtime"]


@pytest.mark.parametrize("mode", MODES)
def test_a_wrapper_sees_the_tool_the_call_and_the_state(mode: str) -> None:
    watcher = Watcher()

    play(tools_only(watcher.node([greet])), asks(call("greet", "call-7", whom="Ada")), mode=mode)

    (request,) = watcher.requests
    assert request.tool is greet
    assert request.tool_call == {"name": "greet", "args": {"whom": "Ada"}, "id": "call-7", "type": "tool_call"}
    assert request.state["messages"][-1].id == "ai-1"
    assert request.runtime.tool_call_id == "call-7"


@pytest.mark.parametrize("mode", MODES)
def test_a_wrapper_sees_the_arguments_as_the_model_wrote_them(mode: str) -> None:
    given: list[Any] = []

    @tool
    def order(amount: int, unit: str = "piece") -> str:
        """Order."""
        given.append((amount, unit))
        return "ordered"

    watcher = Watcher()
    play(tools_only(watcher.node([order])), asks(call("order", amount="3")), mode=mode)

    assert watcher.requests[0].tool_call["args"] == {"amount": "3"}
    assert given == [(3, "piece")]


@pytest.mark.parametrize("mode", MODES)
def test_override_can_put_another_tool_in(mode: str) -> None:
    @tool("greet")
    def guarded(whom: str) -> str:
        """Greet under guard."""
        return f"guarded {whom}"

    node = ToolNode([greet], **both_hooks(lambda request: request.override(tool=guarded)))

    state = play(tools_only(node), asks(call("greet", whom="Ada")), mode=mode)

    assert [message.content for message in results(state)] == ["guarded Ada"]


@pytest.mark.parametrize("mode", MODES)
def test_override_leaves_the_first_request_as_it_was(mode: str) -> None:
    requests: list[ToolCallRequest] = []

    def change(request: ToolCallRequest) -> ToolCallRequest:
        requests.append(request)
        return request.override(tool_call={**request.tool_call, "args": {"whom": "all"}})

    state = play(tools_only(ToolNode([greet], **both_hooks(change))), asks(call("greet", whom="Ada")), mode=mode)

    assert [message.content for message in results(state)] == ["hello all"]
    assert requests[0].tool_call["args"] == {"whom": "Ada"}


@dataclass
class GuardedRuntime(ToolRuntime):
    """A runtime that carries something for the tool."""

    fence: int = 0


@pytest.mark.parametrize("mode", MODES)
def test_override_can_hand_a_richer_runtime_to_the_tool(mode: str) -> None:
    given: list[ToolRuntime] = []

    @tool
    def write(runtime: ToolRuntime) -> str:
        """Write."""
        given.append(runtime)
        return "written"

    def enrich(request: ToolCallRequest) -> ToolCallRequest:
        plain = {field.name: getattr(request.runtime, field.name) for field in fields(request.runtime)}
        return request.override(runtime=GuardedRuntime(**plain, fence=7))

    play(tools_only(ToolNode([write], **both_hooks(enrich))), asks(call("write", "call-7")), mode=mode)

    (runtime,) = given
    assert isinstance(runtime, GuardedRuntime)
    assert (runtime.fence, runtime.tool_call_id) == (7, "call-7")


@pytest.mark.parametrize("mode", MODES)
def test_a_wrapper_may_answer_with_a_message_without_running_the_tool(mode: str) -> None:
    node = ToolNode([greet], **answering(lambda r: ToolMessage("refused", tool_call_id=r.tool_call["id"])))

    state = play(tools_only(node), asks(call("greet")), mode=mode)

    assert [message.content for message in results(state)] == ["refused"]


@pytest.mark.parametrize("mode", MODES)
def test_a_wrapper_may_answer_with_a_command(mode: str) -> None:
    def answer(request: ToolCallRequest) -> Command:
        message = ToolMessage("by command", tool_call_id=request.tool_call["id"])
        return Command(update={"messages": [message, HumanMessage("and more")]})

    state = play(tools_only(ToolNode([greet], **answering(answer))), asks(call("greet")), mode=mode)

    assert [message.content for message in state["messages"][1:]] == ["by command", "and more"]


@pytest.mark.parametrize("mode", MODES)
def test_a_wrapper_may_answer_with_a_list_of_both(mode: str) -> None:
    def answer(request: ToolCallRequest) -> list[Any]:
        message = ToolMessage("first", tool_call_id=request.tool_call["id"])
        return [message, Command(update={"messages": [HumanMessage("second")]})]

    state = play(tools_only(ToolNode([greet], **answering(answer))), asks(call("greet")), mode=mode)

    assert [message.content for message in state["messages"][1:]] == ["first", "second"]


@pytest.mark.parametrize("mode", MODES)
def test_what_a_tool_returns_reaches_the_wrapper_as_message_command_or_list(mode: str) -> None:
    message = ToolMessage("own", tool_call_id="call-3")
    update = Command(update={"messages": [ToolMessage("update", tool_call_id="call-2")]})

    @tool
    def command() -> Command:
        """Update the state."""
        return update

    @tool
    def several() -> list:
        """Answer in parts."""
        return [message, Command(update={"messages": [HumanMessage("more")]})]

    watcher = Watcher()
    calls = asks(call("greet", "call-1"), call("command", "call-2"), call("several", "call-3"))
    play(tools_only(watcher.node([greet, command, several])), calls, mode=mode)

    kinds = {type(result) for result in watcher.results}
    assert kinds == {ToolMessage, Command, list}


def test_with_only_the_async_hook_a_sync_run_goes_around_the_wrapper() -> None:
    watcher = Watcher()

    state = tools_only(ToolNode([greet], awrap_tool_call=watcher.awrap)).invoke(asks(call("greet")))

    assert [message.content for message in results(state)] == ["hello you"]
    assert watcher.requests == []


async def test_with_only_the_sync_hook_async_runs_block_the_event_loop() -> None:
    threads: list[threading.Thread] = []

    @tool
    def look() -> str:
        """Look in which thread it runs."""
        threads.append(threading.current_thread())
        return "seen"

    watcher = Watcher()
    graph = tools_only(ToolNode([look], wrap_tool_call=watcher.wrap))
    await graph.ainvoke(asks(call("look", "1"), call("look", "2")))

    assert len(watcher.results) == 2
    assert threads == [threading.current_thread()] * 2


async def test_with_only_the_sync_hook_async_runs_take_one_call_after_the_other() -> None:
    events: list[str] = []

    def wrap(request: ToolCallRequest, execute: Execute) -> Any:
        events.append(f"{request.tool_call['id']} enters")
        result = execute(request)
        events.append(f"{request.tool_call['id']} leaves")
        return result

    await tools_only(ToolNode([greet], wrap_tool_call=wrap)).ainvoke(asks(call("greet", "1"), call("greet", "2")))

    assert events == ["1 enters", "1 leaves", "2 enters", "2 leaves"]


async def test_with_only_the_sync_hook_an_async_tool_cannot_run() -> None:
    @tool
    async def greet_later() -> str:
        """Greet."""
        return "hello"

    graph = tools_only(ToolNode([greet_later], wrap_tool_call=Watcher().wrap))

    with pytest.raises(NotImplementedError):
        await graph.ainvoke(asks(call("greet_later")))


@pytest.mark.parametrize("mode", MODES)
def test_an_unregistered_tool_arrives_as_none_and_runs_when_put_in(mode: str) -> None:
    arrived: list[Any] = []

    def put_in(request: ToolCallRequest) -> ToolCallRequest:
        arrived.append(request.tool)
        return request.override(tool=greet)

    state = play(tools_only(ToolNode([], **both_hooks(put_in))), asks(call("greet", whom="Ada")), mode=mode)

    assert arrived == [None]
    assert [message.content for message in results(state)] == ["hello Ada"]
