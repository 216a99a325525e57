"""One atomic step in SQLite: the record store's reads and writes as statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from clawproof_langgraph.backends.clocks import Clock
from clawproof_langgraph.backends.sqlite import rows
from clawproof_langgraph.backends.sqlite.retention import retire
from clawproof_langgraph.backends.store import (
    CLAIM_WITHIN,
    LAST_PLACE,
    SLACK,
    WAITER_LIFE,
    Holding,
    LeaseRow,
    RecordRow,
    SubscriberRow,
    Transaction,
    VersionRow,
    WaiterRow,
)
from clawproof_langgraph.events import Event, EventFilter
from clawproof_langgraph.model import Begin, Killed, Mode, Sweep, Swept, Want

_LEASE_COLUMNS: Final = (
    "owner, fence, expires, since, seen, claimed, attempt, suspected, wants, session, ttl, agent, thread, tool, key, "
    "scope, fingerprint, ancestors, bell, expected, lineage"
)
_WAITER_COLUMNS: Final = (
    "owner, place, arrived, wants, session, ttl, agent, thread, tool, key, scope, fingerprint, ancestors, bell, "
    "expected, lineage"
)
_RECORD_COLUMNS: Final = (
    "key, state, agent, thread, tool, scope, fingerprint, owner, fence, attempt, result, first_at, updated_at, "
    "same_as, resources, reason, doubted_before, touched, asked, lineage"
)
_EVENT_COLUMNS: Final = "cursor, time, type, agent, thread, call, key, resources, fence, data"


def _marks(count: int) -> str:
    return ",".join("?" * count)


def _insert(verb: str, table: str, columns: str) -> str:
    return f"{verb} INTO {table} (ns, {columns}) VALUES ({_marks(columns.count(',') + 2)})"


_PUT_LEASE: Final = _insert("INSERT", "live", "resource, " + _LEASE_COLUMNS)
_RENEW_LEASE: Final = (
    "UPDATE live SET fence = ?, expires = ?, since = ?, seen = ?, claimed = ?, attempt = ?, suspected = ? "
    "WHERE ns = ? AND resource = '' AND owner = ?"
)
_PUT_WAITER: Final = _insert("INSERT", "waiters", _WAITER_COLUMNS)
_PUT_RECORD: Final = _insert("REPLACE", "records", _RECORD_COLUMNS)
_PUT_SUBSCRIBER: Final = _insert("REPLACE", "subscribers", "name, cursor, owner, until, seen")
_GET_SUBSCRIBERS: Final = "SELECT name, cursor, owner, until, seen FROM subscribers WHERE ns = ?"
_APPEND: Final = _insert("INSERT", "events", _EVENT_COLUMNS)
_VERSION_COLUMNS: Final = "resource, version, agent, tool, thread, key, at"
_PUT_VERSION: Final = _insert("REPLACE", "versions", _VERSION_COLUMNS)
_IS_CROWDED: Final = "EXISTS (SELECT 1 FROM queue WHERE ns = ?1)"
_HAS_VERSIONS: Final = "EXISTS (SELECT 1 FROM versions WHERE ns = ?1)"
_LAST_CURSOR: Final = "(SELECT max(cursor) FROM events)"
# A lease is mostly read to end it, and then the other three are wanted next.
_GET_LEASE: Final = (
    f"SELECT {_LAST_CURSOR}, {_IS_CROWDED}, {_HAS_VERSIONS}, {_LEASE_COLUMNS} FROM live "
    "WHERE ns = ?1 AND resource = '' AND owner = ?2"
)
# Whether a waiter is alive is asked whenever one is read.
_UNTIL: Final = "(SELECT until FROM sessions WHERE sessions.ns = waiters.ns AND sessions.session = waiters.session)"
_GET_WAITER: Final = f"SELECT {_UNTIL}, {_WAITER_COLUMNS} FROM waiters WHERE ns = ? AND owner = ?"
_GET_RECORD: Final = f"SELECT {_RECORD_COLUMNS} FROM records WHERE ns = ? AND key = ?"
_GET_UNSETTLED: Final = (
    f"SELECT {_RECORD_COLUMNS} FROM records INDEXED BY records_unsettled "
    "WHERE ns = ? AND scope = ? AND touched ORDER BY first_at"
)
_QUEUED: Final = f"{_UNTIL}, " + ", ".join(f"waiters.{column}" for column in _WAITER_COLUMNS.split(", "))
_FIRST: Final = (
    f"SELECT {_QUEUED} FROM queue JOIN waiters ON waiters.ns = queue.ns AND waiters.owner = queue.owner "
    "WHERE queue.ns = ? AND queue.resource = ? AND queue.exclusive = ? AND queue.place > ? ORDER BY queue.place LIMIT 1"
)
_BEHIND: Final = (
    "SELECT * FROM (SELECT place, owner FROM queue WHERE ns = ? AND resource = ? AND exclusive = {} AND place > ? "
    "ORDER BY place LIMIT ?)"
)
_QUEUE: Final = (
    f"SELECT {_QUEUED} FROM ({_BEHIND.format(0)} UNION ALL {_BEHIND.format(1)} ORDER BY place LIMIT ?) AS next "
    "JOIN waiters ON waiters.ns = ? AND waiters.owner = next.owner ORDER BY next.place"
)
_AHEAD: Final = (
    "SELECT resource, owner FROM queue WHERE ns = ? AND exclusive IN ({}) AND place < ? AND resource IN ({}) LIMIT 1"
)
_KINDS: Final = ((0, ">"), (1, ">"), (0, "<"), (1, "<"))

# Questions that almost always have the answer "no", and the clock, in one statement instead of five. The lease is that
# of a request that was made before.
_FORESEE: Final = (
    f"SELECT {_LAST_CURSOR}, {_IS_CROWDED}, "
    "EXISTS (SELECT 1 FROM killed WHERE ?2 <> '' AND ns = ?1 AND agent = ?2), "
    "EXISTS (SELECT 1 FROM records WHERE ?3 <> '' AND ns = ?1 AND key = ?3), "
    "EXISTS (SELECT 1 FROM records INDEXED BY records_unsettled WHERE ?4 <> '' AND ns = ?1 AND scope = ?4 AND touched)"
)
_FORESEE_AGAIN: Final = (
    f"{_FORESEE}, {_LEASE_COLUMNS} FROM (SELECT 1) LEFT JOIN live ON ns = ?1 AND resource = '' AND owner = ?5"
)


@lru_cache(maxsize=64)
def _select_holdings(count: int) -> str:
    return f"SELECT resource, owner, mode FROM live WHERE ns = ? AND resource IN ({_marks(count)})"


@lru_cache(maxsize=64)
def _select_any_ahead(count: int) -> str:
    return _AHEAD.format("0, 1", _marks(count))


@lru_cache(maxsize=64)
def _select_exclusive_ahead(count: int) -> str:
    return _AHEAD.format("1", _marks(count))


@lru_cache(maxsize=64)
def _select_contended(count: int) -> str:
    return f"SELECT DISTINCT resource FROM queue WHERE ns = ? AND resource IN ({_marks(count)})"


@lru_cache(maxsize=64)
def _select_versions(count: int) -> str:
    return f"SELECT {_VERSION_COLUMNS} FROM versions WHERE ns = ? AND resource IN ({_marks(count)})"


@lru_cache(maxsize=64)
def _select_last_places(count: int) -> str:
    """Select the last place of each kind (exclusive or not, nested or not) in each queue, one seek for each."""
    names = ", ".join(f"(?{number})" for number in range(2, count + 2))
    last = "(SELECT max(place) FROM queue WHERE ns = ?1 AND resource = wanted.name AND exclusive = {} AND place {} 0)"
    kinds = " UNION ALL ".join(f"SELECT {last.format(*kind)} AS place FROM wanted" for kind in _KINDS)
    return f"WITH wanted (name) AS (VALUES {names}) SELECT place FROM ({kinds}) WHERE place NOT NULL"


class SqliteTransaction(Transaction):
    """Reads and writes at once, but for the log, which is written in one go at the end.

    Args:
        connection: in a transaction that its user ends.
        ns: the namespace's number.
        clock: what the store goes by.
        places: where the retention of this process has come to; kept between its steps.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        ns: int,
        clock: Clock,
        places: dict[str, Any],
    ) -> None:
        super().__init__(clock.time(), clock.ticks())
        self._run = connection.execute
        self._run_many = connection.executemany
        self._ns = ns
        self._places = places
        self._last_cursor: int | None = None
        self._crowded: bool | None = None
        self._versioned: bool | None = None
        self._absent: set[tuple[str, str]] = set()
        self._foreseen: dict[str, LeaseRow | None] = {}
        self._until: dict[str, float] = {}

    def flush(self) -> None:
        """Write what was gathered."""
        ns = self._ns
        self._run_many(_APPEND, [(ns, *rows.of_event(event)) for event in self._appended])

    def foresee(self, ask: Begin) -> None:
        wanted = (self._ns, ask.agent, ask.key, ask.scope)
        if ask.repeated:
            row = self._run(_FORESEE_AGAIN, (*wanted, ask.owner)).fetchone()
            self._foreseen = {ask.owner: rows.lease_of(row[5:]) if row[5] else None}
        else:
            row = self._run(_FORESEE, wanted).fetchone()
        self._last_cursor, self._crowded, found = row[0] or 0, bool(row[1]), row[2:5]
        subjects = (("killed", ask.agent), ("record", ask.key), ("unsettled", ask.scope))
        self._absent = {subject for subject, exists in zip(subjects, found, strict=True) if not exists}

    def last_cursor(self) -> int:
        if self._last_cursor is None:
            self._last_cursor = self._run("SELECT max(cursor) FROM events").fetchone()[0] or 0
        return self._last_cursor

    def lease(self, owner: str) -> LeaseRow | None:
        if owner in self._foreseen:
            return self._foreseen.pop(owner)
        row = self._run(_GET_LEASE, (self._ns, owner)).fetchone()
        if row is None:
            return None
        if self._crowded is None:
            self._last_cursor, self._crowded = row[0] or 0, bool(row[1])
        if self._versioned is None:
            self._versioned = bool(row[2])
        return rows.lease_of(row[3:])

    def take(self, row: LeaseRow) -> None:
        ns, owner = self._ns, row.ask.owner
        self._run_many(
            "INSERT INTO live (ns, resource, owner, mode) VALUES (?,?,?,?)",
            [(ns, resource, owner, rows.letter_of(mode)) for resource, mode in row.wants],
        )
        self._run(_PUT_LEASE, (ns, "", *rows.of_lease(row)))

    def put_lease(self, row: LeaseRow) -> None:
        self._run(_RENEW_LEASE, (*row[2:], self._ns, row.ask.owner))

    def drop(self, row: LeaseRow) -> None:
        ns, owner = self._ns, row.ask.owner
        self._run_many(
            "DELETE FROM live WHERE ns = ? AND resource = ? AND owner = ?",
            [(ns, "", owner), *[(ns, resource, owner) for resource, _ in row.wants]],
        )

    def leases(self, *, expired: bool = False, session: str = "", limit: int = -1) -> list[LeaseRow]:
        where, values = "ns = ? AND resource = ''", [self._ns]  # type: tuple[str, list[Any]]
        if expired:
            where += " AND NOT (expires > ? AND expires <= ? + max(ttl, ?))"
            values += [self.ticks, self.ticks + SLACK, CLAIM_WITHIN]
        if session:
            where, values = where + " AND session = ?", [*values, session]
        found = self._run(f"SELECT {_LEASE_COLUMNS} FROM live WHERE {where} LIMIT ?", (*values, limit))
        return [rows.lease_of(row) for row in found.fetchall()]

    def holdings(self, names: Sequence[str]) -> list[Holding]:
        found = self._run(_select_holdings(len(names)), (self._ns, *names)).fetchall()
        return [Holding(resource, owner, rows.mode_of(letter)) for resource, owner, letter in found]

    def contended(self, names: Sequence[str]) -> Sequence[str]:
        if not self._is_crowded():
            return ()
        if len(names) == 1:  # a look at its queue costs no more than the question
            return names
        found = self._run(_select_contended(len(names)), (self._ns, *names)).fetchall()
        return [name for (name,) in found]

    def waiter(self, owner: str) -> WaiterRow | None:
        return self._waiter_of(self._run(_GET_WAITER, (self._ns, owner)).fetchone())

    def _waiter_of(self, row: tuple[Any, ...] | None) -> WaiterRow | None:
        if row is None:
            return None
        until, *columns = row
        waiter = rows.waiter_of(columns)
        self._until[waiter.ask.session] = until or 0.0
        return waiter

    def put_waiter(self, row: WaiterRow) -> None:
        self._crowded = True
        self._run(_PUT_WAITER, (self._ns, *rows.of_waiter(row)))
        self._run_many(
            "INSERT INTO queue (ns, resource, exclusive, place, owner) VALUES (?,?,?,?,?)",
            [
                (self._ns, resource, mode is Mode.EXCLUSIVE, row.place, row.ask.owner)
                for resource, mode in row.wants
            ],
        )  # fmt: skip

    def drop_waiter(self, row: WaiterRow) -> None:
        self._run("DELETE FROM waiters WHERE ns = ? AND owner = ?", (self._ns, row.ask.owner))
        self._run_many(
            "DELETE FROM queue WHERE ns = ? AND resource = ? AND exclusive = ? AND place = ?",
            [(self._ns, resource, mode is Mode.EXCLUSIVE, row.place) for resource, mode in row.wants],
        )

    def waiters(self, *, dead: bool = False, limit: int = -1) -> list[WaiterRow]:
        sessions = self._dead_sessions() if dead else []
        if dead and not sessions:
            return []
        dead_only = f"AND session IN ({_marks(len(sessions))})" if dead else ""
        found = self._run(
            f"SELECT {_WAITER_COLUMNS} FROM waiters WHERE ns = ? {dead_only} ORDER BY place LIMIT ?",
            (self._ns, *sessions, limit),
        )
        return [rows.waiter_of(row) for row in found.fetchall()]

    def _dead_sessions(self) -> list[str]:
        found = self._run(
            "SELECT session FROM sessions WHERE ns = ? AND NOT (until > ? AND until <= ?) LIMIT 500",
            (self._ns, self.ticks, self.ticks + WAITER_LIFE + SLACK),
        )
        return [session for (session,) in found.fetchall()]

    def queue(self, resource: str, *, after: int, limit: int) -> list[WaiterRow]:
        if limit == 1:  # the head alone, with which every hand-off begins: two seeks are half the price
            firsts = [row for exclusive in (0, 1) if (row := self._first(resource, exclusive, after))]
            return sorted(firsts, key=lambda waiter: waiter.place)[:1]
        behind = (self._ns, resource, after, limit)
        found = self._run(_QUEUE, (*behind, *behind, limit, self._ns)).fetchall()
        return [waiter for row in found if (waiter := self._waiter_of(row))]

    def _is_crowded(self) -> bool:
        """Tell whether anybody waits for anything."""
        if self._crowded is None:
            self._crowded = bool(self._run(f"SELECT {_IS_CROWDED}", (self._ns,)).fetchone()[0])
        return self._crowded

    def ahead(self, wants: Sequence[Want], place: int) -> tuple[str, WaiterRow] | None:
        if not self._is_crowded():
            return None
        for mode, select in ((Mode.EXCLUSIVE, _select_any_ahead), (Mode.SHARED, _select_exclusive_ahead)):
            names = [want.resource for want in wants if want.mode is mode]
            found = names and self._run(select(len(names)), (self._ns, place, *names)).fetchone()
            if found and (waiter := self.waiter(found[1])):
                return found[0], waiter
        return None

    def _first(self, resource: str, exclusive: int, after: int) -> WaiterRow | None:
        """Read the first waiter of a kind behind a place."""
        return self._waiter_of(self._run(_FIRST, (self._ns, resource, exclusive, after)).fetchone())

    def last_ticket(self, names: Sequence[str]) -> int:
        # Order matters among those who wait for the same thing, so there is no need for an index of all places.
        found = self._run(_select_last_places(len(names)), (self._ns, *names)).fetchall() if self._crowded else ()
        return max((place if place > 0 else place + LAST_PLACE for (place,) in found), default=0)

    def session_until(self, session: str) -> float:
        if session not in self._until:
            find = "SELECT until FROM sessions WHERE ns = ? AND session = ?"
            row = self._run(find, (self._ns, session)).fetchone()
            self._until[session] = row[0] if row else 0.0
        return self._until[session]

    def put_session(self, session: str, until: float) -> None:
        self._until[session] = until
        self._run("REPLACE INTO sessions (ns, session, until) VALUES (?,?,?)", (self._ns, session, until))

    def record(self, key: str) -> RecordRow | None:
        if ("record", key) in self._absent:
            return None
        row = self._run(_GET_RECORD, (self._ns, key)).fetchone()
        return row and rows.record_of(row)

    def unsettled(self, scope: str) -> list[RecordRow]:
        if ("unsettled", scope) in self._absent:
            return []
        return [rows.record_of(row) for row in self._run(_GET_UNSETTLED, (self._ns, scope)).fetchall()]

    def put_record(self, row: RecordRow) -> None:
        self._absent.clear()
        self._run(_PUT_RECORD, (self._ns, *rows.of_record(row)))

    def drop_record(self, key: str) -> None:
        self._run("DELETE FROM records WHERE ns = ? AND key = ?", (self._ns, key))

    def in_doubt(self) -> list[RecordRow]:
        found = self._run(
            f"SELECT {_RECORD_COLUMNS} FROM records INDEXED BY records_unsettled "
            "WHERE ns = ? AND touched AND state = 'in_doubt' ORDER BY first_at",
            (self._ns,),
        )
        return [rows.record_of(row) for row in found.fetchall()]

    def versions(self, names: Sequence[str]) -> list[VersionRow]:
        if self._versioned is False:
            return []
        found = self._run(_select_versions(len(names)), (self._ns, *names)).fetchall()
        return [VersionRow(*row) for row in found]

    def put_version(self, row: VersionRow) -> None:
        self._versioned = True
        self._run(_PUT_VERSION, (self._ns, *row))

    def killed(self, agent: str) -> Killed | None:
        if ("killed", agent) in self._absent:
            return None
        row = self._run(
            "SELECT agent, reason, by, at FROM killed WHERE ns = ? AND agent = ?", (self._ns, agent)
        ).fetchone()
        return row and Killed(*row)

    def put_killed(self, row: Killed) -> None:
        self._run(
            "REPLACE INTO killed (ns, agent, reason, by, at) VALUES (?,?,?,?,?)",
            (self._ns, row.agent, row.reason, row.by, row.at),
        )

    def drop_killed(self, agent: str) -> None:
        self._run("DELETE FROM killed WHERE ns = ? AND agent = ?", (self._ns, agent))

    def all_killed(self) -> list[Killed]:
        found = self._run("SELECT agent, reason, by, at FROM killed WHERE ns = ? ORDER BY at", (self._ns,))
        return [Killed(*row) for row in found.fetchall()]

    def events(self, wanted: EventFilter) -> list[Event]:
        where, values = ["cursor > ?", "ns = ?"], [wanted.after, self._ns]  # type: tuple[list[str], list[Any]]
        for column, value in (("agent", wanted.agent), ("thread", wanted.thread), ("call", wanted.call)):
            if value:
                where.append(f"{column} = ?")
                values.append(value)
        for column, value in (("agent", wanted.except_agent), ("thread", wanted.except_thread)):
            if value:
                where.append(f"{column} != ?")
                values.append(value)
        if wanted.types:
            where.append(f"type IN ({_marks(len(wanted.types))})")
            values.extend(wanted.types)
        if wanted.resource:
            where.append("instr(char(10) || resources || char(10), char(10) || ? || char(10))")
            values.append(wanted.resource)
        query = f"SELECT {_EVENT_COLUMNS} FROM events WHERE {' AND '.join(where)} ORDER BY cursor LIMIT ?"
        return [rows.event_of(row) for row in self._run(query, (*values, wanted.limit)).fetchall()]

    def trimmed(self) -> int:
        found: int = self._run("SELECT trimmed FROM namespaces WHERE ns = ?", (self._ns,)).fetchone()[0]
        return found

    def subscriber(self, name: str) -> SubscriberRow | None:
        row = self._run(f"{_GET_SUBSCRIBERS} AND name = ?", (self._ns, name)).fetchone()
        return row and SubscriberRow(*row)

    def subscribers(self) -> list[SubscriberRow]:
        return [SubscriberRow(*row) for row in self._run(_GET_SUBSCRIBERS, (self._ns,)).fetchall()]

    def put_subscriber(self, row: SubscriberRow) -> None:
        self._run(_PUT_SUBSCRIBER, (self._ns, *row))

    def drop_subscriber(self, name: str) -> None:
        self._run("DELETE FROM subscribers WHERE ns = ? AND name = ?", (self._ns, name))

    def retire(self, terms: Sweep, unread: int) -> Swept:
        return retire(self._run, self._ns, self, terms, unread, self._places)
