"""SQLAlchemy 2 over SQLite or PostgreSQL: Connection and Session, sync and async."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from clawproof_langgraph.effects.sql.drivers import Values, already_open, commits_by_itself
from clawproof_langgraph.errors import ConfigurationError

_DIALECTS: Final = ("sqlite", "postgresql")
_AUTOCOMMIT: Final = 'take isolation_level="AUTOCOMMIT" off the engine or the connection'


def _refuse_open(conn: Any) -> None:
    # What a Session commits that is bound to a Connection in a transaction is not committed by that.
    bind = getattr(getattr(conn, "sync_session", conn), "bind", None)
    if conn.in_transaction() or (isinstance(bind, sqlalchemy.Connection) and bind.in_transaction()):
        raise already_open(f"SQLAlchemy {type(conn).__name__}")


class Alchemy:
    """A Connection or a Session."""

    def __init__(self, conn: sqlalchemy.Connection | Session) -> None:
        self._conn = conn

    @contextmanager
    def transaction(self) -> Iterator[None]:
        _refuse_open(self._conn)
        with self._conn.begin():
            self.expect_transaction()
            self.begin_for_writing()
            yield

    def expect_transaction(self) -> None:
        connection = self._connection
        if connection.dialect.name not in _DIALECTS:
            raise ConfigurationError(
                f"The statements of clawproof_langgraph.effects.sql are written for {' and '.join(_DIALECTS)}, not for "
                f"{connection.dialect.name}: use another database, or another `effect`."
            )
        if self._commits_by_itself(connection):
            raise commits_by_itself("SQLAlchemy connection", _AUTOCOMMIT)

    @staticmethod
    def _commits_by_itself(connection: sqlalchemy.Connection) -> bool:
        # The engine's own level has no public name, and its drivers begin too late to be asked.
        levels = (
            connection.get_execution_options().get("isolation_level"),
            getattr(connection.dialect, "_on_connect_isolation_level", None),
        )
        if "AUTOCOMMIT" in levels:
            return True
        return getattr(connection.connection.dbapi_connection, "autocommit", None) is True

    def begin_for_writing(self) -> None:
        """Let SQLite wait for its turn at the beginning, where its driver would begin with the first write."""
        connection = self._connection
        driver: Any = connection.connection.driver_connection
        if connection.dialect.name == "sqlite" and not driver.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    def change(self, statement: str, values: Values) -> bool:
        return self._execute(statement, values).rowcount > 0

    def read(self, statement: str, values: Values) -> str | bytes | None:
        value: str | bytes | None = self._execute(statement, values).scalar()
        return value

    def _execute(self, statement: str, values: Values) -> CursorResult[Any]:
        return self._connection.execute(
            sqlalchemy.text(statement), dict(values), execution_options={"preserve_rowcount": True}
        )

    @property
    def _connection(self) -> sqlalchemy.Connection:
        return self._conn.connection() if isinstance(self._conn, Session) else self._conn


class AsyncAlchemy:
    """An AsyncConnection or an AsyncSession, by way of the one that it wraps."""

    def __init__(self, conn: AsyncConnection | AsyncSession) -> None:
        self._conn = conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        _refuse_open(self._conn)
        async with self._conn.begin():
            await self.expect_transaction()
            await self._conn.run_sync(lambda conn: Alchemy(conn).begin_for_writing())
            yield

    async def expect_transaction(self) -> None:
        await self._conn.run_sync(lambda conn: Alchemy(conn).expect_transaction())

    async def change(self, statement: str, values: Values) -> bool:
        return await self._conn.run_sync(lambda conn: Alchemy(conn).change(statement, values))

    async def read(self, statement: str, values: Values) -> str | bytes | None:
        return await self._conn.run_sync(lambda conn: Alchemy(conn).read(statement, values))
