"""A write by way of `once` is made exactly once in its database, over every kind of connection."""

from __future__ import annotations

import sqlite3
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from clawproof_langgraph import ConfigurationError
from clawproof_langgraph.codec import NotStorable

from .calls import attempt_of
from .databases import ROWS, Failed, Open, Place

KEY = "order/7"


async def test_the_second_time_gives_the_stored_result_and_writes_nothing(place: Place) -> None:
    async with place.open() as conn:
        first = await conn.once(attempt_of(KEY), result={"number": 1})
    async with place.open() as conn:
        second = await conn.once(attempt_of(KEY, attempt=2), rows=["x"], result={"number": 2})

        assert first == second == {"number": 1}
        assert await conn.entries() == list(ROWS)


async def test_a_write_that_fails_after_three_of_five_rows_leaves_none_and_is_made_whole_the_next_time(
    place: Place,
) -> None:
    async with place.open() as conn:
        with pytest.raises(Failed):
            await conn.once(attempt_of(KEY), fails_after=3)
        assert await conn.entries() == []

        assert await conn.once(attempt_of(KEY, attempt=2)) == "written"
        assert await conn.entries() == list(ROWS)


async def test_two_statements_are_added_the_first_time_and_every_other_time(place: Place) -> None:
    async with place.open() as conn:
        for attempt in (1, 2, 3):
            place.statements.clear()
            await conn.once(attempt_of(KEY, attempt=attempt))
            ours = [statement for statement in place.statements if "INSERT INTO entries" not in statement]
            assert len(ours) == 2, ours


async def test_other_calls_and_other_names_within_one_call_are_other_writes(place: Place) -> None:
    call = attempt_of(KEY)
    async with place.open() as conn:
        await conn.once(call, rows=["a"])
        await conn.once(call, rows=["b"], name="ledger")
        await conn.once(attempt_of("order/8"), rows=["c"])
        assert await conn.entries() == ["a", "b", "c"]


async def test_a_second_write_of_one_call_without_a_name_is_refused_rather_than_left_out(place: Place) -> None:
    call = attempt_of(KEY)
    async with place.open() as conn:
        await conn.once(call, rows=["a"])
        with pytest.raises(ConfigurationError, match='name="ledger"'):
            await conn.once(call, rows=["b"])


async def test_a_write_that_failed_may_be_tried_again_within_its_attempt(place: Place) -> None:
    call = attempt_of(KEY)
    async with place.open() as conn:
        with pytest.raises(Failed):
            await conn.once(call, fails_after=3)
        assert await conn.once(call) == "written"


async def test_results_come_back_with_their_types(place: Place) -> None:
    result = {"price": Decimal("9.90"), "day": date(2026, 1, 2), "pair": (1, None), "text": "\x00 ü"}
    async with place.open() as conn:
        for attempt in (1, 2):
            assert await conn.once(attempt_of(KEY, attempt=attempt), result=result) == result


async def test_none_is_a_result(place: Place) -> None:
    async with place.open() as conn:
        for attempt in (1, 2):
            assert await conn.once(attempt_of(KEY, attempt=attempt), result=None) is None
        assert await conn.entries() == list(ROWS)


async def test_a_result_without_a_stored_form_rolls_the_write_back(place: Place) -> None:
    async with place.open() as conn:
        with pytest.raises(NotStorable, match="not on the list") as told:
            await conn.once(attempt_of(KEY), result=object())
        assert "rolled back" in told.value.__notes__[0]
        assert await conn.entries() == []


@pytest.mark.parametrize("call", [None, attempt_of("")], ids=["outside of a call", "a read or a plain lock"])
async def test_without_an_idempotency_key_it_is_refused_with_the_remedy(place: Place, call: Any) -> None:
    async with place.open() as conn:
        with pytest.raises(ConfigurationError, match=r"current_call\(\).*transactional"):
            await conn.once(call)
        assert await conn.entries() == []


async def test_a_connection_in_the_middle_of_a_transaction_is_refused_and_left_as_it_was(place: Place) -> None:
    async with place.open() as conn:
        await conn.begin()
        await conn.execute("INSERT INTO entries (entry) VALUES ('mine')")
        with pytest.raises(ConfigurationError, match="open transaction"):
            await conn.once(attempt_of(KEY))
        await conn.commit()
        assert await conn.entries() == ["mine"]


async def test_missing_tables_are_told_with_the_remedy(place: Place) -> None:
    async with place.open() as conn:
        for table in ("clawproof_inbox", "clawproof_fences"):
            await conn.execute(f"DROP TABLE {table}")
        await conn.commit()
        with pytest.raises(ConfigurationError, match="create_inbox"):
            await conn.once(attempt_of(KEY))
        await conn.rollback()
        await conn.begin()
        with pytest.raises(ConfigurationError, match="create_inbox"):
            await conn.fenced("stock/1", 1)


def commit_and_go_on(raw: Any) -> Any:
    committed = raw.commit()
    if isinstance(raw, sqlite3.Connection):  # here nothing but the connection itself could tell
        raw.execute("INSERT INTO entries (entry) VALUES ('late')")
    return committed


async def test_a_write_that_commits_by_itself_is_told_and_never_made_again(place: Place) -> None:
    async with place.open() as conn:
        with pytest.raises(Exception, match=r"(?i)transaction"):
            await conn.once(attempt_of(KEY), also=commit_and_go_on)
    async with place.open() as conn:
        before = await conn.entries()
        if before:  # psycopg forbids it
            with pytest.raises(ConfigurationError, match="look whether it was made"):
                await conn.once(attempt_of(KEY, attempt=2))
        assert await conn.entries() == before


async def test_a_write_that_rolls_back_by_itself_is_not_taken_for_done(place: Place) -> None:
    async with place.open() as conn:
        with pytest.raises(Exception, match=r"(?i)transaction|as its transaction left it"):
            await conn.once(attempt_of(KEY), also=lambda raw: raw.rollback())
        await conn.rollback()
        assert await conn.entries() == []
        assert await conn.once(attempt_of(KEY, attempt=2)) == "written"


async def test_a_write_that_takes_its_claim_away_is_rolled_back(place: Place) -> None:
    async with place.open() as conn:
        with pytest.raises(ConfigurationError, match="as its transaction left it"):
            await conn.once(
                attempt_of(KEY), also=lambda raw: Open(raw, place.kind).execute_now("DELETE FROM clawproof_inbox")
            )
        assert await conn.entries() == []


async def test_the_tables_may_be_created_again(place: Place) -> None:
    async with place.open() as conn:
        await conn.once(attempt_of(KEY), rows=["a"])
        await conn.create_inbox()
        assert await conn.once(attempt_of(KEY, attempt=2), rows=["b"]) == "written"
        assert await conn.entries() == ["a"]
