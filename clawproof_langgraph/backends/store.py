"""The small record store under the engine: its rows, and what one atomic step may read and write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from clawproof_langgraph.events import Event, EventFilter
from clawproof_langgraph.model import Begin, Killed, Mode, State, Sweep, Swept, Want

LAST_PLACE: Final = 2**62
"""The place of a request that is not queued: behind every waiter."""


CLAIM_WITHIN: Final = 1.0
"""Seconds that a waiter has to take up a grant, before it passes on."""
WAITER_LIFE: Final = 3.0
"""Seconds that a waiter counts as alive after its session's last sign of life."""
READER_LIFE: Final = 5.0
"""Seconds after the last sign of life of its reader in which nobody else may take up a subscription."""
SLACK: Final = 1.0
"""Seconds by which an end may be further away than it should, for whatever rounding."""


class Holding(NamedTuple):
    """One resource in the hands of one owner."""

    resource: str
    owner: str
    mode: Mode


class LeaseRow(NamedTuple):
    """A live lease.

    Args:
        ask: the request that it was granted to.
        wants: the resources of the request, with those that stand for its key and its scope.
        fence: the fencing token, which is also the date of the claim in µs; 0 until then.
        expires: when it ends, in ticks.
        since: when it was granted, in ticks.
        seen: the holder's last sign of life, in ticks.
        claimed: whether the tool may have started.
        attempt: how often the call was executed before.
        suspected: whether its overdue holder was already reported.
    """

    ask: Begin
    wants: tuple[Want, ...]
    fence: int
    expires: float
    since: float
    seen: float
    claimed: bool
    attempt: int = 0
    suspected: bool = False


class WaiterRow(NamedTuple):
    """A waiter: its request, its resources, its place in the queue (lower is earlier), and when it came, in ticks."""

    ask: Begin
    wants: tuple[Want, ...]
    place: int
    arrived: float


class RecordRow(NamedTuple):
    """What is known of a call by its idempotency key.

    Args:
        same_as: the key of the call that it has turned out to be; empty for a call of its own.
        resources: what a call in doubt held.
        reason: why it is in doubt.
        doubted_before: whether its effect may have happened when its last execution began.
        touched: whether its effect may have happened though it did not succeed: it is in doubt, or it failed in a way
            that proves nothing, and its tool may be run again.
        asked: (task, fence) of each question to a human what became of it, in order.
        lineage: what the call came out of, as in `Begin`.
    """

    key: str
    state: State
    agent: str
    thread: str
    tool: str
    scope: str
    fingerprint: str
    owner: str
    fence: int
    attempt: int
    result: bytes | None
    first_at: float
    updated_at: float
    same_as: str = ""
    resources: tuple[str, ...] = ()
    reason: str = ""
    doubted_before: bool = False
    touched: bool = False
    asked: tuple[tuple[str, int], ...] = ()
    lineage: str = ""


class VersionRow(NamedTuple):
    """The version of a resource that somebody has read, and who gave it that one.

    Args:
        resource: which.
        version: a number that grows with each change.
        agent, tool, thread: of the call that changed it; empty where it was read first.
        key: the idempotency key of that call.
        at: when it changed, in seconds since the epoch; 0 where it was read first.
    """

    resource: str
    version: int
    agent: str = ""
    tool: str = ""
    thread: str = ""
    key: str = ""
    at: float = 0.0


class SubscriberRow(NamedTuple):
    """How far the log was read under a name.

    Args:
        name: the subscription.
        cursor: all up to here was read.
        owner: who reads; empty for nobody.
        until: when another may, in ticks.
        seen: the last sign of life, in seconds since the epoch: what is kept for how long goes by the date.
    """

    name: str
    cursor: int
    owner: str
    until: float
    seen: float


class Transaction(ABC):
    """One atomic step over a namespace; all of it happens, or nothing.

    Reads see the writes of the same step.

    Args:
        now: the date, in seconds since the epoch.
        ticks: the seconds passed on a clock that nobody sets; what lives for a time lives by it.
    """

    def __init__(self, now: float, ticks: float) -> None:
        self.now, self.ticks = now, ticks
        self.rings: list[tuple[str, str]] = []
        """(bell, owner) of those to wake once the step is durable."""
        self.words: list[tuple[str, str]] = []
        """(session, agent): who is to hear then that an agent of which it has leases was stopped, or may go on."""
        self.freed: list[str] = []
        """Resources whose waiters may be granted now."""
        self.handed: set[str] = set()
        """Resources that a waiter got in this step, alone: those behind it need not be looked at."""
        self._appended: list[Event] = []
        self._cursor, self._first_cursor = 0, int(now * 1_000_000)

    # An end that lies further ahead than it ever can was written before the machine was started anew, and its ticks.

    def is_over(self, lease: LeaseRow) -> bool:
        """Tell whether a lease has expired."""
        return not self.ticks < lease.expires <= self.ticks + max(lease.ask.ttl, CLAIM_WITHIN) + SLACK

    def is_alive(self, session: str) -> bool:
        """Tell whether a session's waiters count as alive."""
        return self.ticks < self.session_until(session) <= self.ticks + WAITER_LIFE + SLACK

    def is_read(self, row: SubscriberRow) -> bool:
        """Tell whether a subscription has a reader that counts as alive."""
        return bool(row.owner) and self.ticks < row.until <= self.ticks + READER_LIFE + SLACK

    # The log is also the clock of fences: a fence is the cursor of the event that tells of its grant.

    def next_cursor(self) -> int:
        """Tell the cursor that the next event will get: beyond all before, and not before the time in µs."""
        if not self._cursor:
            self._cursor = self.last_cursor()
        return max(self._cursor + 1, self._first_cursor)

    def append(
        self,
        kind: str,
        ask: Begin,
        *,
        key: str = "",
        resources: tuple[str, ...] = (),
        fence: int = 0,
        data: Mapping[str, Any] | None = None,
    ) -> int:
        """Append an event about a request to the log, and give its cursor."""
        self._cursor = cursor = self.next_cursor()
        self._appended.append(
            Event(
                cursor, self.now, kind, ask.agent, ask.thread, ask.owner, key or ask.key, resources, fence, data or {}
            )
        )
        return cursor

    def foresee(self, ask: Begin) -> None:  # noqa: B027 - a store without a cheaper way need not do anything
        """Be told that a request is about to be judged, so that what it needs can be read in one go."""

    @abstractmethod
    def last_cursor(self) -> int:
        """Read the cursor of the newest event, 0 if there is none."""

    @abstractmethod
    def lease(self, owner: str) -> LeaseRow | None:
        """Read a lease."""

    @abstractmethod
    def take(self, row: LeaseRow) -> None:
        """Write a new lease under its owner, and that it holds its resources."""

    @abstractmethod
    def put_lease(self, row: LeaseRow) -> None:
        """Write a lease anew: its request and what it holds stay as they were taken."""

    @abstractmethod
    def drop(self, row: LeaseRow) -> None:
        """Delete a lease, and that it holds its resources."""

    @abstractmethod
    def leases(self, *, expired: bool = False, session: str = "", limit: int = -1) -> list[LeaseRow]:
        """Read leases: all, those that have expired, or those of a session."""

    @abstractmethod
    def holdings(self, names: Sequence[str]) -> list[Holding]:
        """Read who holds these resources."""

    @abstractmethod
    def contended(self, names: Sequence[str]) -> Sequence[str]:
        """Read which of these resources somebody may wait for."""

    @abstractmethod
    def waiter(self, owner: str) -> WaiterRow | None:
        """Read a waiter."""

    @abstractmethod
    def put_waiter(self, row: WaiterRow) -> None:
        """Write a waiter under its owner, into the queue of each of its resources."""

    @abstractmethod
    def drop_waiter(self, row: WaiterRow) -> None:
        """Delete a waiter from all queues."""

    @abstractmethod
    def waiters(self, *, dead: bool = False, limit: int = -1) -> list[WaiterRow]:
        """Read waiters: all, or those whose session has shown no life."""

    @abstractmethod
    def queue(self, resource: str, *, after: int, limit: int) -> list[WaiterRow]:
        """Read the next waiters for a resource behind a place, in order."""

    @abstractmethod
    def ahead(self, wants: Sequence[Want], place: int) -> tuple[str, WaiterRow] | None:
        """Read a waiter before a place that is in conflict with one of these wants, and the resource."""

    @abstractmethod
    def last_ticket(self, names: Sequence[str]) -> int:
        """Read the newest ticket in the queues of these resources, 0 if there is none.

        A ticket is a waiter's place; that of a nested one is its place plus LAST_PLACE.
        """

    @abstractmethod
    def session_until(self, session: str) -> float:
        """Read until when a session's waiters count as alive, in ticks."""

    @abstractmethod
    def put_session(self, session: str, until: float) -> None:
        """Write until when a session's waiters count as alive, in ticks."""

    @abstractmethod
    def record(self, key: str) -> RecordRow | None:
        """Read a record."""

    @abstractmethod
    def unsettled(self, scope: str) -> list[RecordRow]:
        """Read the records of a scope whose effect may have happened, the oldest first."""

    @abstractmethod
    def put_record(self, row: RecordRow) -> None:
        """Write a record under its key."""

    @abstractmethod
    def drop_record(self, key: str) -> None:
        """Delete a record."""

    @abstractmethod
    def in_doubt(self) -> list[RecordRow]:
        """Read all records in doubt."""

    @abstractmethod
    def versions(self, names: Sequence[str]) -> list[VersionRow]:
        """Read the versions of those of these resources that have one, in any order."""

    @abstractmethod
    def put_version(self, row: VersionRow) -> None:
        """Write the version of a resource."""

    @abstractmethod
    def killed(self, agent: str) -> Killed | None:
        """Read an agent's kill flag."""

    @abstractmethod
    def put_killed(self, row: Killed) -> None:
        """Write an agent's kill flag."""

    @abstractmethod
    def drop_killed(self, agent: str) -> None:
        """Delete an agent's kill flag."""

    @abstractmethod
    def all_killed(self) -> list[Killed]:
        """Read all kill flags."""

    @abstractmethod
    def events(self, wanted: EventFilter) -> list[Event]:
        """Read events in order."""

    @abstractmethod
    def trimmed(self) -> int:
        """Read the newest cursor that was deleted from the log, 0 if there is none."""

    @abstractmethod
    def subscriber(self, name: str) -> SubscriberRow | None:
        """Read a subscription."""

    @abstractmethod
    def subscribers(self) -> list[SubscriberRow]:
        """Read all subscriptions."""

    @abstractmethod
    def put_subscriber(self, row: SubscriberRow) -> None:
        """Write a subscription under its name."""

    @abstractmethod
    def drop_subscriber(self, name: str) -> None:
        """Delete a subscription."""

    @abstractmethod
    def retire(self, terms: Sweep, unread: int) -> Swept:
        """Delete records, events, sessions and versions that are older than their retention.

        Events behind the cursor `unread` are not old, however old they are, but may be too many.
        """
