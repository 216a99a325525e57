"""An event inbox: what it brings into the state of a graph, and where it leaves what."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AnyMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.events import EventFilter
from clawproof_langgraph.model import Sweep
from tests.subscriptions.conftest import Open
from tests.subscriptions.graphs import STATES, Gathering, Latest, guard_of, numbers, thread, with_inbox

MODES = ["sync", "async"]


def publish(coordinator: Coordinator, *values: int, type: str = "Counted", **about: str) -> list[int]:
    """Publish numbers; give their cursors."""
    return [coordinator.publish(type, data={"n": value}, **about) for value in values]


def play(app: Any, mode: str, given: Any = None, name: str = "t") -> Any:
    """Run a graph in a thread."""
    given = {"events": []} if given is None else given
    return app.invoke(given, thread(name)) if mode == "sync" else asyncio.run(app.ainvoke(given, thread(name)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("state", STATES)
def test_each_run_brings_what_is_new(coordinator: Coordinator, state: Any, mode: str) -> None:
    app = with_inbox(guard_of(coordinator).event_inbox(["Counted"]), state, checkpointer=InMemorySaver())
    publish(coordinator, 0)
    assert numbers(play(app, mode)) == []

    publish(coordinator, 1, 2)
    publish(coordinator, 9, type="Other")

    assert numbers(play(app, mode)) == [1, 2]
    publish(coordinator, 3)
    assert numbers(play(app, mode)) == [1, 2, 3]
    assert numbers(play(app, mode)) == [1, 2, 3]


def test_a_plain_field_holds_the_events_of_the_last_run(coordinator: Coordinator) -> None:
    app = with_inbox(guard_of(coordinator).event_inbox(["Counted"]), Latest, checkpointer=InMemorySaver())
    assert numbers(app.invoke({}, thread())) == []
    publish(coordinator, 1, 2)
    assert numbers(app.invoke({}, thread())) == [1, 2]
    publish(coordinator, 3)
    assert numbers(app.invoke({}, thread())) == [3]
    assert numbers(app.invoke({}, thread())) == []


def test_the_cursors_in_the_state_enclose_the_events(coordinator: Coordinator) -> None:
    app = with_inbox(guard_of(coordinator).event_inbox("Counted"), Latest, checkpointer=InMemorySaver())
    before = app.invoke({}, thread())["events_cursor"]
    assert before["after"] == before["upto"]
    first, second = publish(coordinator, 1, 2)

    after = app.invoke({}, thread())["events_cursor"]

    assert before["upto"] == after["after"] < first < second <= after["upto"]
    assert after["more"] is False


def test_an_event_in_the_state_is_json(coordinator: Coordinator) -> None:
    app = with_inbox(guard_of(coordinator).event_inbox(["Counted"], start="earliest"))
    [cursor] = publish(coordinator, 1, resource="thing/1", agent="counter")

    [event] = app.invoke({})["events"]

    assert json.loads(json.dumps(event)) == event
    shown = {name: event[name] for name in ("cursor", "type", "resources", "agent", "data")}
    assert shown == {
        "cursor": cursor,
        "type": "Counted",
        "resources": ["thing/1"],
        "agent": "counter",
        "data": {"n": 1},
    }
    event["data"]["n"] = 2
    assert coordinator.events(types=["Counted"])[0].data == {"n": 1}, "the log is none of the state's business"


@pytest.mark.parametrize(("start", "expected"), [("now", []), ("earliest", [1, 2, 3]), ("behind", [2, 3])])
def test_the_first_run_begins_where_it_is_told_to(coordinator: Coordinator, start: Any, expected: list[int]) -> None:
    first, *_ = publish(coordinator, 1, 2, 3)
    inbox = guard_of(coordinator).event_inbox(["Counted"], start=first if start == "behind" else start)
    assert numbers(with_inbox(inbox).invoke({})) == expected


def test_a_run_brings_a_bounded_number_and_tells_of_more(coordinator: Coordinator) -> None:
    inbox = guard_of(coordinator).event_inbox(["Counted"], start="earliest", limit=2)
    app = with_inbox(inbox, Latest, checkpointer=InMemorySaver())
    publish(coordinator, 1, 2, 3, 4)
    publish(coordinator, 9, type="Other")

    seen = [app.invoke({}, thread()) for _ in range(3)]

    assert [numbers(state) for state in seen] == [[1, 2], [3, 4], []]
    assert [state["events_cursor"]["more"] for state in seen] == [True, False, False]


def test_a_graph_goes_round_until_there_are_no_more(coordinator: Coordinator) -> None:
    builder = StateGraph(Gathering)
    builder.add_node("inbox", guard_of(coordinator).event_inbox(["Counted"], start="earliest", limit=2))
    builder.add_edge(START, "inbox")
    builder.add_conditional_edges("inbox", lambda state: "inbox" if state["events_cursor"]["more"] else END)
    publish(coordinator, *range(7))
    assert numbers(builder.compile().invoke({})) == list(range(7))


def test_filters_are_those_of_the_log(coordinator: Coordinator) -> None:
    publish(coordinator, 1, resource="thing/1", agent="a")
    publish(coordinator, 2, resource="thing/2", agent="a")
    publish(coordinator, 3, resource="thing/1", agent="b")
    guard = guard_of(coordinator)
    for about, expected in (({"resource": "thing/1"}, [1, 3]), ({"agent": "a"}, [1, 2])):
        app = with_inbox(guard.event_inbox(["Counted"], start="earliest", **about))
        assert numbers(app.invoke({})) == expected


@pytest.mark.parametrize(("skip_own", "expected"), [(None, "abc"), ("agent", "c"), ("thread", "bc")])
def test_an_agent_may_leave_out_what_it_did_itself(coordinator: Coordinator, skip_own: Any, expected: str) -> None:
    @tool
    def write(what: str) -> str:
        """Write."""
        return what

    def writing(agent: str, name: str, what: str) -> None:
        policy = ToolPolicy(locks=["thing/{what}"], emits="Written")
        guard = Guard(coordinator, agent=agent, tools={"write": policy})
        wrapped = guard.wrap_tool(write)
        builder = StateGraph(Latest)
        builder.add_node("work", lambda state: {"events": [wrapped.invoke({"what": what})]})
        builder.add_edge(START, "work")
        builder.compile(checkpointer=InMemorySaver()).invoke({}, thread(name))

    writing("mine", "t", "a")
    writing("mine", "another thread", "b")
    writing("other", "another thread", "c")
    guard = guard_of(coordinator, agent="mine")
    app = with_inbox(guard.event_inbox(["Written"], skip_own=skip_own, start="earliest"), checkpointer=InMemorySaver())

    events = app.invoke({}, thread("t"))["events"]

    assert "".join(event["resources"][0][-1] for event in events) == expected


def test_the_name_of_the_agent_is_found_in_the_run(coordinator: Coordinator) -> None:
    inbox = guard_of(coordinator).event_inbox(["Counted"], skip_own="agent", start="earliest")
    outer = StateGraph(Gathering)
    outer.add_node("orders", with_inbox(inbox))
    outer.add_edge(START, "orders")
    publish(coordinator, 1, agent="orders")
    publish(coordinator, 2, agent="stock")
    assert numbers(outer.compile().invoke({})) == [2]


class Chat(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    seen: dict[str, Any]


def test_events_may_come_as_messages_in_other_fields(coordinator: Coordinator) -> None:
    inbox = guard_of(coordinator).event_inbox(
        ["Counted"], field="messages", cursor="seen", start="earliest",
        convert=lambda event: HumanMessage(f"{event.type}: {event.data['n']}", id=f"event-{event.cursor}"),
    )  # fmt: skip
    app = with_inbox(inbox, Chat, checkpointer=InMemorySaver())
    publish(coordinator, 1)
    app.invoke({"messages": [HumanMessage("hello")]}, thread())
    publish(coordinator, 2)

    messages = app.invoke({}, thread())["messages"]

    assert [message.content for message in messages] == ["hello", "Counted: 1", "Counted: 2"]


def test_inboxes_with_cursors_of_their_own_do_not_disturb_each_other(coordinator: Coordinator) -> None:
    class Both(TypedDict, total=False):
        a: list[Any]
        b: list[Any]
        a_cursor: dict[str, Any]
        b_cursor: dict[str, Any]

    guard, builder = guard_of(coordinator), StateGraph(Both)
    for name in "ab":
        inbox = guard.event_inbox([name], field=name, cursor=f"{name}_cursor", start="earliest")
        builder.add_node(f"inbox {name}", inbox)
        builder.add_edge(START, f"inbox {name}")
    publish(coordinator, 1, 2, type="a")
    publish(coordinator, 3, type="b")
    state = builder.compile().invoke({})
    assert [event["data"]["n"] for event in state["a"] + state["b"]] == [1, 2, 3]


def test_two_places_of_a_graph_may_share_an_inbox(coordinator: Coordinator) -> None:
    guard, builder = guard_of(coordinator), StateGraph(Gathering)
    builder.add_node("first", guard.event_inbox(["Counted"], start="earliest"))
    builder.add_node("work", lambda state: publish(coordinator, 2) and {})
    builder.add_node("second", guard.event_inbox(["Counted"]))
    for edge in ((START, "first"), ("first", "work"), ("work", "second")):
        builder.add_edge(*edge)
    publish(coordinator, 1)
    assert numbers(builder.compile().invoke({})) == [1, 2]


def test_another_filter_goes_on_where_the_last_one_was(coordinator: Coordinator) -> None:
    saver, guard = InMemorySaver(), guard_of(coordinator)
    with_inbox(guard.event_inbox(["Counted"]), checkpointer=saver).invoke({}, thread())
    publish(coordinator, 1)
    publish(coordinator, 2, type="Other")
    app = with_inbox(guard.event_inbox(["Counted", "Other"]), checkpointer=saver)
    assert numbers(app.invoke({}, thread())) == [1, 2]


@pytest.mark.parametrize("mode", MODES)
def test_who_was_away_catches_up_and_is_told_what_is_gone(open_store: Open, mode: str) -> None:
    coordinator = open_store()
    app = with_inbox(guard_of(coordinator).event_inbox(["Counted"]), Latest, checkpointer=InMemorySaver())
    publish(coordinator, 0)
    upto = play(app, mode, {})["events_cursor"]["upto"]
    publish(coordinator, *range(1, 11))
    coordinator._backend.sweep(Sweep(max_events=4))
    trimmed = coordinator._backend.page(EventFilter()).trimmed

    told, *others = play(app, mode, {})["events"]

    assert told["type"] == "log.truncated"
    assert (told["data"]["from"], told["data"]["to"]) == (upto, trimmed)
    kept = [event.cursor for event in coordinator.events(types=["Counted"])]
    assert [event["cursor"] for event in others] == kept
    assert play(app, mode, {})["events"] == [], "it is told once"


@pytest.mark.parametrize("mode", MODES)
def test_who_begins_behind_a_cursor_that_is_gone_is_told_so(coordinator: Coordinator, mode: str) -> None:
    publish(coordinator, *range(10))
    gone = coordinator.events()[0].cursor
    coordinator._backend.sweep(Sweep(max_events=4))
    inbox = guard_of(coordinator).event_inbox(["Counted"], start=gone)

    told, *others = play(with_inbox(inbox), mode, {"events": []})["events"]

    assert (told["type"], told["data"]["from"]) == ("log.truncated", gone)
    assert "from its source anew" in told["data"]["remedy"]
    assert numbers({"events": others}) == [6, 7, 8, 9]


def test_who_begins_with_what_there_is_has_missed_nothing(coordinator: Coordinator) -> None:
    publish(coordinator, *range(10))
    coordinator._backend.sweep(Sweep(max_events=4))
    events = with_inbox(guard_of(coordinator).event_inbox([], start="earliest")).invoke({})["events"]
    assert {event["type"] for event in events} == {"Counted"}


def test_a_node_with_a_schema_of_its_own_goes_on_from_the_cursor_of_the_graph(coordinator: Coordinator) -> None:
    class Part(TypedDict):
        other: str

    builder = StateGraph(Gathering)
    builder.add_node("inbox", guard_of(coordinator).event_inbox(["Counted"], start="earliest"), input_schema=Part)
    builder.add_edge(START, "inbox")
    app = builder.compile(checkpointer=InMemorySaver())
    publish(coordinator, 1)
    app.invoke({"events": []}, thread())
    assert numbers(app.invoke({"events": []}, thread())) == [1]
