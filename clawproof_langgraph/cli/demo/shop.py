"""The shop that the agents share: an SQLite inventory and three tools, written as if no other agent existed."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE stock (sku TEXT PRIMARY KEY, initial INTEGER NOT NULL, units INTEGER NOT NULL);
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, sku TEXT NOT NULL, units INTEGER NOT NULL,
    stock_before INTEGER NOT NULL, stock_after INTEGER NOT NULL, order_id TEXT
);
CREATE TABLE refusals (order_id TEXT NOT NULL);
CREATE TABLE payments (
    id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, amount INTEGER NOT NULL, process INTEGER NOT NULL
);
"""


class Line(BaseModel):
    """Names an article of an order and how many units of it are wanted."""

    sku: str
    units: int


@dataclass(frozen=True, slots=True)
class Shop:
    """The inventory, and the tools that the agents are given.

    Args:
        path: the SQLite file.
        think: seconds between a tool's reading and its writing.
        receipt: seconds that the payment service takes to answer, once the payment is made.
    """

    path: Path
    think: float = 0.015
    receipt: float = 0.0

    def deliver(self, sku: str, units: int) -> str:
        """Add delivered units to the stock of an article."""
        with self.connect() as db:
            before = stock_of(db, sku)
            time.sleep(self.think)
            move(db, "delivery", sku, units, before, before + units)
        return f"{units} {sku} delivered, {before + units} in stock"

    def sell(self, order_id: str, items: list[Line]) -> str:
        """Take all articles of an order out of the stock, or none if one of them is short."""
        with self.connect() as db:
            before = {item.sku: stock_of(db, item.sku) for item in items}
            time.sleep(self.think)
            if any(before[item.sku] < item.units for item in items):
                db.execute("INSERT INTO refusals VALUES (?)", (order_id,))
                return "sold out"
            for item in items:
                move(db, "sale", item.sku, item.units, before[item.sku], before[item.sku] - item.units, order_id)
        return "sold"

    def charge(self, order_id: str, amount: int) -> str:
        """Take the payment of an order."""
        with self.connect() as db:
            row = (order_id, amount, os.getpid())
            db.execute("INSERT INTO payments (order_id, amount, process) VALUES (?, ?, ?)", row)
        time.sleep(self.receipt)
        return receipt(amount)

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """Open the file for as long as the block runs; every statement commits by itself."""
        db = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = NORMAL")
            yield db
        finally:
            db.close()

    def open_for_business(self, stock: Mapping[str, int]) -> None:
        """Create the tables and put the first units on the shelves."""
        with self.connect() as db:
            db.executescript(SCHEMA)
            db.executemany("INSERT INTO stock VALUES (?, ?, ?)", [(sku, units, units) for sku, units in stock.items()])

    def payments_of(self, order_id: str) -> int:
        """Count the payments of an order."""
        with self.connect() as db:
            return int(db.execute("SELECT count(*) FROM payments WHERE order_id = ?", (order_id,)).fetchone()[0])


def receipt(amount: int) -> str:
    """Word what the payment service answers."""
    return f"paid {amount}"


def stock_of(db: sqlite3.Connection, sku: str) -> int:
    """Read the stock of an article."""
    return int(db.execute("SELECT units FROM stock WHERE sku = ?", (sku,)).fetchone()[0])


def move(
    db: sqlite3.Connection, kind: str, sku: str, units: int, before: int, after: int, order_id: str | None = None
) -> None:
    """Write a new stock, and a ledger entry that says what was meant."""
    db.execute("UPDATE stock SET units = ? WHERE sku = ?", (after, sku))
    db.execute(
        "INSERT INTO ledger (kind, sku, units, stock_before, stock_after, order_id) VALUES (?, ?, ?, ?, ?, ?)",
        (kind, sku, units, before, after, order_id),
    )
