"""What an act did to the shop, counted from its database, and the verdict over it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from clawproof_langgraph.cli.demo.shop import Shop
from clawproof_langgraph.cli.demo.workload import Workload

DELIVERED = "SELECT coalesce(sum(units), 0) FROM ledger WHERE kind = 'delivery'"
SOLD = "SELECT coalesce(sum(units), 0) FROM ledger WHERE kind = 'sale'"

ARTICLES = """
    SELECT initial, stock.units AS stock,
           coalesce(sum(ledger.units) FILTER (WHERE kind = 'delivery'), 0) AS delivered,
           coalesce(sum(ledger.units) FILTER (WHERE kind = 'sale'), 0) AS sold
    FROM stock LEFT JOIN ledger USING (sku) GROUP BY sku
"""
OVERSOLD = f"SELECT sum(max(0, sold - initial - delivered)) FROM ({ARTICLES})"
OFF_BY = f"SELECT sum(abs(initial + delivered - sold - stock)) FROM ({ARTICLES})"

# In a ledger without rivals each movement starts from the stock that the movement before it left.
LOST_UPDATES = """
    SELECT count(*) FROM (
        SELECT stock_before, lag(stock_after, 1, initial) OVER (PARTITION BY sku ORDER BY id) AS left_behind
        FROM ledger JOIN stock USING (sku)
    ) WHERE stock_before <> left_behind
"""
PAID_AGAIN = "SELECT count(*) - count(DISTINCT order_id) FROM payments"
UNPAID = """
    SELECT count(DISTINCT order_id) FROM ledger
    WHERE kind = 'sale' AND order_id NOT IN (SELECT order_id FROM payments)
"""
DELIVERIES = "SELECT count(*) FROM ledger WHERE kind = 'delivery'"
ANSWERED = "SELECT count(*) FROM (SELECT order_id FROM ledger WHERE kind = 'sale' UNION SELECT order_id FROM refusals)"


@dataclass(frozen=True, slots=True)
class Tally:
    """The numbers of an act; those of `problems` are zero in a shop that can be trusted.

    Args:
        delivered: units that the suppliers brought.
        sold: units that were sold.
        refused: orders that were told "sold out".
        oversold: units that were sold but never existed.
        lost_updates: changes of the stock that were overwritten by a rival who had read it before.
        off_by: units between the stock and what the ledger says it should be.
        paid_again: payments beyond the first of an order.
        unpaid: orders that were sold and not paid.
        undone: deliveries and orders of the day that were never answered.
    """

    delivered: int
    sold: int
    refused: int
    oversold: int
    lost_updates: int
    off_by: int
    paid_again: int
    unpaid: int
    undone: int

    @property
    def problems(self) -> int:
        """Add up what should not have happened."""
        return self.oversold + self.lost_updates + self.off_by + self.paid_again + self.unpaid + self.undone


def count(shop: Shop, work: Workload) -> Tally:
    """Count an act."""
    with shop.connect() as db:
        return Tally(
            delivered=_number(db, DELIVERED),
            sold=_number(db, SOLD),
            refused=_number(db, "SELECT count(DISTINCT order_id) FROM refusals"),
            oversold=_number(db, OVERSOLD),
            lost_updates=_number(db, LOST_UPDATES),
            off_by=_number(db, OFF_BY),
            paid_again=_number(db, PAID_AGAIN),
            unpaid=_number(db, UNPAID),
            undone=work.deliveries + work.orders - _number(db, DELIVERIES) - _number(db, ANSWERED),
        )


def calls_so_far(shop: Shop) -> int:
    """Count the tool calls that have left a trace in the database."""
    with shop.connect() as db:
        return sum(_number(db, query) for query in (DELIVERIES, ANSWERED, "SELECT count(*) FROM payments"))


def verdict(guarded: Tally) -> int:
    """Give the exit code: 0 if the guarded act kept every invariant, else 1."""
    return 1 if guarded.problems else 0


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])
