"""The tables in the user's database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final

from clawproof_langgraph.effects.sql.drivers import AsyncDatabase, Database, async_database_of, database_of
from clawproof_langgraph.errors import ConfigurationError

SCHEMA: Final = files(__package__).joinpath("schema.sql").read_text()
"""The statements that `create_inbox` runs, to print or to put into a migration."""

_TABLES: Final = re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", SCHEMA)
_MISSING: Final = ("no such table", "does not exist", "UndefinedTable")


def _statements() -> list[str]:
    bare = re.sub(r"--.*", "", SCHEMA)
    return [statement.strip() for statement in bare.split(";") if statement.strip()]


def create_inbox(conn: Any) -> None:
    """Create the tables, unless they are there, in a transaction of its own. Call it once, at deployment.

    Raises:
        ConfigurationError: as `once` does for the connection.
    """
    database = database_of(conn)
    try:
        _create(database)
    except ConfigurationError:
        raise
    except Exception:  # noqa: BLE001 - PostgreSQL refuses what another process creates at this moment, and has it then
        _create(database)


async def acreate_inbox(conn: Any) -> None:
    """Do what `create_inbox` does, on an event loop."""
    database = async_database_of(conn)
    try:
        await _acreate(database)
    except ConfigurationError:
        raise
    except Exception:  # noqa: BLE001 - as above
        await _acreate(database)


def _create(database: Database) -> None:
    with database.transaction():
        for statement in _statements():
            database.change(statement, {})


async def _acreate(database: AsyncDatabase) -> None:
    async with database.transaction():
        for statement in _statements():
            await database.change(statement, {})


@contextmanager
def tables_expected() -> Iterator[None]:
    """Tell who has not created the tables how to."""
    try:
        yield
    except Exception as exc:
        told = f"{type(exc).__name__}: {exc}"
        if any(table in told for table in _TABLES) and any(words in told for words in _MISSING):
            raise ConfigurationError(
                f"The tables of clawproof_langgraph.effects.sql are not in this database ({exc}). Run "
                f"sql.create_inbox(conn) once, at deployment, or the statements of sql.SCHEMA in a migration."
            ) from exc
        raise
