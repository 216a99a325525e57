"""Which connections are taken, in which modes, and what is said of the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import sqlalchemy
from psycopg.rows import dict_row
from sqlalchemy.orm import Session

from clawproof_langgraph import ConfigurationError
from clawproof_langgraph.effects import sql

from .calls import attempt_of
from .databases import Failed

KEY = "order/7"


def twice(conn: Any) -> None:
    """Make a write and repeat it."""
    sql.create_inbox(conn)
    assert [sql.once(conn, attempt_of(KEY), lambda _, number=number: number) for number in (1, 2)] == [1, 1]


@pytest.mark.parametrize("level", [None, "DEFERRED", "IMMEDIATE", "EXCLUSIVE"])
def test_sqlite3_is_taken_in_every_mode_and_left_in_it(tmp_path: Path, level: Any) -> None:
    conn = sqlite3.connect(tmp_path / "a.db", isolation_level=level)
    conn.row_factory = lambda cursor, row: {"no": "tuple"}
    twice(conn)
    assert conn.isolation_level == level
    assert not conn.in_transaction


@pytest.mark.parametrize("autocommit", [False, True])
def test_psycopg_is_taken_in_both_modes_and_with_any_rows(schema: str, autocommit: bool) -> None:
    with psycopg.connect(schema, autocommit=autocommit, row_factory=dict_row) as conn:
        twice(conn)
        assert conn.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize("kind", [psycopg.ClientCursor, psycopg.RawCursor])
def test_psycopg_is_taken_with_any_cursors(schema: str, kind: Any) -> None:
    with psycopg.connect(schema, cursor_factory=kind) as conn:
        twice(conn)


def test_connections_that_give_texts_as_bytes_are_taken(tmp_path: Path, schema: str) -> None:
    lite = sqlite3.connect(tmp_path / "a.db")
    lite.text_factory = bytes
    twice(lite)
    with psycopg.connect(schema, client_encoding="SQL_ASCII") as conn:
        twice(conn)


def test_psycopg_in_pipeline_mode_is_refused_for_its_statements_are_answered_later(schema: str) -> None:
    with psycopg.connect(schema) as conn:
        sql.create_inbox(conn)
        with conn.pipeline():
            with pytest.raises(ConfigurationError, match="pipeline"):
                sql.once(conn, attempt_of(KEY), lambda _: 1)
            with pytest.raises(ConfigurationError, match="pipeline"):
                sql.fenced(conn, "stock/1", 1)


def test_a_rollback_of_psycopg_is_not_taken_for_done(schema: str) -> None:
    def write(conn: Any) -> None:
        raise psycopg.Rollback

    with psycopg.connect(schema) as conn:
        sql.create_inbox(conn)
        with pytest.raises(ConfigurationError, match="NotApplied"):
            sql.once(conn, attempt_of(KEY), write)
        assert sql.once(conn, attempt_of(KEY), lambda _: 1) == 1


@pytest.mark.parametrize("on", ["engine", "connection"])
def test_autocommit_of_sqlalchemy_is_refused_before_anything_is_written(schema: str, on: str) -> None:
    options = {"isolation_level": "AUTOCOMMIT"}
    creator: Callable[[], Any] = lambda: psycopg.connect(schema)  # noqa: E731
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=creator, **(options if on == "engine" else {}))
    with engine.connect() as conn:
        used = conn.execution_options(**options) if on == "connection" else conn
        with pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
            sql.once(used, attempt_of(KEY), lambda _: 1)


def test_the_own_begin_of_a_user_of_sqlalchemy_over_sqlite_is_kept(tmp_path: Path) -> None:
    """The recipe of its manual: the driver's own transactions are switched off, and an event begins them."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a.db'}")

    @sqlalchemy.event.listens_for(engine, "connect")
    def _(dbapi: Any, record: Any) -> None:
        dbapi.isolation_level = None

    @sqlalchemy.event.listens_for(engine, "begin")
    def _(conn: Any) -> None:
        conn.exec_driver_sql("BEGIN")

    with engine.connect() as conn:
        twice(conn)


def test_sqlalchemy_over_a_driver_that_begins_nothing_by_itself_writes_all_or_nothing(tmp_path: Path) -> None:
    def write(conn: sqlalchemy.Connection) -> None:
        conn.exec_driver_sql("INSERT INTO entries VALUES ('a')")
        raise Failed

    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a.db'}", connect_args={"isolation_level": None})
    with engine.connect() as conn:
        conn.exec_driver_sql("CREATE TABLE entries (entry TEXT)")
        conn.commit()
        twice(conn)
        with pytest.raises(Failed):
            sql.once(conn, attempt_of("order/8"), write)
        assert conn.exec_driver_sql("SELECT * FROM entries").all() == []


def test_objects_added_to_a_session_are_written_with_it(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    registry = sqlalchemy.orm.registry()

    @registry.mapped
    class Entry:
        __tablename__ = "entries"
        id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)

    registry.metadata.create_all(engine)
    with Session(engine) as session:
        sql.create_inbox(session)
        for attempt in (1, 2):
            sql.once(session, attempt_of(KEY, attempt=attempt), lambda session: session.add(Entry()))
        assert session.query(Entry).count() == 1


def test_another_database_is_refused() -> None:
    engine = sqlalchemy.create_mock_engine("mysql://", lambda *args: None)
    conn = sqlalchemy.create_engine("sqlite://").connect()
    conn.dialect = SimpleNamespace(name=engine.dialect.name)  # type: ignore[assignment]
    with pytest.raises(ConfigurationError, match="not for mysql"):
        sql.fenced(conn, "stock/1", 1)


def test_what_is_no_connection_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match=r"str is no connection.*sqlite3\.Connection"):
        sql.once("shop.db", attempt_of(KEY), lambda _: 1)


async def test_a_connection_of_the_other_colour_is_refused_with_the_function_to_call() -> None:
    async def write(conn: Any) -> None: ...

    with pytest.raises(ConfigurationError, match="without the prefix a"):
        await sql.aonce(sqlite3.connect(":memory:"), attempt_of(KEY), write)


def test_an_async_write_is_not_taken_for_done_by_the_sync_function(tmp_path: Path) -> None:
    async def write(conn: Any) -> None: ...

    conn = sqlite3.connect(tmp_path / "a.db")
    sql.create_inbox(conn)
    with pytest.raises(ConfigurationError, match="use aonce"):
        sql.once(conn, attempt_of(KEY), write)
    assert sql.once(conn, attempt_of(KEY), lambda _: 1) == 1
