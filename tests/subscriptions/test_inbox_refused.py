"""Event inboxes that cannot be: refused where they are made, or in their first run, with the remedy."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import pytest
from langgraph.channels import UntrackedValue
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from clawproof_langgraph import BackendUnavailable, ConfigurationError, Coordinator
from tests.subscriptions.graphs import Gathering, Latest, guard_of, numbers, thread, with_inbox


@pytest.fixture
def url() -> str:
    """Name a store: what is refused here does not get as far as that."""
    return "memory://"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"types": [""]}, "does not name an event type"),
        ({"types": [3]}, "does not name an event type"),
        ({"resource": " x"}, "resource name"),
        ({"skip_own": "me"}, 'skip_own="me" is not known; there are: agent, thread'),
        ({"start": "later"}, "start='later' is not known"),
        ({"start": -1}, "start=-1 is not known"),
        ({"limit": 0}, "limit=0 is no number of events"),
        ({"limit": True}, "limit=True is no number of events"),
        ({"field": ""}, "field='' names no field"),
        ({"cursor": 3}, "cursor=3 names no field"),
        ({"field": "x", "cursor": "x"}, "need a field each"),
        ({"convert": "text"}, "convert='text' is no function"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_at_once(
    coordinator: Coordinator, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        guard_of(coordinator).event_inbox(**{"types": ["Counted"], **options})


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_state_without_the_fields_is_refused_with_the_remedy(coordinator: Coordinator, mode: str) -> None:
    app = with_inbox(guard_of(coordinator).event_inbox(["Counted"]), MessagesState)
    given = {"messages": []}
    with pytest.raises(
        ConfigurationError, match=r"no field 'events' and no field 'events_cursor'.*`events_cursor: dict`"
    ):
        app.invoke(given) if mode == "sync" else await app.ainvoke(given)


@pytest.mark.parametrize("missing", ["events", "events_cursor"])
def test_a_misspelt_field_is_named(coordinator: Coordinator, missing: str) -> None:
    names = {"events": "field", "events_cursor": "cursor"}
    inbox = guard_of(coordinator).event_inbox(["Counted"], **{names[missing]: "misspelt"})
    with pytest.raises(ConfigurationError, match="no field 'misspelt', so node 'inbox'"):
        with_inbox(inbox).invoke({})


class Merging(TypedDict, total=False):
    events: list[Any]
    events_cursor: Annotated[dict[str, Any], lambda old, new: {**old, **new}]


class Forgetting(TypedDict, total=False):
    events: list[Any]
    events_cursor: Annotated[dict[str, Any], UntrackedValue]


@pytest.mark.parametrize("state", [Merging, Forgetting])
def test_a_cursor_that_the_state_does_not_keep_as_it_is_is_refused(coordinator: Coordinator, state: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Declare it plainly, `events_cursor: dict`"):
        with_inbox(guard_of(coordinator).event_inbox(["Counted"]), state).invoke({})


@pytest.mark.parametrize("value", [7, {"upto": "x"}, {"upto": True}, {}, []])
def test_a_cursor_that_somebody_else_wrote_is_refused(coordinator: Coordinator, value: Any) -> None:
    with pytest.raises(ConfigurationError, match="which is no cursor of an event inbox"):
        with_inbox(guard_of(coordinator).event_inbox(["Counted"])).invoke({"events_cursor": value})


def test_inboxes_that_would_pass_over_each_others_events_are_refused(coordinator: Coordinator) -> None:
    guard, builder = guard_of(coordinator), StateGraph(Gathering)
    builder.add_node("a", guard.event_inbox(["A"]))
    builder.add_node("b", guard.event_inbox(["B"]))
    builder.add_edge(START, "a")
    builder.add_edge("a", "b")
    with pytest.raises(ConfigurationError, match=r"inboxes 'a' and 'b' keep their cursor in the same field"):
        builder.compile().invoke({})


@pytest.mark.parametrize(("skip_own", "remedy"), [("agent", r"Guard\(agent="), ("thread", "thread_id")])
def test_what_is_its_own_must_be_known(coordinator: Coordinator, skip_own: Any, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"cannot tell which events are its own.*{remedy}"):
        with_inbox(guard_of(coordinator).event_inbox(["Counted"], skip_own=skip_own)).invoke({})


def test_an_inbox_outside_of_a_graph_says_where_it_belongs(coordinator: Coordinator) -> None:
    with pytest.raises(ConfigurationError, match=r"builder\.add_node"):
        guard_of(coordinator).event_inbox(["Counted"]).invoke({})


def test_a_store_that_fails_loses_nothing(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    app = with_inbox(
        guard_of(coordinator).event_inbox(["Counted"], start="earliest"), Latest, checkpointer=InMemorySaver()
    )
    coordinator.publish("Counted", data={"n": 1})
    page = coordinator._backend.page
    monkeypatch.setattr(coordinator._backend, "page", lambda wanted: _fail())
    with pytest.raises(BackendUnavailable):
        app.invoke({}, thread())
    monkeypatch.setattr(coordinator._backend, "page", page)
    assert numbers(app.invoke(None, thread())) == [1]


def _fail() -> None:
    raise BackendUnavailable("the store", "the test says so")
