"""What a guard lets pass although it protects less than a user may think: a warning, once, and an event."""

import asyncio
import warnings
from typing import Any

import pytest
from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.errors import ClawproofWarning
from clawproof_langgraph.middleware import CoordinationMiddleware
from clawproof_langgraph.model import Note
from tests.langgraph.scripted import ScriptedModel, asks, call, play, results, says, thread, tools_only

from .lending import Lending
from .stage import Build, as_tool, guarded, hooked, human, ready_made, turn, use, wrapped
from .till import Till

BUILDS = [hooked, wrapped, ready_made]
LET_THROUGH = '"reserve" has no policy and runs without coordination'
FRESH = "its idempotency key is fresh"


def reserve(sku: str) -> str:
    """Reserve."""
    return f"reserved {sku}"


def told(coordinator: Coordinator) -> list[tuple[str, str, Any]]:
    """List what the events of unguarded calls tell."""
    return [(event.agent, event.thread, event.data) for event in coordinator.events(types=["call.unguarded"])]


# --- tools without a policy that are let through ----------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*has no policy")
@pytest.mark.parametrize("build", BUILDS)
def test_the_first_call_of_a_tool_that_is_let_through_is_an_event(
    coordinator: Coordinator, build: Build, face: str
) -> None:
    guard = Guard(coordinator, agent="orders", tools={}, unmapped="allow")
    model = turn(call("reserve", "1", sku="a"), call("reserve", "2", sku="b"))
    graph = build(guard, model, [as_tool(reserve, face)])

    state = play(graph, human(), thread(), mode="sync" if face == "sync" else "async")

    assert [message.content for message in results(state)] == ["reserved a", "reserved b"]
    assert told(coordinator) == [("orders", "thread-1", {"tool": "reserve"})]
    assert len(coordinator.events()) == 1


@pytest.mark.filterwarnings("ignore:.*has no policy")
def test_the_event_of_an_unguarded_call_names_the_agent_that_langgraph_knows(
    coordinator: Coordinator, mode: str
) -> None:
    middleware = [CoordinationMiddleware(Guard(coordinator, tools={}, unmapped="allow"))]
    tools = [as_tool(reserve, "sync")]
    agent = create_agent(turn(call("reserve", sku="a")), tools, middleware=middleware, name="orders")

    play(agent, human(), thread(), mode=mode)

    assert told(coordinator) == [("orders", "thread-1", {"tool": "reserve"})]


@pytest.mark.filterwarnings("ignore:.*has no policy")
def test_the_event_of_an_unguarded_call_never_blocks_an_event_loop(
    coordinator: Coordinator, face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = coordinator.tell

    def tell(note: Note) -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        write(note)

    monkeypatch.setattr(coordinator, "tell", tell)
    copy = Guard(coordinator, tools={}, unmapped="allow").wrap_tool(as_tool(reserve, face))

    assert use(copy, face, sku="a").content == "reserved a"
    assert len(told(coordinator)) == 1


@pytest.mark.parametrize("build", [hooked, wrapped])
def test_a_tool_that_is_let_through_is_warned_of_once_when_it_is_put_under_the_guard(
    coordinator: Coordinator, build: Build
) -> None:
    guard, tool = Guard(coordinator, tools={}, unmapped="allow"), as_tool(reserve, "sync")

    with pytest.warns(ClawproofWarning, match=LET_THROUGH):
        build(guard, turn(), [tool])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(guard, turn(), [tool, as_tool(reserve, "sync")])

    assert coordinator.events() == []


def test_a_tool_that_is_supplied_at_a_call_and_let_through_is_warned_of_then(
    coordinator: Coordinator, mode: str
) -> None:
    guard = Guard(coordinator, tools={}, unmapped="allow")
    middleware = [CoordinationMiddleware(guard), Lending(as_tool(reserve, "sync"))]
    agent = create_agent(turn(call("reserve", sku="a")), [], middleware=middleware)

    with pytest.warns(ClawproofWarning, match=LET_THROUGH):
        state = play(agent, human(), thread(), mode=mode)

    assert results(state)[0].content == "reserved a"
    assert len(told(coordinator)) == 1


@pytest.mark.filterwarnings("ignore:.*has no policy")
def test_a_tool_that_one_guard_lets_through_is_guarded_by_one_that_knows_it(
    coordinator: Coordinator, face: str
) -> None:
    lax = Guard(coordinator, tools={}, unmapped="allow")
    strict = Guard(coordinator, tools={"reserve": ToolPolicy(locks=["inventory/{sku}"])})

    copy = strict.wrap_tool(lax.wrap_tool(as_tool(reserve, face)))

    assert use(copy, face, sku="a").content == "reserved a"
    assert [event.type for event in coordinator.events()] == [
        "lock.acquired",
        "call.started",
        "call.done",
        "lock.released",
    ]


def test_langgraphs_own_tools_are_let_through_without_a_word(coordinator: Coordinator, face: str) -> None:
    guard = Guard(coordinator, tools={}, unmapped="allow")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy = guard.wrap_tool(as_tool(reserve, face, name="transfer_to_billing"))
        assert use(copy, face, sku="a").content == "reserved a"

    assert coordinator.events() == []


# --- calls that nothing names -----------------------------------------------------------------------------------


def heard(seen: list[warnings.WarningMessage]) -> list[str]:
    """List what was warned of."""
    return [str(each.message) for each in seen if issubclass(each.category, ClawproofWarning)]


def test_a_tool_that_is_used_outside_of_any_graph_is_not_warned_of(coordinator: Coordinator, face: str) -> None:
    """Nobody expects its repetition to be recognised."""
    copy = Guard(coordinator, tools={"reserve": ToolPolicy()}).wrap_tool(as_tool(reserve, face))

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        use(copy, face, sku="a")

    assert heard(seen) == []


def test_calls_that_nothing_names_are_warned_of_once(coordinator: Coordinator, mode: str) -> None:
    till = Till(coordinator)
    graph = tools_only(till.guard.tool_node(till.tools()))

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(2):
            play(graph, asks(call("pay", "1")), mode=mode)

    (text,) = heard(seen)
    assert '"pay"' in text and FRESH in text
    assert "thread_id" in text and "business `key`" in text


def test_a_graph_without_a_thread_is_warned_of(coordinator: Coordinator, mode: str) -> None:
    till = Till(coordinator)
    graph = tools_only(till.guard.tool_node(till.tools()))

    with pytest.warns(ClawproofWarning, match=FRESH):
        play(graph, asks(call("pay", "1")), mode=mode)


@pytest.mark.parametrize(
    "policy", [ToolPolicy(effect="read", locks=["inventory/{sku}"]), ToolPolicy(key="order/{sku}")]
)
def test_neither_a_read_nor_a_business_key_needs_a_thread(coordinator: Coordinator, face: str, policy: Any) -> None:
    copy = guarded(coordinator, as_tool(reserve, face), policy)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        use(copy, face, sku="a")


@pytest.mark.parametrize("build", BUILDS)
def test_a_call_in_a_thread_and_what_it_calls_is_not_warned_of(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    guard = Guard(coordinator, tools={"reserve": ToolPolicy(), "order": ToolPolicy(effect="delegate")})
    inner = guard.wrap_tool(as_tool(reserve, "sync"))

    def order(sku: str) -> str:
        """Order, by reserving."""
        return str(inner.invoke({"sku": sku}))

    model = ScriptedModel(replies=[says(call("order", sku="a")), says(text="done")])
    graph = build(guard, model, [as_tool(order, "sync")], checkpointer=InMemorySaver())

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        play(graph, human(), thread(), mode=mode)

    assert heard(seen) == []
