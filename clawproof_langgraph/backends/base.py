"""The contract of a backend: six atomic commands, two reads, and what wakes its waiters and readers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Protocol

from clawproof_langgraph.events import Event, EventFilter, Gathering, Page
from clawproof_langgraph.model import (
    Begin,
    BeginReply,
    Fact,
    Renew,
    Renewed,
    Settle,
    SettleReply,
    Snapshot,
    Sweep,
    Swept,
    Withdraw,
)


class Answered(NamedTuple):
    """The reply to a request that a bell has sent ahead.

    Args:
        reply: the reply.
        asked_at: when it was asked, or earlier, in seconds of `time.monotonic()`.
    """

    reply: BeginReply
    asked_at: float


class Bell(Protocol):
    """Where a thread sleeps until its turn may have come."""

    address: str

    def wait(self, owner: str, timeout: float, ask: Begin | None = None) -> bool | Answered:
        """Sleep until the bell rings for `owner`, or `timeout` seconds; tell whether to look now.

        Args:
            owner: who sleeps.
            timeout: seconds.
            ask: what it will ask then; a bell that can has the answer with it.
        """


class AsyncBell(Protocol):
    """Where the calls of an event loop sleep until their turn may have come."""

    address: str

    async def wait(self, owner: str, timeout: float, ask: Begin | None = None) -> bool | Answered:
        """Do what a bell of threads does."""


Hear = Callable[[str], None]
"""Is told the name of an agent, on any thread, and returns at once."""


class Listening(Protocol):
    """What goes on until it is closed."""

    def close(self) -> None:
        """End it, with all that it holds; safe to call twice."""


class Deaf:
    """The listening where nothing can be heard."""

    def close(self) -> None:
        """Do nothing."""


class Backend(ABC):
    """A namespace in a store.

    Every command is atomic and idempotent by owner id, and raises `BackendUnavailable` when the store cannot be used.
    An async twin never blocks the event loop, and carries its command through when its caller is cancelled.
    """

    name: str
    """The store for humans, without credentials."""

    reach: str = ""
    """Who alone can reach the store, in words; empty where any machine can."""

    @property
    @abstractmethod
    def secret(self) -> bytes:
        """Random bytes of the namespace, the same as long as it exists, with which its fingerprints are keyed."""

    @abstractmethod
    def begin(self, ask: Begin) -> BeginReply:
        """Grant, queue or answer a request."""

    @abstractmethod
    def settle(self, end: Settle) -> SettleReply:
        """End a lease, record the outcome, and hand its resources on."""

    @abstractmethod
    def renew(self, beat: Renew) -> Renewed:
        """Extend leases; never revives one that was given to somebody else."""

    @abstractmethod
    def withdraw(self, leave: Withdraw) -> None:
        """Give up a place in the queue or an unused grant."""

    @abstractmethod
    def sweep(self, terms: Sweep) -> Swept:
        """Expire and delete a bounded number of rows."""

    @abstractmethod
    def record(self, fact: Fact) -> int:
        """Record one administrative fact with its event; raises ConfigurationError if it does not fit.

        Gives the cursor of a note, or where a subscription stands; 0 for other facts.
        """

    @abstractmethod
    def page(self, wanted: EventFilter) -> Page:
        """Read a part of the log: at most `limit` events, and only as far as is read quickly."""

    def events(self, wanted: EventFilter) -> list[Event]:
        """Read events in the order of their cursors; `log.truncated` comes first where the next ones were deleted."""
        gathering = Gathering(wanted)
        while not gathering.complete:
            gathering.add(self.page(gathering.wanted))
        return gathering.found

    @abstractmethod
    def follow(self, after: int, timeout: float) -> bool:
        """Sleep until the log goes on behind a cursor, or `timeout` seconds or less; tell whether to read now."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Read the namespace at one instant."""

    @abstractmethod
    async def abegin(self, ask: Begin) -> BeginReply:
        """Do what `begin` does, from an event loop."""

    @abstractmethod
    async def asettle(self, end: Settle) -> SettleReply:
        """Do what `settle` does, from an event loop."""

    @abstractmethod
    async def awithdraw(self, leave: Withdraw) -> None:
        """Do what `withdraw` does, from an event loop."""

    @abstractmethod
    async def arecord(self, fact: Fact) -> int:
        """Do what `record` does, from an event loop."""

    @abstractmethod
    async def apage(self, wanted: EventFilter) -> Page:
        """Do what `page` does, from an event loop."""

    async def aevents(self, wanted: EventFilter) -> list[Event]:
        """Do what `events` does, from an event loop."""
        gathering = Gathering(wanted)
        while not gathering.complete:
            gathering.add(await self.apage(gathering.wanted))
        return gathering.found

    @abstractmethod
    async def afollow(self, after: int, timeout: float) -> bool:
        """Do what `follow` does, from an event loop."""

    @abstractmethod
    async def asnapshot(self) -> Snapshot:
        """Do what `snapshot` does, from an event loop."""

    @abstractmethod
    def take_bell(self) -> Bell:
        """Check out a bell for the calling thread; give it back with `give_bell`."""

    @abstractmethod
    def give_bell(self, bell: Bell) -> None:
        """Return a bell for others to use."""

    @abstractmethod
    def loop_bell(self) -> AsyncBell:
        """Give the bell of the running event loop."""

    @abstractmethod
    def ring(self, address: str, owner: str) -> None:
        """Wake a waiter of this process that the heartbeat found to have its turn."""

    def listen(self, session: str, hear: Hear) -> Listening:
        """Have `hear` called as soon as an agent that has leases of a session was stopped, or may go on.

        Renewals tell the same, so a word that is lost costs latency, and one that comes for nothing does no harm. A
        store that cannot push leaves this as it is.

        Args:
            session: the coordinator whose leases matter; agents that have none may be told of, too.
            hear: what to call, until the listening is closed.

        Raises:
            RuntimeError, OSError: the system gives no thread, or opens no more files.
        """
        return Deaf()

    @abstractmethod
    def close(self) -> None:
        """Let go of connections, threads and sockets; safe to call twice."""
