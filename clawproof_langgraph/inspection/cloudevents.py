"""Events in the envelope of CloudEvents 1.0 (https://github.com/cloudevents/spec), ready for JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from clawproof_langgraph.events import Event


def cloud_event(event: Event, *, namespace: str) -> dict[str, Any]:
    """Put an event into its envelope.

    Args:
        event: what to wrap. What the envelope has no place for goes into `data`, and the event's own data into
            `data.details`, so that a domain event's fields cannot hide ours.
        namespace: where it is from; with the cursor it makes the envelope unique.
    """
    subject = {"subject": ",".join(event.resources)} if event.resources else {}  # an empty one is not allowed
    return {
        "specversion": "1.0",
        "id": str(event.cursor),
        "source": f"/clawproof/{quote(namespace, safe='')}",
        "type": event.type,
        "time": rfc3339(event.time),
        **subject,
        "datacontenttype": "application/json",
        "data": {
            "cursor": event.cursor,
            "agent": event.agent,
            "thread": event.thread,
            "call": event.call,
            "key": event.key,
            "resources": list(event.resources),
            "fence": event.fence,
            "details": dict(event.data),
        },
    }


def rfc3339(time: float) -> str:
    """Write a time, in seconds since the epoch, as text in UTC with microseconds."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
