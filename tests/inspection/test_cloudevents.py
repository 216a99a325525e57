"""The envelope of CloudEvents 1.0."""

from __future__ import annotations

import json

from clawproof_langgraph.events import Event
from clawproof_langgraph.inspection.cloudevents import cloud_event

EVENT = Event(7, 1_800_000_000.25, "PriceChanged", "a", "t", "c", "k", ("x/1", "y/2"), 6, {"agent": "theirs"})


def test_the_envelope_has_what_the_specification_requires() -> None:
    envelope = cloud_event(EVENT, namespace="shop 1/x")
    assert {name: value for name, value in envelope.items() if name != "data"} == {
        "specversion": "1.0",
        "id": "7",
        "source": "/clawproof/shop%201%2Fx",
        "type": "PriceChanged",
        "time": "2027-01-15T08:00:00.250000Z",
        "subject": "x/1,y/2",
        "datacontenttype": "application/json",
    }


def test_a_domain_event_cannot_hide_who_it_is_from() -> None:
    data = cloud_event(EVENT, namespace="default")["data"]
    assert (data["agent"], data["details"]) == ("a", {"agent": "theirs"})
    assert json.loads(json.dumps(data)) == data


def test_an_event_about_no_resource_has_no_subject() -> None:
    assert "subject" not in cloud_event(Event(1, 0.0, "agent.killed", "a"), namespace="default")
