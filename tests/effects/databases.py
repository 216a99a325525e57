"""One face for every kind of connection that the helpers take, sync and async, over real databases."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import psycopg
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from clawproof_langgraph.effects import sql
from clawproof_langgraph.runtime.context import CallContext

ROWS = ("a", "b", "c", "d", "e")
CONTROL = ("BEGIN", "COMMIT", "ROLLBACK")


class Failed(Exception):
    """Stands for whatever may go wrong in a write."""


@dataclass(frozen=True)
class Kind:
    """A driver over a database.

    Args:
        driver: "dbapi" for sqlite3 and psycopg, "connection" or "session" for SQLAlchemy's.
        database: "sqlite" or "postgres".
        asynchronous: whether it is for an event loop.
    """

    driver: str
    database: str
    asynchronous: bool = False

    def __str__(self) -> str:
        return "-".join([self.driver, self.database, *["async"] * self.asynchronous])


KINDS = [
    Kind("dbapi", "sqlite"),
    *[Kind("dbapi", "postgres", asynchronous) for asynchronous in (False, True)],
    *[
        Kind(driver, database, asynchronous)
        for driver in ("connection", "session")
        for database in ("sqlite", "postgres")
        for asynchronous in (False, True)
    ],
]


async def _done(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


@dataclass
class Open:
    """An open connection, the same for every kind."""

    raw: Any
    kind: Kind

    async def execute(self, statement: str) -> Any:
        """Run a statement."""
        return await _done(self.execute_now(statement))

    def execute_now(self, statement: str) -> Any:
        """Run a statement as the driver does: an awaitable for an event loop."""
        return self.raw.execute(statement if self.kind.driver == "dbapi" else sqlalchemy.text(statement))

    async def begin(self) -> None:
        """Open a transaction of the user."""
        await self.execute("BEGIN" if self.kind == Kind("dbapi", "sqlite") else "SELECT 1")

    async def commit(self) -> None:
        """Commit it."""
        await _done(self.raw.commit())

    async def rollback(self) -> None:
        """Roll it back."""
        await _done(self.raw.rollback())

    async def create_inbox(self) -> None:
        """Create the tables."""
        await _done((sql.acreate_inbox if self.kind.asynchronous else sql.create_inbox)(self.raw))

    async def once(
        self,
        call: CallContext | None,
        *,
        rows: Sequence[str] = ROWS,
        fails_after: int | None = None,
        result: Any = "written",
        also: Callable[[Any], Any] = lambda raw: None,
        name: str = "",
    ) -> Any:
        """Write rows by way of `once`; the write fails after so many of them, or does something else too."""
        if self.kind.asynchronous:

            async def awrite(raw: Any) -> Any:
                for number, row in enumerate(rows):
                    _fail_at(number, fails_after)
                    await Open(raw, self.kind).execute(f"INSERT INTO entries (entry) VALUES ('{row}')")
                await _done(also(raw))
                return result

            return await sql.aonce(self.raw, call, awrite, name=name)

        def write(raw: Any) -> Any:
            for number, row in enumerate(rows):
                _fail_at(number, fails_after)
                Open(raw, self.kind).execute_now(f"INSERT INTO entries (entry) VALUES ('{row}')")
            also(raw)
            return result

        return sql.once(self.raw, call, write, name=name)

    async def fenced(self, resource: str, fence: int) -> None:
        """Check a fence."""
        await _done((sql.afenced if self.kind.asynchronous else sql.fenced)(self.raw, resource, fence))

    async def entries(self) -> list[str]:
        """List the rows that are there, in a transaction of its own."""
        found = await self.execute("SELECT entry FROM entries ORDER BY entry")
        rows = await _done(found.fetchall())
        await self.rollback()
        return [row[0] for row in rows]


def _fail_at(number: int, fails_after: int | None) -> None:
    if number == fails_after:
        raise Failed


@dataclass
class Place:
    """A fresh database with an empty table of entries.

    Args:
        kind: of the connections that it opens.
        where: the path of a file, or what psycopg connects to.
        statements: all that was sent, but for the control of transactions.
    """

    kind: Kind
    where: str
    statements: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Open]:
        """Open a connection."""
        opening = getattr(self, f"_{self.kind.driver}_{'async' if self.kind.asynchronous else 'sync'}")
        async with opening() as raw:
            yield Open(raw, self.kind)

    def _note(self, statement: str) -> None:
        if not statement.lstrip().upper().startswith(CONTROL):
            self.statements.append(statement)

    @asynccontextmanager
    async def _dbapi_sync(self) -> AsyncIterator[Any]:
        if self.kind.database == "sqlite":
            conn = sqlite3.connect(self.where)
            conn.set_trace_callback(self._note)
        else:
            conn = psycopg.connect(self.where)
        try:
            with _noting(psycopg.Cursor, self._note):
                yield conn
        finally:
            conn.close()

    @asynccontextmanager
    async def _dbapi_async(self) -> AsyncIterator[Any]:
        conn = await psycopg.AsyncConnection.connect(self.where)
        try:
            with _noting(psycopg.AsyncCursor, self._note):
                yield conn
        finally:
            await conn.close()

    def engine(self, **options: Any) -> sqlalchemy.Engine:
        """Give an engine of SQLAlchemy."""
        if self.kind.database == "sqlite":
            return self._noted(sqlalchemy.create_engine(f"sqlite:///{self.where}", **options))
        creator = lambda: psycopg.connect(self.where)  # noqa: E731
        return self._noted(sqlalchemy.create_engine("postgresql+psycopg://", creator=creator, **options))

    def _noted(self, engine: sqlalchemy.Engine) -> sqlalchemy.Engine:
        sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *args: self._note(args[2]))
        return engine

    @asynccontextmanager
    async def _engine_async(self) -> AsyncIterator[Any]:
        if self.kind.database == "sqlite":
            engine = create_async_engine(f"sqlite+aiosqlite:///{self.where}")
        else:

            async def creator() -> Any:
                return await psycopg.AsyncConnection.connect(self.where)

            engine = create_async_engine("postgresql+psycopg://", async_creator=creator)
        self._noted(engine.sync_engine)
        try:
            yield engine
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def _connection_sync(self) -> AsyncIterator[Any]:
        engine = self.engine()
        with engine.connect() as conn:
            yield conn
        engine.dispose()

    @asynccontextmanager
    async def _session_sync(self) -> AsyncIterator[Any]:
        engine = self.engine()
        with Session(engine) as session:
            yield session
        engine.dispose()

    @asynccontextmanager
    async def _connection_async(self) -> AsyncIterator[Any]:
        async with self._engine_async() as engine, engine.connect() as conn:
            assert isinstance(conn, AsyncConnection)
            yield conn

    @asynccontextmanager
    async def _session_async(self) -> AsyncIterator[Any]:
        async with self._engine_async() as engine, AsyncSession(engine) as session:
            yield session


def _noting(kind: type, note: Callable[[str], None]) -> Any:
    """Have all cursors of a kind tell what they send."""
    execute: Any = vars(kind)["execute"]

    def noting(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        note(query.decode() if isinstance(query, bytes) else str(query))
        return execute(self, query, *args, **kwargs)

    return mock.patch.object(kind, "execute", noting)
