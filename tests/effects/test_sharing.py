"""Writes that meet on one connection or in one call: each is whole or refused, and what was told done stays done."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from clawproof_langgraph import ConfigurationError
from clawproof_langgraph.effects import sql

from ..waiting import await_until
from .calls import attempt_of
from .databases import Failed, Place


async def test_while_a_connection_makes_a_write_another_one_on_it_is_refused_and_the_first_is_whole(
    place: Place,
) -> None:
    def meanwhile(raw: Any) -> Any:
        if place.kind.asynchronous:
            return ameanwhile(raw)
        with pytest.raises(ConfigurationError, match="a connection for each call"):
            sql.once(raw, attempt_of("order/8"), lambda _: None)
        return None

    async def ameanwhile(raw: Any) -> None:
        with pytest.raises(ConfigurationError, match="a connection for each call"):
            await sql.aonce(raw, attempt_of("order/8"), lambda _: asyncio.sleep(0))

    async with place.open() as conn:
        await conn.once(attempt_of("order/7"), rows=["a"], also=meanwhile)
        await conn.once(attempt_of("order/8"), rows=["b"])
        assert await conn.entries() == ["a", "b"]


async def test_of_parallel_tasks_on_one_connection_of_psycopg_none_is_undone_by_the_failure_of_another(
    schema: str,
) -> None:
    """Its transactions nest: the second would be a savepoint in the first, and rolled back with it."""
    async with await psycopg.AsyncConnection.connect(schema) as conn:
        await sql.acreate_inbox(conn)
        started = asyncio.Event()

        async def fail(_: Any) -> None:
            await started.wait()
            raise Failed

        async def other() -> Any:
            try:
                return await sql.aonce(conn, attempt_of("order/8"), write)
            finally:
                started.set()

        async def write(_: Any) -> str:
            return "written"

        told = await asyncio.gather(sql.aonce(conn, attempt_of("order/7"), fail), other(), return_exceptions=True)
        assert isinstance(told[0], Failed)
        assert isinstance(told[1], ConfigurationError)


async def test_a_transaction_that_another_task_begins_unseen_is_not_joined(schema: str) -> None:
    """While its first statement is under way, psycopg does not tell of it yet."""
    async with await psycopg.AsyncConnection.connect(schema) as conn:
        await sql.acreate_inbox(conn)
        other = asyncio.create_task(conn.execute("SELECT pg_sleep(0.2)"))
        await await_until(lambda: conn.info.transaction_status.name == "ACTIVE")
        with pytest.raises(ConfigurationError, match="open transaction"):
            await sql.aonce(conn, attempt_of("order/7"), lambda _: asyncio.sleep(0))
        await other
        await conn.rollback()
        assert await sql.aonce(conn, attempt_of("order/7"), lambda _: asyncio.sleep(0, "written")) == "written"


def test_a_transaction_that_another_thread_began_on_a_connection_of_sqlite3_is_not_rolled_back(tmp_path: Path) -> None:
    class Shared(sqlite3.Connection):
        def execute(self, statement: str, *args: Any) -> Any:
            if statement == "BEGIN IMMEDIATE" and prepared:  # somebody was quicker
                super().execute("BEGIN")
                super().execute("INSERT INTO entries VALUES ('of another')")
            return super().execute(statement, *args)

    prepared = False
    conn = sqlite3.connect(tmp_path / "a.db", factory=Shared)
    conn.execute("CREATE TABLE entries (entry TEXT)")
    sql.create_inbox(conn)
    prepared = True
    with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
        sql.once(conn, attempt_of("order/7"), lambda _: None)
    assert conn.in_transaction
    assert conn.isolation_level == ""


def test_what_could_not_be_rolled_back_is_not_committed_instead(tmp_path: Path) -> None:
    """sqlite3 commits when `isolation_level` is set to None, even if it was None before."""

    class Stuck(sqlite3.Connection):
        def execute(self, statement: str, *args: Any) -> Any:
            if statement == "ROLLBACK":
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(statement, *args)

    def write(conn: sqlite3.Connection) -> None:
        conn.execute("INSERT INTO entries VALUES ('a')")
        raise Failed

    conn = sqlite3.connect(tmp_path / "a.db", factory=Stuck, isolation_level=None)
    sql.create_inbox(conn)
    conn.execute("CREATE TABLE entries (entry TEXT)")
    with pytest.raises(Failed):
        sql.once(conn, attempt_of("order/7"), write)
    conn.close()
    assert sqlite3.connect(tmp_path / "a.db").execute("SELECT * FROM entries").fetchall() == []


def test_a_commit_whose_reply_is_lost_is_answered_for_on_the_next_connection(tmp_path: Path) -> None:
    class Lossy(sqlite3.Connection):
        def execute(self, statement: str, *args: Any) -> Any:
            done = super().execute(statement, *args)
            if statement == "COMMIT":
                raise sqlite3.OperationalError("the reply was lost")
            return done

    sql.create_inbox(sqlite3.connect(tmp_path / "a.db"))
    call = attempt_of("order/7")
    with pytest.raises(sqlite3.OperationalError, match="lost"):
        sql.once(sqlite3.connect(tmp_path / "a.db", factory=Lossy), call, lambda _: 1)
    assert sql.once(sqlite3.connect(tmp_path / "a.db"), call, lambda _: 2) == 1


def test_a_session_on_a_connection_in_the_middle_of_a_transaction_is_refused(tmp_path: Path) -> None:
    """Its commit would end nothing: the outer transaction could still be rolled back."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as conn, Session(conn) as session:
        sql.create_inbox(session)
        conn.begin()
        with pytest.raises(ConfigurationError, match="open transaction"):
            sql.once(session, attempt_of("order/7"), lambda _: 1)


def test_of_two_writes_that_one_call_makes_at_once_under_one_name_the_second_is_refused(tmp_path: Path) -> None:
    """It would wait for the first in the database, and then be taken for its repetition and left out."""
    call, begun, refused = attempt_of("order/7"), threading.Event(), threading.Event()
    sql.create_inbox(sqlite3.connect(tmp_path / "a.db"))

    def write(_: Any) -> str:
        begun.set()
        assert refused.wait(10)
        return "first"

    def first() -> None:
        told.append(sql.once(sqlite3.connect(tmp_path / "a.db"), call, write))

    told: list[str] = []
    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(10)
    with pytest.raises(ConfigurationError, match='name="ledger"'):
        sql.once(sqlite3.connect(tmp_path / "a.db"), call, lambda _: "second")
    refused.set()
    thread.join()
    assert told == ["first"]


def test_processes_that_create_the_tables_of_postgres_at_once_do_not_trip_over_each_other(schema: str) -> None:
    start = threading.Barrier(4)

    def create() -> None:
        with psycopg.connect(schema) as conn:
            start.wait()
            sql.create_inbox(conn)

    with ThreadPoolExecutor(4) as pool:
        for created in [pool.submit(create) for _ in range(4)]:
            created.result()
