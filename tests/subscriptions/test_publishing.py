"""What may be published, and what the log has of it."""

from __future__ import annotations

from typing import Any

import pytest

from clawproof_langgraph import ConfigurationError, Coordinator
from clawproof_langgraph.events import BUILT_IN
from clawproof_langgraph.runtime import heartbeat
from tests.waiting import wait_until

RICH = {"text": 'a "ü" \n', "number": 1.5, "big": 2**70, "none": None, "yes": True, "list": [1, {"a": []}], "empty": {}}


def test_what_was_published_is_in_the_log(coordinator: Coordinator) -> None:
    cursor = coordinator.publish("PriceChanged", resource="pricing/1", data=RICH, agent="pricer")

    [event] = coordinator.events()
    assert (event.cursor, event.type, event.resources, event.agent) == (
        cursor,
        "PriceChanged",
        ("pricing/1",),
        "pricer",
    )
    assert event.data == RICH


async def test_it_is_published_from_an_event_loop(coordinator: Coordinator) -> None:
    cursor = await coordinator.apublish("PriceChanged", data={"price": 3})
    [event] = await coordinator.aevents()
    assert (event.cursor, event.resources, event.data) == (cursor, (), {"price": 3})


def test_what_the_publisher_changes_later_stays_as_it_was(coordinator: Coordinator) -> None:
    data = {"prices": [1]}
    coordinator.publish("PriceChanged", data=data)
    data["prices"].append(2)
    assert coordinator.events()[0].data == {"prices": [1]}


def test_each_publication_is_one_event(coordinator: Coordinator) -> None:
    for _ in range(2):
        coordinator.publish("PriceChanged", data={"price": 3})
    first, second = coordinator.events()
    assert first.call != second.call


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_what_the_library_says_is_said_by_nobody_else(coordinator: Coordinator, name: str) -> None:
    with pytest.raises(ConfigurationError, match="event type of the library"):
        coordinator.publish(name)
    assert coordinator.events() == []


@pytest.mark.parametrize("name", ["", " x", "a\nb", None, 3])
def test_an_event_has_a_name(coordinator: Coordinator, name: Any) -> None:
    with pytest.raises(ConfigurationError, match="does not name an event"):
        coordinator.publish(name)


@pytest.mark.parametrize(
    "data",
    [
        {"a": float("nan")}, {"a": float("inf")}, {"a": range(2)}, {"a": {1}}, {"a": b"x"}, {1: "a"}, {"a": {2: "b"}},
        {"a": "\ud800"}, [1], "text",
    ],
    ids=repr,
)  # fmt: skip
def test_data_that_is_no_json_is_refused(coordinator: Coordinator, data: Any) -> None:
    with pytest.raises(ConfigurationError, match="data"):
        coordinator.publish("PriceChanged", data=data)
    assert coordinator.events() == []


def test_data_that_contains_itself_is_refused(coordinator: Coordinator) -> None:
    data: dict[str, Any] = {}
    data["itself"] = data
    with pytest.raises(ConfigurationError, match="no JSON"):
        coordinator.publish("PriceChanged", data=data)


@pytest.mark.parametrize("resource", [" x", "a\nb", 3])
def test_a_resource_has_a_name(coordinator: Coordinator, resource: Any) -> None:
    with pytest.raises(ConfigurationError, match="resource"):
        coordinator.publish("PriceChanged", resource=resource)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"name": ""}, "does not name a subscription"),
        ({"name": "a\nb"}, "does not name a subscription"),
        ({"name": 3}, "does not name a subscription"),
        ({"name": "view", "start": "later"}, "start='later' is not known"),
        ({"name": "view", "start": -1}, "start=-1 is not known"),
        ({"name": "view", "start": True}, "start=True is not known"),
        ({"name": "view", "types": [""]}, "does not name an event type"),
        ({"name": "view", "types": [3]}, "does not name an event type"),
        ({"name": "view", "resource": " x"}, "resource name"),
        ({"name": "view", "timeout": "soon"}, "is not a duration"),
    ],
)
def test_a_subscription_that_cannot_be_is_refused_and_nothing_is_kept(
    coordinator: Coordinator, arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        coordinator.subscribe(**arguments)
    coordinator.subscribe("view")


def test_who_only_publishes_does_not_leave_the_sweeping_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_SWEEP_EVERY", 0.05)
    with Coordinator.from_url("memory://", max_events=5) as coordinator:
        for _ in range(50):
            coordinator.publish("PriceChanged")
        wait_until(lambda: len(coordinator.events()) <= 5)
