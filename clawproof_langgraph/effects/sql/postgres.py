"""psycopg 3, sync and async."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row

from clawproof_langgraph.effects.sql.drivers import Values, already_open, commits_by_itself
from clawproof_langgraph.errors import ConfigurationError

_BEGIN_FIRST = "open a transaction first: `with conn.transaction():`"


class Postgres:
    """A connection of psycopg, in autocommit mode or not: `conn.transaction()` begins and commits in both."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn

    @contextmanager
    def transaction(self) -> Iterator[None]:
        _refuse_open(self._conn)
        with self._conn.transaction() as opened, _rollback_told():
            _refuse_savepoint(opened)
            yield

    def expect_transaction(self) -> None:
        _refuse_autocommit(self._conn)

    def change(self, statement: str, values: Values) -> bool:
        with self._cursor() as cursor:
            return cursor.execute(_named(statement), values).rowcount > 0

    def read(self, statement: str, values: Values) -> str | bytes | None:
        with self._cursor() as cursor:
            row = cursor.execute(_named(statement), values).fetchone()
            return None if row is None else row[0]

    def _cursor(self) -> psycopg.Cursor[Any]:
        return psycopg.Cursor(self._conn, row_factory=tuple_row)  # the user's cursors and rows may be anything


class AsyncPostgres:
    """An asynchronous connection of psycopg."""

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        self._conn = conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        _refuse_open(self._conn)
        async with self._conn.transaction() as opened:
            _refuse_savepoint(opened)
            with _rollback_told():
                yield

    async def expect_transaction(self) -> None:
        _refuse_autocommit(self._conn)

    async def change(self, statement: str, values: Values) -> bool:
        async with self._cursor() as cursor:
            return (await cursor.execute(_named(statement), values)).rowcount > 0

    async def read(self, statement: str, values: Values) -> str | bytes | None:
        async with self._cursor() as cursor:
            row = await (await cursor.execute(_named(statement), values)).fetchone()
            return None if row is None else row[0]

    def _cursor(self) -> psycopg.AsyncCursor[Any]:
        return psycopg.AsyncCursor(self._conn, row_factory=tuple_row)


def _refuse_open(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    if conn.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        raise already_open("psycopg connection")
    _refuse_pipeline(conn)


def _refuse_savepoint(opened: psycopg.Transaction | psycopg.AsyncTransaction) -> None:
    if opened.savepoint_name:  # somebody else began on this connection since it was looked at
        raise already_open("psycopg connection")


def _refuse_pipeline(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    if conn.pgconn.pipeline_status != PipelineStatus.OFF:
        raise ConfigurationError(
            "A psycopg connection in pipeline mode answers later, and what a statement has changed must be known at "
            "once: end the pipeline first. A `write` may have one of its own."
        )


def _refuse_autocommit(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    _refuse_pipeline(conn)
    if conn.autocommit and conn.info.transaction_status is TransactionStatus.IDLE:
        raise commits_by_itself("psycopg connection", _BEGIN_FIRST)


@contextmanager
def _rollback_told() -> Iterator[None]:
    try:
        yield
    except psycopg.Rollback as exc:  # conn.transaction() swallows it: the call would look done
        raise ConfigurationError(
            "The `write` raised psycopg.Rollback, and nothing was written. Raise NotApplied (it may be tried again) or "
            "Rejected (a repetition gets the same answer) instead."
        ) from exc


def _named(statement: str) -> bytes:
    return re.sub(r":(\w+)", r"%(\1)s", statement).encode()
