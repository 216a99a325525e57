"""Which errors may pass if the call is repeated, and what the service says of when.

The errors of httpx, requests, urllib, sqlite3 and anyio are the real ones. psycopg, SQLAlchemy, redis, aiohttp and MCP
need not be installed: small classes stand in for theirs, with the real names, packages, bases and attributes.
"""

from __future__ import annotations

import asyncio
import errno
import http.client
import os
import socket
import sqlite3
import ssl
import subprocess
import sys
import urllib.error
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpcore
import httpx
import pytest
import requests

from clawproof_langgraph.failures import may_pass, retry_after
from clawproof_langgraph.policy import Retry

MAY = [408, 425, 429, 500, 502, 503, 504, 599]
MUST_NOT = [300, 304, 400, 401, 402, 403, 404, 405, 409, 410, 412, 422, 423, 424, 426, 428, 431, 451, 499, 600]
NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


def like(module: str, name: str, *bases: type[BaseException], **fields: Any) -> BaseException:
    """Make an error whose class has the name and the module of another package's, and that has these fields."""
    error = stand_in(module, name, *bases)("as if")
    error.__dict__.update(fields)
    return error


def stand_in(module: str, name: str, *bases: type[BaseException]) -> type[BaseException]:
    """Make a class with the name and the module of another package's."""
    return type(name, bases or (Exception,), {"__module__": module})


# --- HTTP -------------------------------------------------------------------------------------------------------


def of_httpx(status: int, headers: dict[str, str] | None = None) -> BaseException:
    request = httpx.Request("GET", "http://shop")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, headers=headers))


def of_requests(status: int, headers: dict[str, str] | None = None) -> BaseException:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers or {})
    return requests.HTTPError("no", response=response)


def of_urllib(status: int, headers: dict[str, str] | None = None) -> BaseException:
    message = Message()
    for name, value in (headers or {}).items():
        message[name] = value
    return urllib.error.HTTPError("http://shop", status, "no", message, None)


def of_aiohttp(status: int, headers: dict[str, str] | None = None) -> BaseException:
    error = stand_in("aiohttp.client_exceptions", "ClientError")
    found = httpx.Headers(headers)  # aiohttp's do not mind case either
    return like("aiohttp.client_exceptions", "ClientResponseError", error, status=status, headers=found)


Answer = Callable[..., BaseException]
ANSWERS = pytest.mark.parametrize("answer", [of_httpx, of_requests, of_urllib, of_aiohttp])


@ANSWERS
@pytest.mark.parametrize("status", MAY)
def test_an_answer_that_asks_for_a_repetition_may_pass(answer: Answer, status: int) -> None:
    assert may_pass(answer(status))


@ANSWERS
@pytest.mark.parametrize("status", MUST_NOT)
def test_no_other_status_is_repeated(answer: Answer, status: int) -> None:
    assert not may_pass(answer(status))


@ANSWERS
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        ("Sun, 06 Nov 1994 08:50:07 GMT", 30.0),
        ("Sunday, 06-Nov-94 08:50:07 GMT", 30.0),
        ("Sun Nov  6 08:50:07 1994", 30.0),
        ("Sun, 06 Nov 1994 08:49:07 GMT", 0.0),
        ("9" * 400, float("inf")),
        ("soon", None),
        ("2.0", 2.0),
        ("0.25", 0.25),
        ("-1", None),
        ("1e3", None),
        ("5, 10", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_in_any_of_the_three_forms(
    answer: Answer, value: str, seconds: float | None
) -> None:
    """RFC 9110, 10.2.3 and 5.6.7."""
    assert retry_after(answer(503, {"retry-after": value}), now=NOW) == seconds


def test_a_digit_that_is_not_a_number_does_not_count() -> None:
    assert retry_after(of_requests(503, {"Retry-After": "²"}), now=NOW) is None


@ANSWERS
def test_an_answer_without_retry_after_says_nothing_of_when(answer: Answer) -> None:
    assert retry_after(answer(503), now=NOW) is None


@pytest.mark.parametrize("error", [ValueError(), TimeoutError(), requests.HTTPError("no response")])
def test_an_error_without_an_answer_says_nothing_of_when(error: BaseException) -> None:
    assert retry_after(error, now=NOW) is None


def test_an_error_of_requests_without_a_response_does_not_pass() -> None:
    assert not may_pass(requests.HTTPError("raised by hand"))


# --- transport, time-outs, databases ----------------------------------------------------------------------------

REDIS = stand_in("redis.exceptions", "RedisError")
REDIS_CONNECTION = stand_in("redis.exceptions", "ConnectionError", REDIS)
REDIS_RESPONSE = stand_in("redis.exceptions", "ResponseError", REDIS)
REDIS_CLUSTER_DOWN = stand_in("redis.exceptions", "ClusterDownError", REDIS_RESPONSE)
AIOHTTP = stand_in("aiohttp.client_exceptions", "ClientError")
AIOHTTP_CONNECTION = stand_in("aiohttp.client_exceptions", "ClientConnectionError", AIOHTTP)
AIOHTTP_SSL = stand_in("aiohttp.client_exceptions", "ClientSSLError", AIOHTTP_CONNECTION)
PSYCOPG = stand_in("psycopg", "Error")
PSYCOPG_OPERATIONAL = stand_in("psycopg", "OperationalError", PSYCOPG)
STATEMENT = stand_in("sqlalchemy.exc", "StatementError")
DBAPI = stand_in("sqlalchemy.exc", "DBAPIError", STATEMENT)


def of_psycopg(state: str | None, base: type[BaseException] = PSYCOPG_OPERATIONAL) -> BaseException:
    return like("psycopg.errors", "Some", base, sqlstate=state)


def of_sqlalchemy(orig: BaseException | None, *, invalidated: bool = False) -> BaseException:
    return like("sqlalchemy.exc", "OperationalError", DBAPI, orig=orig, connection_invalidated=invalidated)


def of_mcp(code: int, name: str = "McpError") -> BaseException:
    return like("mcp.shared.exceptions", name, error=SimpleNamespace(code=code))


def of_sqlite(code: int) -> BaseException:
    error = sqlite3.OperationalError("no")
    error.sqlite_errorcode = code
    return error


PASSING = {
    "refused": ConnectionRefusedError(),
    "reset": ConnectionResetError(),
    "time-out": TimeoutError(),
    "no route": OSError(errno.EHOSTUNREACH, "no route"),
    "no network": OSError(errno.ENETUNREACH, "no network"),
    "name server busy": socket.gaierror(socket.EAI_AGAIN, "try again"),
    "tls broke off": ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "gone"),
    "urllib around tls that broke off": urllib.error.URLError(ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "gone")),
    "cut short": http.client.IncompleteRead(b"1"),
    "disconnected": http.client.RemoteDisconnected("gone"),
    "urllib around a refused connection": urllib.error.URLError(ConnectionRefusedError()),
    "httpx connect": httpx.ConnectError("no"),
    "httpx read time-out": httpx.ReadTimeout("slow"),
    "httpx pool": httpx.PoolTimeout("full"),
    "httpx server broke off": httpx.RemoteProtocolError("gone"),
    "httpcore connect": httpcore.ConnectError("no"),
    "requests connection": requests.ConnectionError("no"),
    "requests connect time-out": requests.ConnectTimeout("slow"),
    "requests read time-out": requests.ReadTimeout("slow"),
    "requests cut short": requests.exceptions.ChunkedEncodingError("gone"),
    "aiohttp connection": like("aiohttp.client_exceptions", "ServerDisconnectedError", AIOHTTP_CONNECTION),
    "aiohttp payload": like("aiohttp.client_exceptions", "ClientPayloadError", AIOHTTP),
    "redis connection": REDIS_CONNECTION("no"),
    "redis time-out": like("redis.exceptions", "TimeoutError", REDIS),
    "valkey connection": like("valkey.exceptions", "ConnectionError"),
    "redis fails over": like("redis.exceptions", "ReadOnlyError", REDIS_RESPONSE),
    "redis cluster": like("redis.exceptions", "MasterDownError", REDIS_CLUSTER_DOWN),
    "redis resharding": like("redis.exceptions", "TryAgainError", REDIS_RESPONSE),
    "redis watched": like("redis.exceptions", "WatchError", REDIS),
    "redis loading": like("redis.exceptions", "BusyLoadingError", REDIS_CONNECTION),
    "sqlite busy": of_sqlite(sqlite3.SQLITE_BUSY),
    "sqlite busy snapshot": of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT),
    "sqlite locked": of_sqlite(sqlite3.SQLITE_LOCKED),
    "psycopg serialisation": of_psycopg("40001"),
    "psycopg deadlock": of_psycopg("40P01"),
    "psycopg connection lost": of_psycopg(None),
    "psycopg connection exception": of_psycopg("08006"),
    "psycopg server starts": of_psycopg("57P03"),
    "psycopg lock time-out": of_psycopg("55P03"),
    "psycopg idle session": of_psycopg("57P05"),
    "psycopg idle transaction": of_psycopg("25P03"),
    "asyncpg too many connections": like("asyncpg.exceptions", "TooManyConnectionsError", sqlstate="53300"),
    "asyncpg serialisation": like("asyncpg.exceptions", "SerializationError", sqlstate="40001"),
    "psycopg2 serialisation": like("psycopg2.errors", "SerializationFailure", pgcode="40001"),
    "sqlalchemy serialisation": of_sqlalchemy(of_psycopg("40001")),
    "sqlalchemy busy": of_sqlalchemy(of_sqlite(sqlite3.SQLITE_BUSY)),
    "sqlalchemy lost its connection": of_sqlalchemy(like("MySQLdb", "OperationalError"), invalidated=True),
    "sqlalchemy pool": like("sqlalchemy.exc", "TimeoutError", stand_in("sqlalchemy.exc", "SQLAlchemyError")),
    "mcp time-out": of_mcp(408),
    "mcp time-out, version 2": of_mcp(-32001, "MCPError"),
    "mcp closed": of_mcp(-32000),
    "anyio broken": anyio.BrokenResourceError(),
    "anyio closed": anyio.ClosedResourceError(),
    "a group of such": ExceptionGroup("two", [TimeoutError(), ExceptionGroup("one", [of_httpx(503)])]),
}

LASTING = {
    "value": ValueError("no"),
    "os": OSError("no"),
    "file": FileNotFoundError(errno.ENOENT, "no"),
    "permission": PermissionError(errno.EACCES, "no"),
    "certificate": ssl.SSLCertVerificationError(1, "no"),
    "no such host": socket.gaierror(socket.EAI_NONAME, "no"),
    "cancelled": asyncio.CancelledError(),
    "urllib around a lasting error": urllib.error.URLError(FileNotFoundError()),
    "urllib with a text": urllib.error.URLError("unknown url type"),
    "httpx unsupported": httpx.UnsupportedProtocol("ftp"),
    "httpx our own mistake": httpx.LocalProtocolError("no"),
    "httpx redirects": httpx.TooManyRedirects("no"),
    "httpx decoding": httpx.DecodingError("no"),
    "requests certificate": requests.exceptions.SSLError("no"),
    "requests url": requests.exceptions.InvalidURL("no"),
    "requests redirects": requests.TooManyRedirects("no"),
    "aiohttp certificate": like("aiohttp.client_exceptions", "ClientConnectorCertificateError", AIOHTTP_SSL),
    "aiohttp fingerprint": like("aiohttp.client_exceptions", "ServerFingerprintMismatch", AIOHTTP_CONNECTION),
    "redis password": like("redis.exceptions", "AuthenticationError", REDIS_CONNECTION),
    "redis response": REDIS_RESPONSE("no"),
    "sqlite constraint": of_sqlite(sqlite3.SQLITE_CONSTRAINT),
    "sqlite full": of_sqlite(sqlite3.SQLITE_FULL),
    "sqlite, of a number that merely contains busy": of_sqlite(sqlite3.SQLITE_IOERR_LOCK),
    "psycopg unique": of_psycopg("23505", PSYCOPG),
    "psycopg cancelled": of_psycopg("57014"),
    "psycopg read only": of_psycopg("25006"),
    "psycopg disk full": of_psycopg("53100"),
    "psycopg programming": of_psycopg(None, PSYCOPG),
    "sqlalchemy unique": of_sqlalchemy(of_psycopg("23505", PSYCOPG)),
    "sqlalchemy around what is not known": of_sqlalchemy(like("MySQLdb", "OperationalError")),
    "mcp parameters": of_mcp(-32602),
    "mcp elsewhere": like("shop.mcp", "McpError", error=SimpleNamespace(code=408)),
    "a class of the same name elsewhere": like("shop", "TransportError"),
    "a group with one that lasts": ExceptionGroup("two", [TimeoutError(), ValueError()]),
    "a group with a cancellation": BaseExceptionGroup("two", [TimeoutError(), asyncio.CancelledError()]),
}


@pytest.mark.parametrize("error", PASSING.values(), ids=PASSING)
def test_errors_of_transport_time_outs_and_conflicts_of_a_database_may_pass(error: BaseException) -> None:
    assert may_pass(error)
    assert Retry().admits(error), "it is the default of retry_on"


@pytest.mark.parametrize("error", LASTING.values(), ids=LASTING)
def test_errors_that_a_repetition_meets_again_do_not_pass(error: BaseException) -> None:
    assert not may_pass(error)
    assert not Retry().admits(error)


def test_a_subclass_of_a_known_class_is_known() -> None:
    assert may_pass(type("ShopIsDown", (httpx.ConnectError,), {})("no"))


def test_what_an_error_was_raised_from_does_not_count() -> None:
    """Its author caught the cause and said by another error what it means."""
    error = ValueError("no such order")
    error.__cause__ = error.__context__ = TimeoutError()
    assert not may_pass(error)

    error = ConnectionError("gone")
    error.__cause__ = ValueError()
    assert may_pass(error)

    answered = ValueError("the shop is busy")
    answered.__cause__ = of_httpx(429, {"Retry-After": "7"})
    assert retry_after(answered, now=NOW) is None


def test_of_a_group_the_longest_wait_counts() -> None:
    members = [*(of_httpx(503, {"Retry-After": seconds}) for seconds in ("3", "9", "6")), OSError()]
    assert retry_after(ExceptionGroup("four", members), now=NOW) == 9.0


def test_a_real_conflict_of_two_sqlite_connections_may_pass(tmp_path: Path) -> None:
    one, other = (sqlite3.connect(tmp_path / "shop.db", timeout=0, isolation_level=None) for _ in range(2))
    one.execute("begin immediate")
    with pytest.raises(sqlite3.OperationalError) as caught:
        other.execute("begin immediate")
    one.close(), other.close()
    assert may_pass(caught.value)


def test_judging_imports_no_optional_package() -> None:
    code = """
import sys
from clawproof_langgraph.failures import may_pass, retry_after
for error in (ValueError(), TimeoutError(), OSError(113, "no route")):
    may_pass(error), retry_after(error, now=0.0)
known = {"httpx", "httpx2", "httpcore", "requests", "aiohttp", "redis", "valkey", "psycopg", "psycopg2", "sqlalchemy"}
print(sorted((known | {"anyio", "mcp", "sqlite3", "urllib.error", "http.client"}) & set(sys.modules)))
"""
    path = os.pathsep.join(filter(None, sys.path))
    env = {**os.environ, "PYTHONPATH": path}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert found.stdout.strip() == "[]"
