"""What names a tool call, and over which repetitions those names stay the same."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, RetryPolicy, Send, interrupt

from .scripted import (
    PATIENCE,
    Identity,
    ScriptedModel,
    Watcher,
    agent_loop,
    asks,
    call,
    play,
    says,
    thread,
    tools_only,
)

MODES = ["sync", "async"]


@tool
def pay() -> str:
    """Pay."""
    return "paid"


@tool
def approve() -> str:
    """Ask a human."""
    return interrupt("approve?")


def fails_once() -> Any:
    """Make a tool that raises a transport error the first time."""
    failures = iter([ConnectionError("reply lost")])

    @tool
    def unreliable() -> str:
        """Fail once."""
        for failure in failures:
            raise failure
        return "ok"

    return unreliable


def conversation(watcher: Watcher, tools: list[Any], *calls: Any) -> Callable[..., Any]:
    """Make an agent that emits these calls in each of two turns; its messages get ids from LangChain."""
    model = ScriptedModel(replies=[says(*calls), says(text="done"), says(*calls), says(text="done")])
    return agent_loop(model, watcher.node(tools), checkpointer=InMemorySaver())


def human(text: str = "go") -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def apart_from_attempt(identity: Identity) -> dict[str, Any]:
    return {name: value for name, value in vars(identity).items() if name != "attempt"}


@pytest.mark.parametrize("mode", MODES)
def test_a_resume_runs_the_siblings_again_under_the_same_identity(mode: str) -> None:
    watcher = Watcher()
    graph = conversation(watcher, [pay, approve], call("pay", "call-1"), call("approve", "call-2"))

    play(graph, human(), thread(), mode=mode)
    play(graph, Command(resume="yes"), thread(), mode=mode)

    first, second = watcher.identities("pay")
    assert first == second
    assert first.thread_id == "thread-1"
    assert first.message_id is not None


@pytest.mark.parametrize("mode", MODES)
def test_a_retry_policy_changes_nothing_but_the_attempt(mode: str) -> None:
    watcher = Watcher()
    policy = RetryPolicy(initial_interval=0, jitter=False, max_attempts=2)
    node = watcher.node([pay, fails_once()])
    graph = tools_only(node, node={"retry_policy": policy}, checkpointer=InMemorySaver())

    play(graph, asks(call("pay"), call("unreliable", "call-2")), thread(), mode=mode)

    first, second = watcher.identities("pay")
    assert (first.attempt, second.attempt) == (1, 2)
    assert apart_from_attempt(first) == apart_from_attempt(second)


@pytest.mark.parametrize("mode", MODES)
def test_going_on_after_an_error_keeps_the_identity(mode: str) -> None:
    watcher = Watcher()
    graph = conversation(watcher, [pay, fails_once()], call("pay"), call("unreliable", "call-2"))

    with pytest.raises(ConnectionError):
        play(graph, human(), thread(), mode=mode)
    play(graph, None, thread(), mode=mode)

    first, second = watcher.identities("pay")
    assert first == second


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("forked", [False, True], ids=["replay", "fork"])
def test_a_replay_from_a_checkpoint_keeps_the_call_but_neither_the_task_nor_the_step(mode: str, forked: bool) -> None:
    watcher = Watcher()
    model = ScriptedModel(replies=[says(call("pay")), says(text="done"), says(text="done again")])
    graph = agent_loop(model, watcher.node([pay]), checkpointer=InMemorySaver())
    play(graph, human(), thread(), mode=mode)
    before_tools = next(s for s in graph.get_state_history(thread()) if s.next == ("tools",))
    start = graph.update_state(before_tools.config, {"messages": []}, "model") if forked else before_tools.config

    play(graph, None, start, mode=mode)

    first, second = watcher.identities("pay")
    assert (first.thread_id, first.tool_call_id, first.message_id) == (
        second.thread_id,
        second.tool_call_id,
        second.message_id,
    )
    assert first.task_id != second.task_id
    assert first.checkpoint_id != second.checkpoint_id
    assert first.checkpoint_ns != second.checkpoint_ns
    assert first.step != second.step


def test_the_next_turn_may_reuse_the_tool_call_id_but_its_message_and_task_differ() -> None:
    watcher = Watcher()
    graph = conversation(watcher, [pay], call("pay", "call-1"))

    graph.invoke(human("pay"), thread())
    graph.invoke(human("pay again"), thread())

    first, second = watcher.identities("pay")
    assert first.tool_call_id == second.tool_call_id
    assert first.thread_id == second.thread_id
    assert first.message_id != second.message_id
    assert first.task_id != second.task_id
    assert first.step != second.step


def test_two_threads_differ_in_everything_but_what_the_model_chose_and_the_step() -> None:
    watcher = Watcher()
    graph = conversation(watcher, [pay], call("pay", "call-1"))

    graph.invoke(human(), thread("a"))
    graph.invoke(human(), thread("b"))

    first, second = watcher.identities("pay")
    assert (first.tool_call_id, first.step) == (second.tool_call_id, second.step)
    assert (first.thread_id, second.thread_id) == ("a", "b")
    assert first.message_id != second.message_id
    assert first.task_id != second.task_id


def test_a_model_that_is_called_again_gives_its_message_a_new_id() -> None:
    # This is what a crash before the checkpoint leads to: the call is the same, its name is not.
    model = ScriptedModel(replies=[says(call("pay")), says(call("pay"))])

    first, second = model.invoke("pay"), model.invoke("pay")

    assert first.tool_calls == second.tool_calls
    assert first.id
    assert second.id
    assert first.id != second.id


def test_an_input_message_without_an_id_gets_a_new_one_each_time_it_is_sent() -> None:
    watcher = Watcher()
    graph = conversation(watcher, [pay], call("pay"))

    graph.invoke(human("the same"), thread("a"))
    graph.invoke(human("the same"), thread("b"))

    first, second = (request.state["messages"][0] for request in watcher.requests)
    assert first.content == second.content
    assert first.id != second.id


@pytest.mark.parametrize("mode", MODES)
def test_two_calls_of_one_message_with_the_same_id_both_run(mode: str) -> None:
    watcher = Watcher()
    graph = tools_only(watcher.node([pay]), checkpointer=InMemorySaver())

    play(graph, asks(call("pay", "twin"), call("pay", "twin")), thread(), mode=mode)

    first, second = watcher.identities("pay")
    assert first == second
    assert len(watcher.results) == 2


def test_a_tool_call_without_an_id_runs_before_it_is_refused() -> None:
    paid: list[str] = []

    @tool
    def charge() -> str:
        """Pay."""
        paid.append("once")
        return "paid"

    watcher = Watcher()
    graph = tools_only(watcher.node([charge]))

    # Without an id the tool hands back its plain value instead of a ToolMessage.
    with pytest.raises(TypeError, match="returned unexpected type"):
        graph.invoke(asks(call("charge", None)))

    assert [identity.tool_call_id for identity in watcher.identities("charge")] == [None]
    assert paid == ["once"]


def test_the_run_id_is_none_unless_the_caller_sets_it() -> None:
    watcher = Watcher()
    graph = tools_only(watcher.node([pay]), checkpointer=InMemorySaver())

    graph.invoke(asks(call("pay")), thread("a"))
    graph.invoke(asks(call("pay")), {**thread("b"), "run_id": "5f9c1d6e-7c0b-4c39-9f0a-3f8f2f9f8a11"})

    assert [str(i.run_id) for i in watcher.identities("pay")] == ["None", "5f9c1d6e-7c0b-4c39-9f0a-3f8f2f9f8a11"]


def test_without_a_checkpointer_there_is_no_thread_but_the_other_fields_are_there() -> None:
    watcher = Watcher()
    graph = tools_only(watcher.node([pay]))

    graph.invoke(asks(call("pay")))

    (identity,) = watcher.identities("pay")
    assert identity.thread_id is None
    assert identity.checkpoint_ns == f"tools:{identity.task_id}"
    assert identity.checkpoint_id
    assert identity.attempt == 1
    assert watcher.requests[0].runtime.server_info is None


def test_a_send_fan_out_gives_both_branches_equal_histories_and_different_message_ids() -> None:
    # Neither branch goes on before both have called, so that each takes one of the calls from the script.
    together = threading.Barrier(2)

    @tool
    def meet() -> str:
        """Wait for the other branch."""
        together.wait(PATIENCE)
        return "met"

    watcher = Watcher()
    model = ScriptedModel(replies=[says(call("meet", "call-1"))] * 2 + [says(text="done")] * 2)
    worker = agent_loop(model, watcher.node([meet]))
    builder = StateGraph(MessagesState)
    builder.add_node("worker", worker)
    builder.add_conditional_edges(START, lambda state: [Send("worker", state), Send("worker", state)])
    builder.add_edge("worker", END)
    graph = builder.compile(checkpointer=InMemorySaver())

    graph.invoke(human(), thread())

    first, second = watcher.identities("meet")
    assert (first.thread_id, first.tool_call_id) == (second.thread_id, second.tool_call_id)
    before = [[m.id for m in request.state["messages"][:-1]] for request in watcher.requests]
    assert before[0] == before[1]
    assert first.message_id != second.message_id


def test_two_runs_of_one_thread_may_be_inside_a_tool_at_the_same_time() -> None:
    together = threading.Barrier(2)

    @tool
    def meet() -> str:
        """Return once both runs are here."""
        together.wait(PATIENCE)
        return "met"

    graph = tools_only(ToolNode([meet]), checkpointer=InMemorySaver())

    with ThreadPoolExecutor(2) as pool:
        states = list(pool.map(lambda _: graph.invoke(asks(call("meet")), thread()), range(2)))

    assert all(state["messages"][-1].content == "met" for state in states)
