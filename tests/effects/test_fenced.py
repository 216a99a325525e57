"""A fence in the user's database refuses a holder that was replaced, over every kind of connection."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy

from clawproof_langgraph import ConfigurationError, LeaseLost
from clawproof_langgraph.effects import sql

from .calls import attempt_of
from .databases import Place


async def test_a_lower_fence_is_refused_after_a_higher_one_and_nothing_is_written(place: Place) -> None:
    async with place.open() as conn:
        await conn.begin()
        await conn.fenced("stock/1", 8)
        await conn.commit()

        await conn.begin()
        with pytest.raises(LeaseLost, match=r"stock/1.*newer fence than 7"):
            await conn.fenced("stock/1", 7)
        await conn.commit()

        await conn.begin()
        await conn.fenced("stock/1", 8)  # the same holder, again
        await conn.fenced("stock/1", 9)
        await conn.fenced("stock/2", 1)  # of another resource


async def test_the_first_read_of_a_new_holder_shuts_the_old_one_out(place: Place) -> None:
    async with place.open() as new, place.open() as old:
        await new.begin()
        await new.fenced("stock/1", 8)
        await new.execute("SELECT entry FROM entries")
        await new.commit()

        await old.begin()
        with pytest.raises(LeaseLost):
            await old.fenced("stock/1", 7)
        await old.rollback()


async def test_a_fence_goes_back_with_the_transaction_that_it_stood_in(place: Place) -> None:
    async with place.open() as conn:
        await conn.begin()
        await conn.fenced("stock/1", 8)
        await conn.rollback()
        await conn.begin()
        await conn.fenced("stock/1", 7)


async def test_within_once_a_stale_fence_rolls_back_the_claim_and_the_write(place: Place) -> None:
    fence = sql.afenced if place.kind.asynchronous else sql.fenced
    async with place.open() as conn:
        await conn.begin()
        await conn.fenced("stock/1", 8)
        await conn.commit()

        with pytest.raises(LeaseLost):
            await conn.once(attempt_of("order/7"), also=lambda raw: fence(raw, "stock/1", 7))
        assert await conn.entries() == []
        await conn.once(attempt_of("order/7", attempt=2, fence=9), also=lambda raw: fence(raw, "stock/1", 9))


@pytest.mark.parametrize(("resource", "fence"), [("", 1), ("stock/1", 0), ("stock/1", "1"), ("stock/1", None)])
def test_what_is_no_fence_is_refused(resource: str, fence: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"call\.fence"):
        sql.fenced(sqlite3.connect(":memory:"), resource, fence)


def test_a_statement_that_would_be_committed_alone_is_refused_over_sqlite3(tmp_path: Path) -> None:
    conn = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    sql.create_inbox(conn)
    with pytest.raises(ConfigurationError, match="BEGIN IMMEDIATE"):
        sql.fenced(conn, "stock/1", 1)
    conn.execute("BEGIN IMMEDIATE")
    sql.fenced(conn, "stock/1", 1)


def test_a_statement_that_would_be_committed_alone_is_refused_over_psycopg(schema: str) -> None:
    with psycopg.connect(schema, autocommit=True) as conn:
        sql.create_inbox(conn)
        with pytest.raises(ConfigurationError, match=r"conn\.transaction\(\)"):
            sql.fenced(conn, "stock/1", 1)
        with conn.transaction():
            sql.fenced(conn, "stock/1", 1)


def test_a_statement_that_would_be_committed_alone_is_refused_over_sqlalchemy() -> None:
    engine = sqlalchemy.create_engine("sqlite://", isolation_level="AUTOCOMMIT")
    with engine.connect() as conn, pytest.raises(ConfigurationError, match="AUTOCOMMIT"):
        sql.fenced(conn, "stock/1", 1)
