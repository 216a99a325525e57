"""A Hypothesis state machine for the log: publishing, subscriptions and retention, beside a model that is a list.

    TestLog = log_machine(lambda clock: MyBackend(clock=clock)).TestCase

What it checks after every step: the log is what was written less what was trimmed, from the old end; nothing that a
live subscriber has not read is trimmed for its age; and whoever has missed something was told exactly once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from hypothesis import event as seen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.events import LOG_TRUNCATED, Event, EventFilter
from clawproof_langgraph.model import Advance, Note, Start, Subscribe, Sweep, Unsubscribe
from clawproof_langgraph.testing.builders import call, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.faces import Face, SyncFace
from clawproof_langgraph.testing.machine import pick, picks

HOUR = 3600.0
A_LIFE = 5.0
"""Seconds that a name stays taken after the last sign of life of its reader."""
SUBSCRIBER_LIFE = 10 * HOUR
KEEP = 4 * HOUR
COUNTED_ANEW = 31.0
"""Seconds after which a backend counts its log again at the latest."""
ALL = 2**31

names = st.sampled_from(["view", "other"])
owners = st.sampled_from(["a", "b"])


@dataclass
class Subscriber:
    """How far a name was read, by whom, and when that one showed life."""

    cursor: int
    owner: str
    seen: float


class LogMachine(RuleBasedStateMachine):
    """Use `log_machine` to bind it to a backend."""

    make_backend: ClassVar[Callable[[ManualClock], Backend]]
    face: ClassVar[type[Face]] = SyncFace

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.store = type(self).face(type(self).make_backend(self.clock))
        self.log: list[Event] = []
        """What is kept, in order."""
        self.trimmed = self.calls = 0
        self.subscribers: dict[str, Subscriber] = {}

    def teardown(self) -> None:
        """Close the backend."""
        self.store.close()
        self.store.backend.close()

    # --- writing

    @rule(kind=st.sampled_from(["A", "B"]), count=st.integers(1, 4))
    def publish(self, kind: str, count: int) -> None:
        """Write domain events."""
        for _ in range(count):
            cursor = self.store.record(Note(kind))
            assert cursor > self._end()
            self.log.append(Event(cursor, self.clock.time(), kind))
            self.clock.advance(0.001)

    @rule()
    def write_some_at_once(self) -> None:
        """Let a call write events that come in one step."""
        self.calls += 1
        self.store.backend.settle(settled(self.store.granted(call(f"c{self.calls}", "inventory/1"))))
        self._learn(4)

    # --- reading

    @rule(name=names, owner=owners, start=st.sampled_from([Start.NOW, Start.EARLIEST, 0]))
    def subscribe(self, name: str, owner: str, start: Start | int) -> None:
        """Take a name up, or make it."""
        known = self.subscribers.get(name)
        begin = {Start.NOW: self._end(), Start.EARLIEST: self.trimmed, 0: 0}[start]
        self._note(Subscribe(name, owner, start), name, owner, known.cursor if known else begin)

    @precondition(lambda self: self.log)
    @rule(name=names, owner=owners, index=picks, over=st.booleans())
    def advance(self, name: str, owner: str, index: int, over: bool) -> None:
        """Read on, or claim to."""
        known, to = self.subscribers.get(name), pick(index, self.log).cursor
        fact = Advance(name, owner, to, over)
        if known is None:
            self._refused(fact)
        else:
            self._note(fact, name, owner, max(known.cursor, to), over=over)

    @rule(name=names)
    def unsubscribe(self, name: str) -> None:
        """Forget a name."""
        self.store.record(Unsubscribe(name))
        self.subscribers.pop(name, None)

    @precondition(lambda self: self.subscribers)
    @rule(name=names, types=st.sampled_from([(), ("A",), ("B", "lock.released")]), limit=st.sampled_from([1, 3, ALL]))
    def read(self, name: str, types: tuple[str, ...], limit: int) -> None:
        """Read from where a name stands, page by page."""
        if name not in self.subscribers:
            return
        start, found, wanted = self.subscribers[name].cursor, [], EventFilter(types=types)
        reached, more = start, True
        while more:
            page = self.store.page(EventFilter(reached, types, limit=limit))
            assert page.trimmed == self.trimmed
            found += page.events
            assert len(page.events) <= limit
            reached, more = page.reached, page.more
        here = [event.cursor for event in self.log if event.cursor > start and wanted.admits(event)]
        assert [event.cursor for event in found] == here
        assert reached >= self._end() or not self.log
        assert self.store.follow(start, 0.001) == (self._end() > start)

    # --- time and retention

    @rule(seconds=st.sampled_from([1.0, 4.0, 6.0, HOUR, 3 * HOUR, 11 * HOUR]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @rule(most=st.sampled_from([ALL, ALL, 3, 8]), limit=st.sampled_from([500, 500, 5]))
    def sweep(self, most: int, limit: int) -> None:
        """Trim the log."""
        self.clock.advance(COUNTED_ANEW)
        terms = Sweep(limit, keep_events=KEEP, max_events=most, subscriber_life=SUBSCRIBER_LIFE)
        live = {name: row for name, row in self.subscribers.items() if row.seen > self.clock.time() - SUBSCRIBER_LIFE}
        before = list(self.log)
        self.store.sweep(terms)
        trimmed = self.store.page(EventFilter(limit=1)).trimmed
        lost = [event for event in before if self.trimmed < event.cursor <= trimmed]
        self.log = [event for event in before if event.cursor > trimmed]
        self._check_trimming(lost, before, live, most)
        missed = sorted(name for name, row in live.items() if self.trimmed <= row.cursor < trimmed)
        self.trimmed = trimmed
        told = self._learn(1 if missed else 0)
        if missed:
            seen("somebody has missed something")
            [event] = told
            first = min(live[name].cursor for name in missed)
            assert event.type == LOG_TRUNCATED
            assert event.data == {"subscribers": missed, "from": first, "to": trimmed}

    def _check_trimming(self, lost: list[Event], before: list[Event], live: dict[str, Subscriber], most: int) -> None:
        if not lost:
            return
        assert lost[-1].cursor == self.store.page(EventFilter(limit=1)).trimmed
        unread = min((row.cursor for row in live.values()), default=ALL**2)
        for number, event in enumerate(lost):
            too_many = len(before) - number > most
            # A backend may keep the events of a step together.
            same_step = any(event.cursor - other.cursor < 4 for other in lost[:number])
            old = event.time <= self.clock.time() - KEEP and event.cursor <= unread
            assert old or too_many or same_step, f"{event} was trimmed"

    # --- what must hold

    @invariant()
    def the_log_is_what_was_written_and_not_trimmed(self) -> None:
        """Read all that is left."""
        assert [event.cursor for event in self.store.events(EventFilter(limit=ALL))] == [
            event.cursor for event in self.log
        ]

    # --- the steps of the rules

    def _end(self) -> int:
        return self.log[-1].cursor if self.log else self.trimmed

    def _learn(self, count: int) -> list[Event]:
        """Take so many new events over from the backend."""
        new = self.store.events(EventFilter(after=self._end(), limit=ALL))
        assert len(new) == count, new
        assert [event.cursor for event in new] == sorted({event.cursor for event in new})
        self.log += new
        return new

    def _note(self, fact: Subscribe | Advance, name: str, owner: str, cursor: int, *, over: bool = False) -> None:
        known = self.subscribers.get(name)
        if known and known.owner not in ("", owner) and self.clock.time() < known.seen + A_LIFE:
            seen("a second reader")
            self._refused(fact)
            return
        assert self.store.record(fact) == cursor
        self.subscribers[name] = Subscriber(cursor, "" if over else owner, self.clock.time())

    def _refused(self, fact: Subscribe | Advance) -> None:
        try:
            self.store.record(fact)
        except ConfigurationError:
            return
        raise AssertionError(f"{fact} should be refused")


def log_machine(make_backend: Callable[[ManualClock], Backend], face: type[Face] = SyncFace) -> type[LogMachine]:
    """Bind the machine to a backend.

    Args:
        make_backend: opens a new, empty namespace that goes by the given clock.
        face: through which face the backend is spoken to.
    """
    return type("BoundMachine", (LogMachine,), {"make_backend": staticmethod(make_backend), "face": face})
