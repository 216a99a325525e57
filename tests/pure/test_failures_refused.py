"""Which errors say that the request which has failed did nothing."""

import sqlite3

import httpx
import pytest

from clawproof_langgraph.failures import was_refused

from .test_failures import like, of_httpx, of_requests, of_urllib


@pytest.mark.parametrize("make", [of_httpx, of_requests, of_urllib])
def test_a_service_that_refuses_a_request_has_done_nothing(make: object) -> None:
    refused = [status for status in range(300, 600) if was_refused(make(status))]  # type: ignore[operator]
    assert refused == [status for status in range(400, 500) if status not in (408, 409, 425, 429)]


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.IntegrityError("UNIQUE constraint failed"),
        like("psycopg.errors", "UniqueViolation", type("IntegrityError", (Exception,), {"__module__": "psycopg"})),
        like("sqlalchemy.exc", "DataError"),
        like("asyncpg.exceptions", "IntegrityConstraintViolationError"),
        ExceptionGroup("both", [of_httpx(422), of_httpx(404)]),
    ],
    ids=repr,
)
def test_a_database_that_refuses_a_change_has_rolled_it_back(error: BaseException) -> None:
    assert was_refused(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        httpx.ConnectError("refused"),
        sqlite3.OperationalError("database is locked"),
        like("shop", "IntegrityError"),
        ExceptionGroup("both", [of_httpx(422), of_httpx(500)]),
    ],
    ids=repr,
)
def test_other_errors_prove_nothing(error: BaseException) -> None:
    assert not was_refused(error)
