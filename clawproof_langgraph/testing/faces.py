"""The two faces of a backend, sync and async, behind one interface, so that every scenario is written once."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.events import Event, EventFilter, Page
from clawproof_langgraph.model import (
    Begin,
    BeginReply,
    Fact,
    Granted,
    Queued,
    Renew,
    Renewed,
    Settle,
    SettleReply,
    Snapshot,
    Start,
    Subscribe,
    Sweep,
    Swept,
    Withdraw,
)
from clawproof_langgraph.subscription import Subscription


class Face(ABC):
    """The commands of a backend as a scenario sends them; renewing and sweeping are sync, as a thread does them."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @abstractmethod
    def begin(self, ask: Begin) -> BeginReply:
        """Send `begin`."""

    @abstractmethod
    def settle(self, end: Settle) -> SettleReply:
        """Send `settle`."""

    @abstractmethod
    def withdraw(self, leave: Withdraw) -> None:
        """Send `withdraw`."""

    @abstractmethod
    def record(self, fact: Fact) -> int:
        """Send `record`."""

    @abstractmethod
    def page(self, wanted: EventFilter) -> Page:
        """Read a `page`."""

    @abstractmethod
    def follow(self, after: int, timeout: float) -> bool:
        """Send `follow`."""

    @abstractmethod
    def poll(self, subscription: Subscription) -> Event | None:
        """Take the next event of a subscription, if there is one."""

    @abstractmethod
    def leave(self, subscription: Subscription) -> None:
        """Close a subscription."""

    @abstractmethod
    def events(self, wanted: EventFilter) -> list[Event]:
        """Read `events`."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Read the `snapshot`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what the face itself holds; the backend stays open."""

    def subscribe(self, name: str, *types: str, owner: str = "reader", start: Start | int = Start.NOW) -> Subscription:
        """Take a subscription up, or make it, and read it as `owner`."""
        cursor = self.record(Subscribe(name, owner, start))
        return Subscription(self.backend, name, EventFilter(types=types), owner=owner, cursor=cursor, timeout=0)

    def drain(self, subscription: Subscription) -> list[Event]:
        """Take what a subscription has to give now; all of it is read."""
        found = []
        while event := self.poll(subscription):
            found.append(event)
        return found

    def renew(self, beat: Renew) -> Renewed:
        """Send `renew`."""
        return self.backend.renew(beat)

    def sweep(self, terms: Sweep | None = None) -> Swept:
        """Send `sweep`."""
        return self.backend.sweep(terms or Sweep())

    def granted(self, ask: Begin) -> Granted:
        """Send `begin` and insist on a lease."""
        reply = self.begin(ask)
        assert isinstance(reply, Granted), f"{ask.owner} should be granted, not {reply}"
        return reply

    def queued(self, ask: Begin) -> Queued:
        """Send `begin` and insist on a place in the queue."""
        reply = self.begin(ask)
        assert isinstance(reply, Queued), f"{ask.owner} should be queued, not {reply}"
        return reply

    def turns(self, session: str = "s1") -> set[str]:
        """Tell which owners of a session have been handed a grant; shows its waiters to be alive, too."""
        return set(self.renew(Renew(session=session, waiting=True)).turns)

    def log(self, *types: str) -> list[Event]:
        """Read the events of these types, or all."""
        return self.events(EventFilter(types=types))


class SyncFace(Face):
    """Sends everything through the blocking methods."""

    def begin(self, ask: Begin) -> BeginReply:
        return self.backend.begin(ask)

    def settle(self, end: Settle) -> SettleReply:
        return self.backend.settle(end)

    def withdraw(self, leave: Withdraw) -> None:
        self.backend.withdraw(leave)

    def record(self, fact: Fact) -> int:
        return self.backend.record(fact)

    def page(self, wanted: EventFilter) -> Page:
        return self.backend.page(wanted)

    def follow(self, after: int, timeout: float) -> bool:
        return self.backend.follow(after, timeout)

    def poll(self, subscription: Subscription) -> Event | None:
        return subscription.poll()

    def leave(self, subscription: Subscription) -> None:
        subscription.close()

    def events(self, wanted: EventFilter) -> list[Event]:
        return self.backend.events(wanted)

    def snapshot(self) -> Snapshot:
        return self.backend.snapshot()

    def close(self) -> None:
        pass


class AsyncFace(Face):
    """Sends everything through the async twins, on an event loop of its own."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._runner = asyncio.Runner()

    def begin(self, ask: Begin) -> BeginReply:
        return self._runner.run(self.backend.abegin(ask))

    def settle(self, end: Settle) -> SettleReply:
        return self._runner.run(self.backend.asettle(end))

    def withdraw(self, leave: Withdraw) -> None:
        self._runner.run(self.backend.awithdraw(leave))

    def record(self, fact: Fact) -> int:
        return self._runner.run(self.backend.arecord(fact))

    def page(self, wanted: EventFilter) -> Page:
        return self._runner.run(self.backend.apage(wanted))

    def follow(self, after: int, timeout: float) -> bool:
        return self._runner.run(self.backend.afollow(after, timeout))

    def poll(self, subscription: Subscription) -> Event | None:
        return self._runner.run(subscription.apoll())

    def leave(self, subscription: Subscription) -> None:
        self._runner.run(subscription.aclose())

    def events(self, wanted: EventFilter) -> list[Event]:
        return self._runner.run(self.backend.aevents(wanted))

    def snapshot(self) -> Snapshot:
        return self._runner.run(self.backend.asnapshot())

    def close(self) -> None:
        self._runner.close()
