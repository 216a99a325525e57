"""Which driver a connection is of, and what all of them can do here."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any, Final, Protocol, cast

from clawproof_langgraph.errors import ConfigurationError

Values = Mapping[str, object]


class Database(Protocol):
    """A connection of the user. Statements name their values as `:name`."""

    def transaction(self) -> AbstractContextManager[None]:
        """Open a transaction, committed at the end and rolled back by an error.

        Raises:
            ConfigurationError: one is open already, or none can be opened.
        """

    def expect_transaction(self) -> None:
        """Make sure that a statement runs in a transaction of the user, opened by now or by the statement.

        Raises:
            ConfigurationError: it would be committed by itself.
        """

    def change(self, statement: str, values: Values) -> bool:
        """Run a statement, and tell whether it changed a row."""

    def read(self, statement: str, values: Values) -> str | bytes | None:
        """Give the one value of the one row that is there: bytes where the connection gives texts as such."""


class AsyncDatabase(Protocol):
    """The same on an event loop."""

    def transaction(self) -> AbstractAsyncContextManager[None]: ...

    async def expect_transaction(self) -> None: ...

    async def change(self, statement: str, values: Values) -> bool: ...

    async def read(self, statement: str, values: Values) -> str | bytes | None: ...


# The module and the name of each kind of connection, and our module and class for it.
_SYNC: Final = (
    ("sqlite3", "Connection", "sqlite", "Sqlite"),
    ("psycopg", "Connection", "postgres", "Postgres"),
    ("sqlalchemy", "Connection", "alchemy", "Alchemy"),
    ("sqlalchemy.orm", "Session", "alchemy", "Alchemy"),
)
_ASYNC: Final = (
    ("psycopg", "AsyncConnection", "postgres", "AsyncPostgres"),
    ("sqlalchemy.ext.asyncio", "AsyncConnection", "alchemy", "AsyncAlchemy"),
    ("sqlalchemy.ext.asyncio", "AsyncSession", "alchemy", "AsyncAlchemy"),
)


def database_of(conn: Any) -> Database:
    """Give what runs our statements on a connection.

    Raises:
        ConfigurationError: it is none that we know, or one for an event loop.
    """
    return cast(Database, _made(conn, _SYNC, _ASYNC, "with the prefix a (once -> aonce)"))


def async_database_of(conn: Any) -> AsyncDatabase:
    """Give what runs our statements on a connection of an event loop.

    Raises:
        ConfigurationError: it is none that we know, or not one for an event loop.
    """
    return cast(AsyncDatabase, _made(conn, _ASYNC, _SYNC, "without the prefix a (aonce -> once)"))


Kinds = tuple[tuple[str, str, str, str], ...]


def _made(conn: Any, kinds: Kinds, others: Kinds, instead: str) -> object:
    for module, kind, ours, name in kinds:
        if _is(conn, module, kind):
            made: object = getattr(import_module(f"clawproof_langgraph.effects.sql.{ours}"), name)(conn)
            return made
    found = f"{type(conn).__module__}.{type(conn).__qualname__}"
    if any(_is(conn, module, kind) for module, kind, _, _ in others):
        raise ConfigurationError(f"A {found} cannot be used here: call the function {instead}.")
    known = ", ".join(f"{module}.{kind}" for module, kind, _, _ in kinds)
    raise ConfigurationError(f"A {found} is no connection that is known here: give one of {known}.")


def _is(conn: Any, module: str, kind: str) -> bool:
    # Whoever has such a connection has loaded its driver.
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(conn, getattr(loaded, kind))


_in_use: Final[dict[int, object]] = {}
"""By identity, for a connection of sqlite3 cannot be referred to weakly; an entry lives as long as its use."""


@contextmanager
def alone_on(conn: Any) -> Iterator[None]:
    """Keep a connection for oneself: what parallel calls do on one would be committed and rolled back together.

    Raises:
        ConfigurationError: somebody has it.
    """
    mine = object()
    if _in_use.setdefault(id(conn), mine) is not mine:
        raise ConfigurationError(
            "This connection is making another write at this moment, and a transaction cannot serve two: open a "
            "connection for each call, or take one from a pool."
        )
    try:
        yield
    finally:
        del _in_use[id(conn)]


def already_open(driver: str) -> ConfigurationError:
    """Make the error of a connection that is in the middle of a transaction."""
    return ConfigurationError(
        f"This {driver} has an open transaction, and an effect that is made once needs one of its own: what was done "
        f"before could not be told from it. Commit or roll back first, do the reading inside `write`, or give another "
        f"connection."
    )


def commits_by_itself(driver: str, remedy: str) -> ConfigurationError:
    """Make the error of a connection on which each statement is committed alone."""
    return ConfigurationError(
        f"This {driver} commits each statement by itself, so nothing holds them together: {remedy}."
    )
