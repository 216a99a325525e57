"""A namespace inside one process: the record store as dictionaries behind one lock."""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from clawproof_langgraph.backends.base import Hear, Listening
from clawproof_langgraph.backends.bells import Bells
from clawproof_langgraph.backends.clocks import Clock, SystemClock
from clawproof_langgraph.backends.embedded import EmbeddedBackend
from clawproof_langgraph.backends.forks import start_anew_in_children
from clawproof_langgraph.backends.store import (
    LAST_PLACE,
    Holding,
    LeaseRow,
    RecordRow,
    SubscriberRow,
    Transaction,
    VersionRow,
    WaiterRow,
)
from clawproof_langgraph.events import Event, EventFilter
from clawproof_langgraph.model import Killed, Mode, State, Sweep, Swept, Want

T = TypeVar("T")
_log = logging.getLogger("clawproof_langgraph")

_SETTLED = frozenset({State.DONE, State.FAILED, State.REJECTED})
_ABSENT: Any = object()


@dataclass(slots=True)
class _Queue:
    """The places of a resource's waiters, and of the exclusive ones, each sorted."""

    every: list[tuple[int, str]] = field(default_factory=list)
    exclusive: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Tables:
    leases: dict[str, LeaseRow] = field(default_factory=dict)
    holders: dict[str, dict[str, Mode]] = field(default_factory=dict)
    waiters: dict[str, WaiterRow] = field(default_factory=dict)
    queues: dict[str, _Queue] = field(default_factory=dict)
    sessions: dict[str, float] = field(default_factory=dict)
    records: dict[str, RecordRow] = field(default_factory=dict)
    unsettled: dict[str, dict[str, None]] = field(default_factory=dict)
    versions: dict[str, VersionRow] = field(default_factory=dict)
    killed: dict[str, Killed] = field(default_factory=dict)
    log: list[Event] = field(default_factory=list)
    last_cursor: int = 0
    trimmed: int = 0
    subscribers: dict[str, SubscriberRow] = field(default_factory=dict)
    last_ticket: int = 0


class _MemoryTransaction(Transaction):
    """Writes at once and keeps what undoes it, so that a step that fails leaves nothing behind."""

    def __init__(self, tables: _Tables, clock: Clock) -> None:
        super().__init__(clock.time(), clock.ticks())
        self._tables = tables
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []
        self._queue_undo: list[tuple[Callable[[WaiterRow], None], WaiterRow]] = []

    def commit(self) -> None:
        if self._appended:
            self._tables.log.extend(self._appended)
            self._tables.last_cursor = self._cursor

    def roll_back(self) -> None:
        for undo, row in reversed(self._queue_undo):
            undo(row)
        for table, key, old in reversed(self._undo):
            if old is _ABSENT:
                table.pop(key, None)
            else:
                table[key] = old

    def _put(self, table: dict[Any, Any], key: Any, row: Any) -> None:
        self._undo.append((table, key, table.get(key, _ABSENT)))
        table[key] = row

    def _drop(self, table: dict[Any, Any], key: Any) -> None:
        if key in table:
            self._undo.append((table, key, table[key]))
            del table[key]

    def last_cursor(self) -> int:
        return self._tables.last_cursor

    def lease(self, owner: str) -> LeaseRow | None:
        return self._tables.leases.get(owner)

    def take(self, row: LeaseRow) -> None:
        table, owner = self._tables.holders, row.ask.owner
        for name, mode in row.wants:
            self._put(table, name, {**table[name], owner: mode} if name in table else {owner: mode})
        self._put(self._tables.leases, owner, row)

    def put_lease(self, row: LeaseRow) -> None:
        taken = self._tables.leases[row.ask.owner]
        self._put(self._tables.leases, row.ask.owner, row._replace(ask=taken.ask))

    def drop(self, row: LeaseRow) -> None:
        table, owner = self._tables.holders, row.ask.owner
        for name, _ in row.wants:
            others = {other: mode for other, mode in table[name].items() if other != owner}
            if others:
                self._put(table, name, others)
            else:
                self._drop(table, name)
        self._drop(self._tables.leases, owner)

    def leases(self, *, expired: bool = False, session: str = "", limit: int = -1) -> list[LeaseRow]:
        rows = [
            row
            for row in self._tables.leases.values()
            if (not expired or self.is_over(row)) and (not session or row.ask.session == session)
        ]
        return rows if limit < 0 else rows[:limit]

    def holdings(self, names: Sequence[str]) -> list[Holding]:
        table = self._tables.holders
        return [Holding(name, owner, mode) for name in names if name in table for owner, mode in table[name].items()]

    def contended(self, names: Sequence[str]) -> Sequence[str]:
        queues = self._tables.queues
        return [name for name in names if name in queues] if queues else []

    def waiter(self, owner: str) -> WaiterRow | None:
        return self._tables.waiters.get(owner)

    def put_waiter(self, row: WaiterRow) -> None:
        self._put(self._tables.waiters, row.ask.owner, row)
        self._tables.last_ticket = row.place if row.place > 0 else row.place + LAST_PLACE
        self._queue_undo.append((self._part, row))
        self._join(row)

    def drop_waiter(self, row: WaiterRow) -> None:
        self._drop(self._tables.waiters, row.ask.owner)
        self._queue_undo.append((self._join, row))
        self._part(row)

    def _join(self, row: WaiterRow) -> None:
        for resource, mode in row.wants:
            queue = self._tables.queues.setdefault(resource, _Queue())
            _put_in(queue.every, (row.place, row.ask.owner))
            if mode is Mode.EXCLUSIVE:
                _put_in(queue.exclusive, (row.place, row.ask.owner))

    def _part(self, row: WaiterRow) -> None:
        entry = (row.place, row.ask.owner)
        for resource, mode in row.wants:
            queue = self._tables.queues.setdefault(resource, _Queue())
            _take_out(queue.every, entry)
            if mode is Mode.EXCLUSIVE:
                _take_out(queue.exclusive, entry)
            if not queue.every:
                del self._tables.queues[resource]

    def waiters(self, *, dead: bool = False, limit: int = -1) -> list[WaiterRow]:
        rows = sorted(self._tables.waiters.values(), key=lambda row: row.place)
        if dead:
            rows = [row for row in rows if not self.is_alive(row.ask.session)]
        return rows if limit < 0 else rows[:limit]

    def queue(self, resource: str, *, after: int, limit: int) -> list[WaiterRow]:
        queue = self._tables.queues.get(resource)
        if queue is None:
            return []
        start = bisect_right(queue.every, (after, "\U0010ffff"))
        return [self._tables.waiters[owner] for _, owner in queue.every[start : start + limit]]

    def ahead(self, wants: Sequence[Want], place: int) -> tuple[str, WaiterRow] | None:
        for name, mode in wants if self._tables.queues else ():
            if queue := self._tables.queues.get(name):
                first = (queue.every if mode is Mode.EXCLUSIVE else queue.exclusive)[:1]
                if first and first[0][0] < place:
                    return name, self._tables.waiters[first[0][1]]
        return None

    def last_ticket(self, names: Sequence[str]) -> int:
        return self._tables.last_ticket

    def session_until(self, session: str) -> float:
        return self._tables.sessions.get(session, 0.0)

    def put_session(self, session: str, until: float) -> None:
        self._put(self._tables.sessions, session, until)

    def record(self, key: str) -> RecordRow | None:
        return self._tables.records.get(key)

    def unsettled(self, scope: str) -> list[RecordRow]:
        return [self._tables.records[key] for key in self._tables.unsettled.get(scope, ())]

    def put_record(self, row: RecordRow) -> None:
        self.drop_record(row.key)  # so that the newest is last
        self._put(self._tables.records, row.key, row)
        if row.touched:
            self._put(self._tables.unsettled, row.scope, {**self._tables.unsettled.get(row.scope, {}), row.key: None})

    def drop_record(self, key: str) -> None:
        row = self._tables.records.get(key)
        if row is None:
            return
        self._drop(self._tables.records, key)
        if row.touched:
            others = {other: None for other in self._tables.unsettled[row.scope] if other != key}
            if others:
                self._put(self._tables.unsettled, row.scope, others)
            else:
                self._drop(self._tables.unsettled, row.scope)

    def in_doubt(self) -> list[RecordRow]:
        rows = [self._tables.records[key] for keys in self._tables.unsettled.values() for key in keys]
        return [row for row in rows if row.state is State.IN_DOUBT]

    def versions(self, names: Sequence[str]) -> list[VersionRow]:
        table = self._tables.versions
        return [table[name] for name in names if name in table] if table else []

    def put_version(self, row: VersionRow) -> None:
        self._drop(self._tables.versions, row.resource)  # so that the newest is last
        self._put(self._tables.versions, row.resource, row)

    def killed(self, agent: str) -> Killed | None:
        return self._tables.killed.get(agent)

    def put_killed(self, row: Killed) -> None:
        self._put(self._tables.killed, row.agent, row)

    def drop_killed(self, agent: str) -> None:
        self._drop(self._tables.killed, agent)

    def all_killed(self) -> list[Killed]:
        return list(self._tables.killed.values())

    def events(self, wanted: EventFilter) -> list[Event]:
        log = self._tables.log
        start = bisect_right(log, wanted.after, key=lambda event: event.cursor)
        found = []
        for event in log[start:] if wanted.limit else ():
            if wanted.admits(event):
                found.append(event)
                if len(found) == wanted.limit:
                    break
        return found

    def trimmed(self) -> int:
        return self._tables.trimmed

    def subscriber(self, name: str) -> SubscriberRow | None:
        return self._tables.subscribers.get(name)

    def subscribers(self) -> list[SubscriberRow]:
        return list(self._tables.subscribers.values())

    def put_subscriber(self, row: SubscriberRow) -> None:
        self._put(self._tables.subscribers, row.name, row)

    def drop_subscriber(self, name: str) -> None:
        self._drop(self._tables.subscribers, name)

    def retire(self, terms: Sweep, unread: int) -> Swept:
        events = self._retire_events(terms, unread)
        records = self._retire_records(terms)
        for session, until in list(self._tables.sessions.items()):
            if until <= self.ticks:
                self._drop(self._tables.sessions, session)
        self._retire_versions(terms)
        return Swept(records=records, events=events, more=terms.limit in (records, events))

    def _retire_events(self, terms: Sweep, unread: int) -> int:
        log, oldest = self._tables.log, min(int((self.now - terms.keep_events) * 1_000_000), unread)
        count = max(bisect_right(log, oldest, key=lambda event: event.cursor), len(log) - terms.max_events)
        count = min(count, terms.limit)
        if count:
            self._tables.trimmed = log[count - 1].cursor  # before they go, so that no interrupt can hide it
        del log[:count]
        return count

    def _retire_records(self, terms: Sweep) -> int:
        old: list[str] = []
        for row in self._tables.records.values():
            if row.updated_at > self.now - terms.keep_results or len(old) == terms.limit:
                break
            if row.state in _SETTLED and row.same_as not in self._tables.records:
                old.append(row.key)
        for key in old:
            self.drop_record(key)
        return len(old)

    def _retire_versions(self, terms: Sweep) -> None:
        oldest = int((self.now - terms.keep_results) * 1_000_000)
        old = itertools.takewhile(lambda row: row.version <= oldest, self._tables.versions.values())
        for row in list(itertools.islice(old, terms.limit)):
            self._drop(self._tables.versions, row.resource)


# Both may be undone at any point, also where an interrupt came before they had done anything.


def _put_in(places: list[tuple[int, str]], entry: tuple[int, str]) -> None:
    at = bisect_left(places, entry)
    if places[at : at + 1] != [entry]:
        places.insert(at, entry)


def _take_out(places: list[tuple[int, str]], entry: tuple[int, str]) -> None:
    at = bisect_left(places, entry)
    if places[at : at + 1] == [entry]:
        del places[at]


class _Listening:
    """One of those who listen here: the one who speaks calls the others."""

    def __init__(self, every: list[_Listening], session: str, hear: Hear) -> None:
        self._every, self._session, self._hear = every, session, hear

    def tell(self, session: str, agent: str) -> None:
        """Say that an agent was stopped, or may go on, to a session."""
        if session == self._session:
            self._hear(agent)

    def close(self) -> None:
        """Be told no more."""
        with contextlib.suppress(ValueError):  # closed before
            self._every.remove(self)


class MemoryBackend(EmbeddedBackend):
    """Coordinates the threads and event loops of one process.

    Args:
        name: how the store is called in messages.
        shared: whether others use it by its name, so that closing it ends nothing.
        clock: what the store goes by.
    """

    reach = "this process"

    def __init__(self, name: str = "memory://", *, shared: bool = False, clock: Clock | None = None) -> None:
        super().__init__(name, Bells())
        self._clock, self._shared = clock or SystemClock(), shared
        self._tables = _Tables()
        self._listenings: list[_Listening] = []
        self._lock, self._forked = threading.Lock(), False
        self._secret = secrets.token_bytes(32)
        start_anew_in_children(self)

    def start_anew(self) -> None:
        """Forget, in a forked child, what the parent's calls hold; what is known of calls stays known."""
        old, self._bells, self._lock, self._forked = self._tables, Bells(), threading.Lock(), True
        self._listenings = []
        self._tables = replace(old, leases={}, holders={}, waiters={}, queues={}, sessions={})

    @property
    def secret(self) -> bytes:
        return self._secret

    def _step(self, command: Callable[[Transaction, Any], T], argument: Any) -> T:
        if self._forked:
            self._forked = False
            _log.warning("%s was forked: from now on, parent and child do not coordinate with each other", self.name)
        with self._lock:
            tx = _MemoryTransaction(self._tables, self._clock)
            try:
                answer = command(tx, argument)
            except BaseException:  # also an interrupt from the keyboard: half a step must not stay
                tx.roll_back()
                raise
            tx.commit()
        for bell, owner in tx.rings:
            self.ring(bell, owner)
        for session, agent in tx.words:
            for listening in list(self._listenings):
                listening.tell(session, agent)
        return answer

    def _read(self, query: Callable[[Transaction, Any], T], argument: Any) -> T:
        return self._step(query, argument)

    async def _astep(self, command: Callable[[Transaction, Any], T], argument: Any) -> T:
        # Nothing here waits for anything but the processor, so a hop to a thread would only cost.
        return self._step(command, argument)

    async def _aread(self, query: Callable[[Transaction, Any], T], argument: Any) -> T:
        return self._step(query, argument)

    def listen(self, session: str, hear: Hear) -> Listening:
        listening = _Listening(self._listenings, session, hear)
        self._listenings.append(listening)
        return listening

    def close(self) -> None:
        if not self._shared:
            self._listenings.clear()
            self._bells.close()
