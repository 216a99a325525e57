"""A write that is made once: its key is claimed and its result stored in its own transaction."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from clawproof_langgraph import codec
from clawproof_langgraph.effects.attempts import PerAttempt, with_key
from clawproof_langgraph.effects.sql.drivers import alone_on, async_database_of, database_of
from clawproof_langgraph.effects.sql.schema import tables_expected
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.runtime.context import CallContext

C = TypeVar("C")
R = TypeVar("R")

# Both databases let the second of two concurrent claims wait until the first has ended.
CLAIM: Final = "INSERT INTO clawproof_inbox (idempotency_key) VALUES (:key) ON CONFLICT DO NOTHING"
STORE: Final = "UPDATE clawproof_inbox SET result = :result WHERE idempotency_key = :key AND result IS NULL"
FETCH: Final = "SELECT result FROM clawproof_inbox WHERE idempotency_key = :key"

_made: Final[PerAttempt[dict[str, object]]] = PerAttempt(dict)


def once(conn: C, call: CallContext | None, write: Callable[[C], R], *, name: str = "") -> R:
    """Make a write exactly once in this database, and give its result, also to every repetition of the call.

    The transaction is opened and committed here; `write` must do neither. An error of `write` rolls all of it back,
    the claim of the key too, so that the next time makes it whole.

    Args:
        conn: a connection without an open transaction: of sqlite3, psycopg, or SQLAlchemy (Connection, Session).
        call: the guarded call, from `current_call()`.
        write: makes the changes on the connection that it is given, and returns what can be stored as JSON.
        name: tells the writes of one call apart, if it makes several.

    Raises:
        ConfigurationError: the call has no idempotency key, the connection is unfit, or the tables are missing.
        NotStorable: the result has no stored form; the write is rolled back.
    """
    database = database_of(conn)
    with _unmade(call, name) as key, alone_on(conn), database.transaction():
        with tables_expected():
            first = database.change(CLAIM, {"key": key})
        if first:
            result = write(conn)
            _expect_stored(database.change(STORE, {"key": key, "result": _encoded(result, "aonce")}), key)
        else:
            result = _decoded(database.read(FETCH, {"key": key}), key)
    return result


async def aonce(conn: C, call: CallContext | None, write: Callable[[C], Awaitable[R]], *, name: str = "") -> R:
    """Do what `once` does, on an event loop, with an async `write`."""
    database = async_database_of(conn)
    with _unmade(call, name) as key, alone_on(conn):
        async with database.transaction():
            with tables_expected():
                first = await database.change(CLAIM, {"key": key})
            if first:
                result = await write(conn)
                _expect_stored(await database.change(STORE, {"key": key, "result": _encoded(result, "an await")}), key)
            else:
                result = _decoded(await database.read(FETCH, {"key": key}), key)
    return result


@contextmanager
def _unmade(call: CallContext | None, name: str) -> Iterator[str]:
    """Give the key of a write that is made within; one that fails may be made again."""
    call = with_key(call, "sql.once")
    key, mine = call.sub_key(name) if name else call.idempotency_key, object()
    made = _made.of(call)
    if made.setdefault(key, mine) is not mine:  # in one step: two writes of one call may be made at once
        raise ConfigurationError(
            f'This call makes its write under key "{key}", or has made it; another one would be taken for a repetition '
            f'and left out. Give each write of one call a name of its own: once(conn, call, write, name="ledger").'
        )
    try:
        yield key
    except BaseException:
        del made[key]
        raise


def _encoded(result: object, instead: str) -> str:
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()  # never to be awaited, which is told by the error
        raise ConfigurationError(f"The `write` returned an awaitable, which was not run: use {instead}.")
    try:
        return codec.dumps(result).decode()
    except codec.NotStorable as exc:
        exc.add_note("The write was rolled back. Let it return plain values: numbers, texts, lists, dicts.")
        raise


def _decoded(stored: str | bytes | None, key: str) -> Any:
    if stored is None:
        raise _unfinished(key)
    return codec.loads(stored if isinstance(stored, bytes) else stored.encode())


def _expect_stored(stored: bool, key: str) -> None:
    if not stored:
        raise _unfinished(key)


def _unfinished(key: str) -> ConfigurationError:
    return ConfigurationError(
        f'The row of key "{key}" in clawproof_inbox is not as its transaction left it: a `write` has committed or '
        f"rolled back by itself, or somebody changed the row. Take that out of the `write`; look whether it was made; "
        f"if it was not, delete the row."
    )
