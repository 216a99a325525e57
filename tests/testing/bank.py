"""Shared state of several processes: a bank in a file, and agents that move money in it, sound and broken ones."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.prebuilt import ToolNode

from clawproof_langgraph import Guard, OutcomeUnknown, ToolPolicy, current_call
from clawproof_langgraph.effects import sql
from clawproof_langgraph.testing import Broken, Scenario, Seat, Turn
from tests.testing.books import graph_of

ACCOUNTS = ("ann", "bob", "cid")
MONEY = 1000
SCHEMA = """
CREATE TABLE accounts (name TEXT PRIMARY KEY, amount INTEGER NOT NULL);
CREATE TABLE payments (reference TEXT NOT NULL, amount INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class Bank:
    """Accounts and payments in an SQLite file.

    Args:
        path: of the file.
        think: seconds between reading and writing.
        linger: seconds between writing and returning.
        fenced: whether it refuses a holder that was replaced.
    """

    path: Path
    think: float = 0.02
    linger: float = 0.02
    fenced: bool = True

    def open_doors(self) -> None:
        """Make the file."""
        with self.connect() as db:
            db.executescript(f"PRAGMA journal_mode = WAL; {SCHEMA}")
            sql.create_inbox(db)
            db.executemany("INSERT INTO accounts VALUES (?, ?)", [(name, MONEY) for name in ACCOUNTS])

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """Open the file; each block is one transaction."""
        db = sqlite3.connect(self.path, timeout=30)
        try:
            with db:
                yield db
        finally:
            db.close()

    # --- the tools

    def deposit(self, name: str, amount: int, reference: str) -> str:
        """Add to an account: read, think, write, with the fence in both transactions."""
        with self.connect() as db:
            before = self._read(db, name)
        time.sleep(self.think)
        with self.connect() as db:
            self._read(db, name)
            db.execute("UPDATE accounts SET amount = ? WHERE name = ?", (before + amount, name))
            db.execute("INSERT INTO payments VALUES (?, ?)", (reference, amount))
        time.sleep(self.linger)
        return f"{name} has {before + amount}"

    def _read(self, db: sqlite3.Connection, name: str) -> int:
        db.execute("BEGIN IMMEDIATE")
        if self.fenced and (call := current_call()):
            sql.fenced(db, f"account/{name}", call.fence)
        return int(db.execute("SELECT amount FROM accounts WHERE name = ?", (name,)).fetchone()[0])

    def insist(self, name: str, amount: int, reference: str, inner: BaseTool) -> str:
        """Pay, and pay once more by another way if the outcome is unknown: just what must not be done."""
        arguments = {"name": name, "amount": amount, "reference": reference}
        with suppress(OutcomeUnknown):
            return str(inner.invoke(arguments))
        with self.connect() as db:
            db.execute("UPDATE accounts SET amount = amount + ? WHERE name = ?", (amount, name))
            db.execute("INSERT INTO payments VALUES (?, ?)", (reference, amount))
        return "paid somehow"

    # --- what must hold

    def check(self) -> None:
        """Find lost updates and payments that were made twice."""
        with self.connect() as db:
            amount = db.execute("SELECT sum(amount) FROM accounts").fetchone()[0] - MONEY * len(ACCOUNTS)
            paid = db.execute("SELECT coalesce(sum(amount), 0) FROM payments").fetchone()[0]
            again = db.execute("SELECT reference FROM payments GROUP BY reference HAVING count(*) > 1").fetchall()
        if amount != paid:
            raise Broken(f"{paid} was paid in, and the accounts grew by {amount}")
        if again:
            raise Broken(f"paid more than once: {', '.join(row[0] for row in again)}")

    def scenario(self, make: Callable[[Bank, Seat], Any]) -> Scenario:
        """Let agents of one kind work in this bank."""
        return Scenario(make_agent=partial(make, self), input=order, setup=self.open_doors, invariant=self.check)


def order(turn: Turn) -> dict[str, Any]:
    """Draw a deposit."""
    arguments = {"name": turn.random.choice(ACCOUNTS), "amount": turn.random.randint(1, 9), "reference": turn.thread}
    call = {"name": "deposit", "args": arguments, "id": turn.thread, "type": "tool_call"}
    return {"messages": [AIMessage("", tool_calls=[call], id=turn.thread)]}


def _saver(bank: Bank) -> SqliteSaver:
    db = sqlite3.connect(bank.path.with_suffix(".checkpoints"), check_same_thread=False, timeout=30)
    saver = SqliteSaver(db)
    saver.setup()
    return saver


def _guarded(bank: Bank, seat: Seat, lock: str) -> Any:
    policy = ToolPolicy(locks=[lock], ttl="1s", wait="30s")
    guard = Guard(seat.coordinator, agent=seat.name, tools={"deposit": policy})
    return graph_of(guard.tool_node([StructuredTool.from_function(bank.deposit)]), checkpointer=_saver(bank))


def sound(bank: Bank, seat: Seat) -> Any:
    """Make an agent that keeps all rules."""
    return _guarded(bank, seat, "account/{name}")


def wrongly_locked(bank: Bank, seat: Seat) -> Any:
    """Make an agent whose policy locks what the tool does not write to."""
    return _guarded(replace(bank, fenced=False), seat, "payment/{reference}")


def unguarded(bank: Bank, seat: Seat) -> Any:
    """Make an agent without a guard."""
    return graph_of(ToolNode([StructuredTool.from_function(bank.deposit)]), checkpointer=_saver(bank))


def swallowing(bank: Bank, seat: Seat) -> Callable[[Turn], str]:
    """Make an agent that has its payments made by a guarded tool, and does not take "unknown" for an answer."""
    inner = StructuredTool.from_function(bank.deposit)
    policy = ToolPolicy(locks=["account/{name}"], key="payment/{reference}", ttl="1s", wait="30s", on_refusal="raise")
    guarded = Guard(seat.coordinator, agent=seat.name, tools={"deposit": policy}).wrap_tool(inner)

    def deposit(name: str, amount: int, reference: str) -> str:
        """Pay in."""
        return bank.insist(name, amount, reference, guarded)

    return graph_of(ToolNode([StructuredTool.from_function(deposit)]), checkpointer=_saver(bank))
