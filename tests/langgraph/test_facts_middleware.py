"""How create_agent composes middleware, and where in the stack a guard has to stand."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    ToolRetryMiddleware,
    TracePolicy,
    omit_payload,
)
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from .scripted import ScriptedModel, call, play, results, says, thread

MODES = ["sync", "async"]


@tool
def pay(amount: int = 1) -> str:
    """Pay."""
    return f"paid {amount}"


def one_call(name: str = "pay", **args: Any) -> ScriptedModel:
    return ScriptedModel(replies=[says(call(name, **args)), says(text="done")])


def human() -> dict[str, Any]:
    return {"messages": [HumanMessage("go")]}


class Observer(AgentMiddleware):
    """Tells where it is entered and left, and keeps the requests."""

    def __init__(self, label: str = "observer", events: list[str] | None = None) -> None:
        super().__init__()
        self.label = label
        self.events = events if events is not None else []
        self.requests: list[ToolCallRequest] = []

    @property
    def name(self) -> str:
        return self.label

    def before_model(self, state: Any, runtime: Any) -> None:
        self.events.append(f"before {self.label}")

    def after_model(self, state: Any, runtime: Any) -> None:
        self.events.append(f"after {self.label}")

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
        self.requests.append(request)
        self.events.append(f"enter {self.label}")
        result = handler(request)
        self.events.append(f"leave {self.label}")
        return result

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        self.requests.append(request)
        self.events.append(f"enter {self.label}")
        result = await handler(request)
        self.events.append(f"leave {self.label}")
        return result


@pytest.mark.parametrize("mode", MODES)
def test_the_first_middleware_is_outermost_and_the_last_to_see_the_models_answer(mode: str) -> None:
    events: list[str] = []
    agent = create_agent(one_call(), [pay], middleware=[Observer("A", events), Observer("B", events)])

    play(agent, human(), mode=mode)

    around_model = ["before A", "before B", "after B", "after A"]
    assert events == [*around_model, "enter A", "enter B", "leave B", "leave A", *around_model]


def test_a_middleware_is_named_after_its_class_and_no_two_may_share_a_name() -> None:
    class Guard(AgentMiddleware):
        pass

    assert Guard().name == "Guard"
    with pytest.raises(AssertionError, match="duplicate"):
        create_agent(one_call(), [pay], middleware=[Guard(), Guard()])


class OnlyAsync(AgentMiddleware):
    async def awrap_tool_call(self, request: ToolCallRequest, handler: Any) -> Any:
        return await handler(request)


class OnlySync(AgentMiddleware):
    def wrap_tool_call(self, request: ToolCallRequest, handler: Any) -> Any:
        return handler(request)


@pytest.mark.parametrize(("middleware", "works", "fails"), [(OnlySync, "sync", "async"), (OnlyAsync, "async", "sync")])
def test_a_middleware_with_one_hook_of_the_pair_fails_in_the_other_mode(
    middleware: type[AgentMiddleware], works: str, fails: str
) -> None:
    def agent() -> Any:
        return create_agent(one_call(), [pay], middleware=[middleware()])

    assert results(play(agent(), human(), mode=works))[0].content == "paid 1"
    with pytest.raises(NotImplementedError):
        play(agent(), human(), mode=fails)


@pytest.mark.parametrize("mode", MODES)
def test_a_tool_that_was_added_to_the_model_request_arrives_as_none(mode: str) -> None:
    @tool
    def refund() -> str:
        """Refund."""
        return "refunded"

    class Adding(AgentMiddleware):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            return handler(request.override(tools=[*request.tools, refund]))

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            return await handler(request.override(tools=[*request.tools, refund]))

        def wrap_tool_call(self, request: ToolCallRequest, handler: Any) -> Any:
            return handler(request.override(tool=refund))

        async def awrap_tool_call(self, request: ToolCallRequest, handler: Any) -> Any:
            return await handler(request.override(tool=refund))

    outside, inside = Observer("outside"), Observer("inside")
    agent = create_agent(one_call("refund"), [pay], middleware=[outside, Adding(), inside])

    state = play(agent, human(), mode=mode)

    assert [request.tool for request in outside.requests] == [None]
    assert [request.tool for request in inside.requests] == [refund]
    assert results(state)[0].content == "refunded"


def edited(amount: int) -> Command:
    decision = {"type": "edit", "edited_action": {"name": "pay", "args": {"amount": amount}}}
    return Command(resume={"decisions": [decision]})


@pytest.mark.parametrize("mode", MODES)
def test_only_inside_of_human_in_the_loop_are_the_edited_arguments_seen(mode: str) -> None:
    outside, inside = Observer("outside"), Observer("inside")
    stack = [outside, HumanInTheLoopMiddleware(interrupt_on={"pay": True}), inside]
    agent = create_agent(one_call(amount=1), [pay], middleware=stack, checkpointer=InMemorySaver())

    play(agent, human(), thread(), mode=mode)
    assert not outside.requests
    state = play(agent, edited(amount=5), thread(), mode=mode)

    assert [request.tool_call["args"] for request in outside.requests] == [{"amount": 1}]
    assert [request.tool_call["args"] for request in inside.requests] == [{"amount": 5}]
    assert results(state)[0].content.endswith("paid 5")


@pytest.mark.parametrize("mode", MODES)
def test_the_retry_middleware_runs_a_failing_call_three_times_and_then_answers_with_an_error(mode: str) -> None:
    attempts: list[int] = []

    @tool
    def unreliable() -> str:
        """Take effect, and lose the reply."""
        attempts.append(1)
        raise ConnectionError("reply lost")

    outside, inside = Observer("outside"), Observer("inside")
    retry = ToolRetryMiddleware(initial_delay=0, jitter=False)
    agent = create_agent(one_call("unreliable"), [unreliable], middleware=[outside, retry, inside])

    state = play(agent, human(), mode=mode)

    assert len(attempts) == 3
    assert (len(outside.requests), len(inside.requests)) == (1, 3)
    assert results(state)[0].status == "error"
    assert {request.runtime.execution_info.node_attempt for request in inside.requests} == {1}


@pytest.mark.parametrize("mode", MODES)
def test_create_agent_does_not_handle_tool_errors(mode: str) -> None:
    @tool
    def fail() -> str:
        """Fail."""
        raise ConnectionError("reply lost")

    with pytest.raises(ConnectionError):
        play(create_agent(one_call("fail"), [fail], middleware=[Observer()]), human(), mode=mode)


def test_hooks_come_in_pairs_and_a_trace_policy_can_leave_the_payload_out() -> None:
    hooks = ["before_agent", "before_model", "after_model", "after_agent", "wrap_model_call", "wrap_tool_call"]

    assert all(hasattr(AgentMiddleware, prefix + hook) for hook in hooks for prefix in ("", "a"))
    assert AgentMiddleware.trace_policy is None
    assert TracePolicy(process_inputs=omit_payload).process_inputs is omit_payload


def reachable(value: Any) -> list[Any]:
    """List what a function holds on to, through closures, bound methods and what it wraps."""
    found, pending = [], [value]
    while pending:
        item = pending.pop()
        if any(item is other for other in found):
            continue
        found.append(item)
        pending += [cell.cell_contents for cell in getattr(item, "__closure__", None) or ()]
        pending += [getattr(item, name) for name in ("__wrapped__", "__self__") if hasattr(item, name)]
    return found


@pytest.mark.parametrize("hook", ["_wrap_tool_call", "_awrap_tool_call"])
def test_the_middleware_of_an_agent_can_be_found_behind_the_hooks_of_its_tool_node(hook: str) -> None:
    first, second = Observer("A"), Observer("B")
    agent = create_agent(one_call(), [pay], middleware=[first, second])

    found = reachable(getattr(agent.nodes["tools"].bound, hook))

    assert first in found
    assert second in found
