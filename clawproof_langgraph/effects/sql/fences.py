"""A fence that the database keeps: whoever was replaced is refused."""

from __future__ import annotations

from typing import Any, Final

from clawproof_langgraph.effects.sql.drivers import async_database_of, database_of
from clawproof_langgraph.effects.sql.schema import tables_expected
from clawproof_langgraph.errors import ConfigurationError, LeaseLost

# One statement, so that nobody comes between the comparison and the advance; its row stays locked until the commit.
ADVANCE: Final = (
    "INSERT INTO clawproof_fences (resource, fence) VALUES (:resource, :fence) "
    "ON CONFLICT (resource) DO UPDATE SET fence = excluded.fence WHERE clawproof_fences.fence <= excluded.fence"
)


def fenced(conn: Any, resource: str, fence: int) -> None:
    """Refuse to go on if the database has seen a newer holder of the resource; else note that this is the newest.

    Make it the first statement of every transaction that touches the resource: of the one that only reads before a
    change too, for otherwise an older holder could still write between the newer one's read and its write. It stands
    inside the transaction of the caller, or of `once`, and neither begins nor commits one.

    Args:
        conn: a connection, as for `once`.
        resource: as in the policy's `locks`; held exclusively, since readers who share it come in any order.
        fence: `current_call().fence`.

    Raises:
        LeaseLost: a newer holder was here; nothing was written by this statement.
        ConfigurationError: the statement would be committed by itself, or the tables are missing.
    """
    _check(resource, fence)
    database = database_of(conn)
    database.expect_transaction()
    with tables_expected():
        advanced = database.change(ADVANCE, {"resource": resource, "fence": fence})
    _expect(advanced, resource, fence)


async def afenced(conn: Any, resource: str, fence: int) -> None:
    """Do what `fenced` does, on an event loop."""
    _check(resource, fence)
    database = async_database_of(conn)
    await database.expect_transaction()
    with tables_expected():
        advanced = await database.change(ADVANCE, {"resource": resource, "fence": fence})
    _expect(advanced, resource, fence)


def _check(resource: str, fence: int) -> None:
    if not resource or type(fence) is not int or fence < 1:
        raise ConfigurationError(
            f"fenced(conn, {resource!r}, {fence!r}) needs the name of a resource and its fencing token: "
            f"call.fence, where call = current_call() or a lease."
        )


def _expect(advanced: bool, resource: str, fence: int) -> None:
    if not advanced:
        raise LeaseLost((resource,), f"the database has seen a newer fence than {fence}, so a newer holder was there")
