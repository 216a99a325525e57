"""The event: one entry of the append-only log of a namespace, and the built-in types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

LOCK_ACQUIRED: Final = "lock.acquired"
LOCK_RELEASED: Final = "lock.released"
LOCK_DENIED: Final = "lock.denied"
LOCK_EXPIRED: Final = "lock.expired"
LEASE_LOST: Final = "lease.lost"
DEADLOCK_PREVENTED: Final = "deadlock.prevented"
DEADLOCK_SUSPECTED: Final = "deadlock.suspected"
CALL_STARTED: Final = "call.started"
CALL_REPLAYED: Final = "call.replayed"
CALL_RETRYING: Final = "call.retrying"
CALL_DONE: Final = "call.done"
CALL_FAILED: Final = "call.failed"
CALL_SUSPENDED: Final = "call.suspended"
CALL_IN_DOUBT: Final = "call.in_doubt"
CALL_ASKED: Final = "call.asked"
CALL_RESOLVED: Final = "call.resolved"
CALL_STALE: Final = "call.stale"
CALL_UNGUARDED: Final = "call.unguarded"
CALL_UNDECLARED: Final = "call.undeclared"
AGENT_KILLED: Final = "agent.killed"
AGENT_REVIVED: Final = "agent.revived"
LOG_TRUNCATED: Final = "log.truncated"

BUILT_IN: Final = frozenset(
    value for name, value in list(globals().items()) if name.isupper() and isinstance(value, str)
)
"""All types that the library itself writes; any other type is a domain event."""


class Event(NamedTuple):
    """One entry of the log.

    Args:
        cursor: its position; strictly increasing within a namespace.
        time: seconds since the epoch, by the store's clock.
        type: a built-in type such as `lock.acquired`, or a domain event's name.
        agent: the agent that it is about.
        thread: the LangGraph thread, if any.
        call: the id of the call (its owner id), if any.
        key: the idempotency key, if any.
        resources: the resources that it is about.
        fence: the fencing token of the lease, if any.
        data: the rest, JSON values only.
    """

    cursor: int
    time: float
    type: str
    agent: str = ""
    thread: str = ""
    call: str = ""
    key: str = ""
    resources: tuple[str, ...] = ()
    fence: int = 0
    data: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to read: after a cursor, of these types, resource, agent, thread or call, at most `limit`.

    Those of `except_agent` and of `except_thread` are left out.
    """

    after: int = 0
    types: tuple[str, ...] = ()
    resource: str = ""
    agent: str = ""
    thread: str = ""
    call: str = ""
    limit: int = 1000
    except_agent: str = ""
    except_thread: str = ""

    @property
    def takes_all(self) -> bool:
        """Tell whether every event passes."""
        named = self.types or self.resource or self.agent or self.thread or self.call
        return not (named or self.except_agent or self.except_thread)

    def admits(self, event: Event) -> bool:
        """Tell whether an event passes (the cursor and the limit are the reader's business)."""
        return (
            (not self.types or event.type in self.types)
            and (not self.resource or self.resource in event.resources)
            and (not self.agent or self.agent == event.agent)
            and (not self.thread or self.thread == event.thread)
            and (not self.call or self.call == event.call)
            and (not self.except_agent or self.except_agent != event.agent)
            and (not self.except_thread or self.except_thread != event.thread)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the log, read in one step.

    Args:
        events: those that pass the filter, in order.
        reached: the cursor up to which was looked.
        trimmed: the newest cursor that retention has deleted; 0 for none.
        more: whether there may be more to read at once.
        end: the newest cursor of the log at that moment, deleted or not; 0 for none.
    """

    events: list[Event]
    reached: int
    trimmed: int = 0
    more: bool = False
    end: int = 0


_REMEDY: Final = (
    "Events between these cursors were deleted before they were read: take what they were about from its source anew. "
    "A reader that comes more often misses none, and a larger max_events keeps more."
)


def truncated(since: int, until: int, *subscribers: str) -> Event:
    """Make the event that tells a reader what it has missed.

    Args:
        since: the last cursor that it has read.
        until: the newest one that was deleted.
        subscribers: whose subscription it is.
    """
    lost = {"subscribers": list(subscribers), "from": since, "to": until, "remedy": _REMEDY}
    return Event(until, until / 1_000_000, LOG_TRUNCATED, data=lost)


class Gathering:
    """Puts pages together until they are enough.

    Attributes:
        found: the events so far; where a part of the log that follows `after` was deleted, an event tells of it.
        wanted: what the next page shall have.
        complete: whether no further page is needed.
    """

    def __init__(self, wanted: EventFilter) -> None:
        self.found: list[Event] = []
        self.wanted, self._limit = wanted, wanted.limit
        self.complete = wanted.limit == 0

    def add(self, page: Page) -> None:
        """Add the page that was wanted."""
        if 0 < self.wanted.after < page.trimmed:  # a reader from 0 asks for what there is
            self.found.append(truncated(self.wanted.after, page.trimmed))
        self.found = (self.found + page.events)[: self._limit]
        left = self._limit - len(self.found)
        self.wanted = replace(self.wanted, after=max(page.reached, page.trimmed), limit=left)
        self.complete = not page.more or not left
