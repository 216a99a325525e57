"""Which calls are the same call: the idempotency key over repetitions, and between calls that are all meant."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.runtime import Runtime
from langgraph.types import Command, RetryPolicy, Send

from clawproof_langgraph import Coordinator, ToolPolicy
from clawproof_langgraph import current_call as running
from tests.langgraph.scripted import ScriptedModel, asks, call, play, results, says, thread, tools_only

from .stage import Build, as_tool, guarded, hooked, human, ready_made, turn, types_of, use, wrapped
from .till import Till

pytestmark = pytest.mark.filterwarnings("ignore:A RetryPolicy on node:clawproof_langgraph.errors.ClawproofWarning")

BUILDS = [hooked, wrapped, ready_made]


def resumed(till: Till, mode: str) -> None:
    graph = hooked(till.guard, turn(call("pay", "1"), call("approve", "2")), till.tools())
    play(graph, human(), thread(), mode=mode)
    play(graph, Command(resume="yes"), thread(), mode=mode)


def retried(till: Till, mode: str) -> None:
    node = till.guard.tool_node(till.tools())
    retry = RetryPolicy(initial_interval=0, jitter=False)
    graph = tools_only(node, node={"retry_policy": retry}, checkpointer=InMemorySaver())
    play(graph, asks(call("pay", "1"), call("break_once", "2")), thread(), mode=mode)


def gone_on(till: Till, mode: str) -> None:
    graph = hooked(till.guard, turn(call("pay", "1"), call("break_once", "2")), till.tools())
    with pytest.raises(ConnectionError):
        play(graph, human(), thread(), mode=mode)
    play(graph, None, thread(), mode=mode)


def replayed(till: Till, mode: str) -> None:
    graph = hooked(till.guard, turn(call("pay", "1")), till.tools())
    play(graph, human(), thread(), mode=mode)
    before = next(state for state in graph.get_state_history(thread()) if state.next == ("tools",))
    play(graph, None, before.config, mode=mode)


@pytest.mark.parametrize("repeated", [resumed, retried, gone_on, replayed])
def test_a_repetition_keeps_the_key(coordinator: Coordinator, mode: str, repeated: Callable[[Till, str], None]) -> None:
    till = Till(coordinator)

    repeated(till, mode)

    assert len(till.keys()) == 2 and len(set(till.keys())) == 1
    assert till.paid == [1]


@pytest.mark.parametrize("build", BUILDS)
def test_other_arguments_and_other_ids_in_one_message_are_other_calls(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    till = Till(coordinator)
    calls = [call("pay", "1", amount=1), call("pay", "2", amount=2), call("pay", "3", amount=1)]

    state = play(build(till.guard, turn(*calls), till.tools()), human(), thread(), mode=mode)

    assert sorted(till.paid) == [1, 1, 2] and len(set(till.keys())) == 3
    assert [message.content for message in results(state)] == ["paid 1", "paid 2", "paid 1"]


@pytest.mark.parametrize("build", BUILDS)
def test_calls_with_the_same_id_in_one_message_both_run_and_neither_again(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    till = Till(coordinator)
    calls = [call("pay", "twin"), call("pay", "twin"), call("approve", "2")]
    graph = build(till.guard, turn(*calls), till.tools())

    for value in (human(), Command(resume="yes")):
        play(graph, value, thread(), mode=mode)

    assert till.paid == [1, 1] and len(set(till.keys())) == 2


@pytest.mark.parametrize("build", BUILDS)
def test_the_next_turn_may_ask_for_the_same_call_with_the_same_id(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    till = Till(coordinator)
    replies = [says(call("pay", "1")), says(text="done"), says(call("pay", "1")), says(text="done")]
    graph = build(till.guard, ScriptedModel(replies=replies), till.tools())

    play(graph, human("pay"), thread(), mode=mode)
    play(graph, human("pay again"), thread(), mode=mode)

    assert till.paid == [1, 1] and len(set(till.keys())) == 2


@pytest.mark.parametrize("build", BUILDS)
def test_another_thread_may_ask_for_the_same_call(coordinator: Coordinator, mode: str, build: Build) -> None:
    till = Till(coordinator)
    for name in ("a", "b"):
        play(build(till.guard, turn(call("pay", "1")), till.tools()), human(), thread(name), mode=mode)

    assert till.paid == [1, 1] and len(set(till.keys())) == 2


def test_the_same_message_in_another_thread_is_another_call(coordinator: Coordinator) -> None:
    till = Till(coordinator)
    graph = tools_only(till.guard.tool_node(till.tools()), checkpointer=InMemorySaver())
    for name in ("a", "b"):
        graph.invoke(asks(call("pay", "1")), thread(name))

    assert till.paid == [1, 1] and len(set(till.keys())) == 2


def test_without_a_thread_a_key_is_fresh(coordinator: Coordinator, mode: str) -> None:
    till = Till(coordinator)
    graph = tools_only(till.guard.tool_node(till.tools()))
    for _ in range(2):
        play(graph, asks(call("pay", "1")), mode=mode)

    assert till.paid == [1, 1] and len(set(till.keys())) == 2


@pytest.mark.parametrize("build", [hooked, wrapped])
def test_without_a_thread_the_attempts_of_a_node_are_the_same_call(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    till = Till(coordinator)
    tools = ToolNode(till.guard.wrap_tools(till.tools())) if build is wrapped else till.guard.tool_node(till.tools())
    graph = tools_only(tools, node={"retry_policy": RetryPolicy(initial_interval=0.01, jitter=False)})

    state = play(graph, asks(call("pay", "1"), call("break_once", "2")), mode=mode)

    assert [message.content for message in results(state)] == ["paid 1", "ok"]
    assert till.paid == [1] and len(set(till.keys())) == 1


def test_without_a_thread_calls_of_two_messages_with_the_same_id_are_two(coordinator: Coordinator, mode: str) -> None:
    """Some models number their calls anew in each message."""
    till = Till(coordinator)
    pay = till.guard.wrap_tools(till.tools())[0]

    def twice(state: Any) -> dict[str, Any]:
        return {"messages": [pay.invoke(call("pay", "call_0")), pay.invoke(call("pay", "call_0"))]}

    builder = StateGraph(MessagesState)
    builder.add_node("node", twice)
    builder.add_edge(START, "node")
    play(builder.compile(), human(), mode=mode)

    assert till.paid == [1, 1]


def test_outside_of_a_graph_a_message_may_be_run_again(coordinator: Coordinator) -> None:
    till = Till(coordinator)
    node = till.guard.tool_node(till.tools())
    for _ in range(2):
        node.invoke(asks(call("pay", "1")), {"configurable": {"__pregel_runtime": Runtime()}})

    assert till.paid == [1, 1]


def test_the_state_of_the_graph_is_read_with_the_arguments_that_langgraph_gives(coordinator: Coordinator) -> None:
    """LangGraph's own tests put in a reader that has no defaults."""
    till, asked = Till(coordinator), []

    def read(scratchpad: Any, channels: Any, managed: Any, task: Any, select: list[str], fresh: bool) -> Any:
        asked.append(select)
        return asks(call("pay", "1"))

    pay = till.guard.wrap_tool(till.tools()[0])
    pay.invoke(call("pay", "1"), {"configurable": {"__pregel_read": partial(read, None, {"messages": None}, {}, None)}})

    assert till.paid == [1] and asked == [["messages"]]


def test_both_branches_of_a_fan_out_with_equal_ids_run(coordinator: Coordinator) -> None:
    till = Till(coordinator)
    replies = [says(call("pay", "1")), says(call("pay", "1")), says(text="done"), says(text="done")]
    model = ScriptedModel(replies=replies)
    builder = StateGraph(MessagesState)
    # Each branch only asks and pays, so that both take one of the calls from the script.
    worker = StateGraph(MessagesState)
    worker.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    worker.add_node("tools", till.guard.tool_node(till.tools()))
    worker.add_edge(START, "model")
    worker.add_edge("model", "tools")
    builder.add_node("worker", worker.compile())
    builder.add_conditional_edges(START, lambda state: [Send("worker", state), Send("worker", state)])
    builder.add_edge("worker", END)

    builder.compile(checkpointer=InMemorySaver()).invoke(human(), thread())

    assert till.paid == [1, 1] and len(set(till.keys())) == 2


def test_the_message_is_found_under_another_name_and_in_a_list(coordinator: Coordinator) -> None:
    till = Till(coordinator)
    message = AIMessage("", tool_calls=[call("pay", "1")], id="ai-1")

    class Chat(MessagesState):
        chat: list[Any]

    builder = StateGraph(Chat)
    builder.add_node("tools", till.guard.tool_node(till.tools(), messages_key="chat"))
    builder.add_edge(START, "tools")
    builder.add_edge("tools", END)
    graph = builder.compile()
    for _ in range(2):
        graph.invoke({"chat": [HumanMessage("pay"), message], "messages": []}, thread())

    assert till.paid == [1]


def test_a_key_may_be_made_by_a_function_of_the_arguments(coordinator: Coordinator, face: str) -> None:
    def order(number: int) -> str:
        """Order."""
        call = running()
        assert call is not None
        return call.idempotency_key

    copy = guarded(coordinator, as_tool(order, face), ToolPolicy(key=lambda values: f"order-{values['number']}"))

    assert use(copy, face, number=3).content == "order-3"


def test_sub_keys_name_the_effects_of_one_call_alike_over_its_repetitions(coordinator: Coordinator) -> None:
    seen: list[tuple[str, str]] = []

    def order(number: int) -> str:
        """Order, with two effects."""
        call = running()
        assert call is not None
        seen.append((call.sub_key("charge"), call.sub_key("ship")))
        raise ConnectionError("reply lost")

    copy = guarded(coordinator, as_tool(order, "sync"), ToolPolicy(key="order/{number}", effect="keyed", retry=False))
    for number in (1, 1, 2):
        with pytest.raises(ConnectionError):
            use(copy, number=number)

    assert seen[0] == seen[1] != seen[2]
    assert seen[0][0] != seen[0][1]


def test_a_reader_has_no_key_and_is_never_replayed(coordinator: Coordinator, face: str) -> None:
    def look() -> str:
        """Look."""
        call = running()
        assert call is not None
        return f"key: {call.idempotency_key!r}"

    copy = guarded(coordinator, as_tool(look, face), ToolPolicy(effect="read", locks=["shelf"]))
    node = ToolNode([copy])
    for _ in range(2):
        play(tools_only(node), asks(call("look")), thread(), mode="sync" if face == "sync" else "async")

    assert types_of(coordinator).count("call.started") == 2
    assert types_of(coordinator).count("call.replayed") == 0
    assert use(copy, face).content == "key: ''"


def test_a_call_repeated_over_a_new_store_keeps_its_key_and_shows_nothing_of_its_arguments() -> None:
    """A service that knows the key still refuses the second payment; who reads the store cannot try out amounts."""
    keys, fingerprints = set(), set()
    for _ in range(2):
        with Coordinator.from_url("memory://") as coordinator:
            till = Till(coordinator)
            graph = tools_only(till.guard.tool_node(till.tools()), checkpointer=InMemorySaver())
            graph.invoke(asks(call("pay", "1")), thread("a"))
            keys |= set(till.keys())
            fingerprints |= {row.fingerprint for row in coordinator._backend._tables.records.values()}  # type: ignore[attr-defined]

    assert (len(keys), len(fingerprints)) == (1, 2)
