"""The world that the tools change: a database of its own, in which effects are counted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from clawproof_langgraph import CallContext, NotApplied
from clawproof_langgraph.effects import sql

PRICE = 30
RESULT = "done"
"""What each tool returns."""
UNSYNCED = "PRAGMA synchronous = OFF"
"""A process that is killed loses nothing by it, and thousands of cells go faster."""

_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE runs (key TEXT NOT NULL, pid INTEGER NOT NULL);
CREATE TABLE payments (number INTEGER NOT NULL);
CREATE TABLE prices (number INTEGER PRIMARY KEY, price INTEGER NOT NULL);
CREATE TABLE charges (key TEXT PRIMARY KEY);
CREATE TABLE transfers (number INTEGER NOT NULL);
"""
_EFFECTS = f"""
SELECT (SELECT count(*) FROM payments) + (SELECT count(*) FROM prices WHERE price = {PRICE})
     + (SELECT count(*) FROM charges) + (SELECT count(*) FROM transfers)
"""


class World:
    """What the tools of one cell have done, in all processes.

    Args:
        directory: where the database is.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "world.db"

    def create(self) -> None:
        """Make the database."""
        with closing(self._open()) as db:
            db.executescript(_SCHEMA)
            sql.create_inbox(db)

    # --- effects ------------------------------------------------------------------------------------------------

    def pay(self, number: int, call: CallContext | None) -> None:
        """Pay: once more each time."""
        with self._run(call) as db:
            db.execute("INSERT INTO payments VALUES (?)", (number,))

    def set_price(self, number: int, call: CallContext | None) -> None:
        """Set a price: the same however often."""
        with self._run(call) as db:
            db.execute("INSERT OR REPLACE INTO prices VALUES (?, ?)", (number, PRICE))

    def charge(self, number: int, call: CallContext | None) -> None:
        """Ask a service for a charge: it makes one for each key; without a key, each request is new to it."""
        key = call.idempotency_key if call else os.urandom(8).hex()
        with self._run(call) as db:
            db.execute("INSERT OR IGNORE INTO charges VALUES (?)", (key,))

    def transfer(self, number: int, call: CallContext | None) -> None:
        """Write in a transaction that claims the call's key."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO transfers VALUES (?)", (number,))

        with self._run(call):
            pass
        with closing(self._open()) as db:
            if call is not None:
                sql.once(db, call, write)
            else:
                with db:
                    write(db)

    def look(self, number: int, call: CallContext | None) -> None:
        """Change nothing."""
        with self._run(call):
            pass

    def look_up(self, call: CallContext) -> object:
        """Tell what became of a call, as a probe does."""
        made = self._count("SELECT count(*) FROM runs WHERE key = ?", call.idempotency_key)
        return RESULT if made else NotApplied

    # --- counts -------------------------------------------------------------------------------------------------

    def runs(self) -> int:
        """How often a tool's code came to its effect."""
        return self._count("SELECT count(*) FROM runs")

    def keys(self) -> frozenset[str]:
        """Under which keys."""
        with closing(self._open()) as db:
            return frozenset(key for (key,) in db.execute("SELECT DISTINCT key FROM runs WHERE key <> ''"))

    def effects(self) -> int:
        """How often the effect happened."""
        return self._count(_EFFECTS)

    def _count(self, query: str, *values: str) -> int:
        with closing(self._open()) as db:
            [(count,)] = db.execute(query, values).fetchall()
        return int(count)

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=30)
        db.execute(UNSYNCED)
        return db

    @contextmanager
    def _run(self, call: CallContext | None) -> Iterator[sqlite3.Connection]:
        with closing(self._open()) as db, db:
            db.execute("INSERT INTO runs VALUES (?, ?)", (call.idempotency_key if call else "", os.getpid()))
            yield db
