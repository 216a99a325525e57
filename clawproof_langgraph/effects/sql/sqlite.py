"""sqlite3, of the standard library."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from clawproof_langgraph.effects.sql.drivers import Values, already_open, commits_by_itself
from clawproof_langgraph.errors import ConfigurationError

_log = logging.getLogger("clawproof_langgraph")


class Sqlite:
    """A connection of sqlite3.

    A transaction begins with BEGIN IMMEDIATE, whatever `isolation_level` says: a writer that waits for its turn at the
    beginning is never refused in the middle.
    """

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._own = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if getattr(self._conn, "autocommit", None) is False:  # since Python 3.12
            raise ConfigurationError(
                "A sqlite3 connection with autocommit=False is never without a transaction: connect with "
                "autocommit=True, or without that argument."
            )
        if self._conn.in_transaction:
            raise already_open("sqlite3 connection")
        with self._no_other_begins():
            self._conn.execute("BEGIN IMMEDIATE")
            self._own = True
            try:
                yield
                self._expect_own()
                self._conn.execute("COMMIT")
            except BaseException:  # nothing of it may stay, whatever ended it
                self._roll_back()
                raise
            finally:
                self._own = False

    @contextmanager
    def _no_other_begins(self) -> Iterator[None]:
        """Switch the driver's own transactions off, so that none begins unseen after the write has ended this one."""
        level = self._conn.isolation_level
        if level is not None:  # setting it to None commits what is open, and what could not be rolled back is
            self._conn.isolation_level = None
        try:
            yield
        finally:
            if level is not None:
                self._conn.isolation_level = level

    def _expect_own(self) -> None:
        if self._own and not self._conn.in_transaction:
            raise ConfigurationError(
                "The `write` ended the transaction that it ran in (commit, rollback, or executescript, which commits "
                "first). Take that out of it, for once() commits; and look what it left in the database."
            )

    def _roll_back(self) -> None:
        try:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
        except sqlite3.Error:
            _log.exception("a transaction could not be rolled back; closing the connection does it")

    def expect_transaction(self) -> None:
        by_itself = self._conn.isolation_level is None and getattr(self._conn, "autocommit", None) is not False
        by_itself = by_itself or getattr(self._conn, "autocommit", None) is True
        if by_itself and not self._conn.in_transaction:
            raise commits_by_itself("sqlite3 connection", 'begin a transaction first: conn.execute("BEGIN IMMEDIATE")')

    def change(self, statement: str, values: Values) -> bool:
        return self._cursor().execute(statement, dict(values)).rowcount > 0

    def read(self, statement: str, values: Values) -> str | bytes | None:
        row = self._cursor().execute(statement, dict(values)).fetchone()
        return None if row is None else row[0]

    def _cursor(self) -> sqlite3.Cursor:
        self._expect_own()
        cursor = self._conn.cursor()
        cursor.row_factory = None  # the user's rows may be anything
        return cursor
