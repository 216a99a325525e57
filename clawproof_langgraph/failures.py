"""Which errors may pass if the call is repeated, and after how long the service asks for it.

Errors of optional packages are known by the names of their classes' packages and by attributes, so that none of these
packages is imported.

What counts is the error that left the tool, never what it was raised from. Its author has caught the cause and said by
another error what it means; the cause may be of an earlier request, or of one that was dealt with. Who wants such an
error retried lets the cause through, raises `NotApplied`, or names the type in `retry_on`. A library's own wrapper that
keeps the error as a field (`URLError.reason`, SQLAlchemy's `orig`, an exception group) is looked into: there the field
is what the library says happened.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

_HTTPX: Final = {
    "TransportError": True,
    "UnsupportedProtocol": False,
    "LocalProtocolError": False,
}
_REDIS: Final = {
    "ConnectionError": True,  # BusyLoadingError is one
    "TimeoutError": True,
    "AuthenticationError": False,
    "AuthorizationError": False,
    "ReadOnlyError": True,  # during a failover, as the two that follow; MasterDownError is one
    "ClusterDownError": True,
    "TryAgainError": True,
    "WatchError": True,  # what was read has changed before the transaction
}

_PASSING: Final[Mapping[str, Mapping[str, bool]]] = {
    "builtins": {"ConnectionError": True, "TimeoutError": True},
    "http": {"IncompleteRead": True, "BadStatusLine": True},
    "ssl": {"SSLEOFError": True, "SSLZeroReturnError": True},  # the other side has ended the connection
    "httpx": _HTTPX,
    "httpx2": _HTTPX,
    "httpcore": {"NetworkError": True, "TimeoutException": True, "RemoteProtocolError": True, "ProxyError": True},
    "requests": {
        "ConnectionError": True,
        "Timeout": True,
        "ChunkedEncodingError": True,
        "SSLError": False,  # mostly a certificate, which is refused again
    },
    "aiohttp": {
        "ClientConnectionError": True,
        "ClientPayloadError": True,
        "ClientSSLError": False,
        "ServerFingerprintMismatch": False,
    },
    "redis": _REDIS,
    "valkey": _REDIS,
    "sqlalchemy": {"TimeoutError": True},  # no connection of the pool became free
    "anyio": {"BrokenResourceError": True, "ClosedResourceError": True, "EndOfStream": True},  # an MCP server has gone
}
"""Whether an error of a class may pass, by package and name; the class that is nearest to the error's own decides."""

_ANSWERED: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("httpx", "HTTPStatusError"): ("response", "status_code"),
    ("httpx2", "HTTPStatusError"): ("response", "status_code"),
    ("requests", "HTTPError"): ("response", "status_code"),
    ("urllib", "HTTPError"): ("", "code"),
    ("aiohttp", "ClientResponseError"): ("", "status"),
}
"""Errors that tell of an answer: which field holds the answer (empty: the error is the answer), and its status."""

_PASSING_4XX: Final = frozenset({408, 425, 429})
"""Request Timeout (RFC 9110, 15.5.9), Too Early (RFC 8470, 5.2), Too Many Requests (RFC 6585, 4)."""

_CONFLICT: Final = 409
_REFUSED: Final = frozenset({"IntegrityError", "DataError", "IntegrityConstraintViolationError"})
"""Of DB-API 2.0 (PEP 249), and of asyncpg, which has names of its own."""

_UNREACHABLE: Final = frozenset({errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH})

_SQL_PACKAGES: Final = frozenset({"psycopg", "psycopg2", "asyncpg", "sqlalchemy"})
_DATABASES: Final = _SQL_PACKAGES | {"sqlite3"}
_SQLSTATES: Final = frozenset({"40001", "40P01", "55P03"})
"""serialization_failure, deadlock_detected and lock_not_available (PostgreSQL, Appendix A)."""

_SQLSTATES_OF_CONNECTION: Final = ("08", "53300", "57P01", "57P02", "57P03", "57P05", "25P03")
"""The class of connection exceptions; too many connections; a server that shuts down, has crashed, or starts; one that
ended a connection that was idle, outside or inside of a transaction (PostgreSQL, Appendix A)."""

_SQLITE_PASSING: Final = frozenset({5, 6})
"""SQLITE_BUSY and SQLITE_LOCKED: the primary code is the low byte of an extended one (sqlite.org/rescode.html)."""

_MCP_PASSING: Final = frozenset({408, -32000, -32001})
"""Of the MCP Python SDK: a request that timed out (408 in version 1, -32001 later), a connection that was closed."""


def may_pass(error: BaseException) -> bool:
    """Tell whether an error may pass if the call is repeated: the default of `Retry.retry_on`.

    These may: errors of transport and time-outs; HTTP 408, 425, 429 and 5xx, and no other status; serialisation
    failures, deadlocks, waits for a lock and lost connections of a database. A group may if all its members may.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(may_pass(member) for member in error.exceptions)
    inner = _inner(error)
    if inner is not None:
        return bool(getattr(error, "connection_invalidated", False)) or may_pass(inner)
    answer = _answer(error)
    if answer is not None:
        status, _ = answer
        return status in _PASSING_4XX or 500 <= status <= 599
    return _is_passing_class(error) or _is_passing_code(error)


def was_refused(error: BaseException) -> bool:
    """Tell whether a service says that the request which has failed did nothing.

    These do: HTTP 4xx, but for those that may pass and for 409, which may tell of the request's own first attempt; a
    violated constraint or unfit data of a database, whose transaction is rolled back. Of what came before that request
    it tells nothing. A group does if all its members do.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(was_refused(member) for member in error.exceptions)
    inner = _inner(error)
    if inner is not None:
        return was_refused(inner)
    answer = _answer(error)
    if answer is not None:
        status, _ = answer
        return 400 <= status <= 499 and status not in _PASSING_4XX and status != _CONFLICT
    return any(name in _REFUSED and package in _DATABASES for package, name in _classes(error))


def retry_after(error: BaseException, *, now: float) -> float | None:
    """Give the seconds after which the service asks for the next request, None if it does not say.

    `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3); one that is past gives 0, and a fraction, which
    some services send, counts. Of the members of a group the latest counts.

    Args:
        error: what the tool raised.
        now: the time in seconds since the epoch, from which a date is counted.
    """
    if isinstance(error, BaseExceptionGroup):
        asked = [each for member in error.exceptions if (each := retry_after(member, now=now)) is not None]
        return max(asked, default=None)
    answer = _answer(error)
    if answer is None:
        return None
    _, headers = answer
    value = None if headers is None else headers.get("Retry-After")
    return _seconds(value, now) if isinstance(value, str) else None


def _seconds(value: str, now: float) -> float | None:
    value = value.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:  # the asctime form has no zone, and is in UTC (RFC 9110, 5.6.7)
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.fromtimestamp(now, UTC)).total_seconds())


def _inner(error: BaseException) -> BaseException | None:
    """Give the error that a library's own wrapper is about."""
    for package, name in _classes(error):
        field = {("urllib", "URLError"): "reason", ("sqlalchemy", "StatementError"): "orig"}.get((package, name))
        inner = getattr(error, field) if field else None
        if isinstance(inner, BaseException) and inner is not error:
            return inner
    return None


def _answer(error: BaseException) -> tuple[int, Any] | None:
    """Give status and headers of the answer that an error tells of."""
    for each in _classes(error):
        if each in _ANSWERED:
            field, status = _ANSWERED[each]
            answer: Any = getattr(error, field) if field else error
            # Not by its truth: a response of requests is false for the very statuses that are asked for here.
            return None if answer is None else (getattr(answer, status), answer.headers)
    return None


def _is_passing_class(error: BaseException) -> bool:
    for package, name in _classes(error):
        passing = _PASSING.get(package, {}).get(name)
        if passing is not None:
            return passing
    return False


def _is_passing_code(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror):  # its numbers are not those of other errors of the system
        return error.errno == socket.EAI_AGAIN
    classes = list(_classes(error))
    if any(package == "sqlite3" for package, _ in classes):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_PASSING
    if any(package in _SQL_PACKAGES for package, _ in classes):
        return _is_passing_sql(error, classes)
    if any(package == "mcp" and name in ("McpError", "MCPError") for package, name in classes):
        return getattr(getattr(error, "error", None), "code", None) in _MCP_PASSING
    return isinstance(error, OSError) and error.errno in _UNREACHABLE


def _is_passing_sql(error: Any, classes: list[tuple[str, str]]) -> bool:
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state is None:  # the client lost the server, or did not find it: no server was there to name a state
        return any(name == "OperationalError" for _, name in classes)
    return state in _SQLSTATES or str(state).startswith(_SQLSTATES_OF_CONNECTION)


def _classes(error: BaseException) -> Iterator[tuple[str, str]]:
    """Name the classes of an error as (package, class), its own first."""
    for each in type(error).__mro__:
        yield each.__module__.partition(".")[0], each.__name__
