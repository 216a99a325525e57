"""A guarded tool that pays by way of `once`, in a process that dies after its commit if it is told to."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from langchain_core.tools import tool

from clawproof_langgraph import Coordinator, Guard, ToolPolicy, current_call
from clawproof_langgraph.effects import sql

POLICY = ToolPolicy(
    effect="transactional",
    key="order/{order_id}",
    locks=["account/1"],
    ttl=0.7,
    on_refusal="raise",
)


def pay_in(folder: Path, order_id: str, *, dies: bool) -> str:
    """Pay for an order, as one process of several."""

    @tool
    def pay(order_id: str) -> str:
        """Pay for an order."""
        call = current_call()
        assert call is not None

        def write(conn: sqlite3.Connection) -> str:
            sql.fenced(conn, "account/1", call.fence)
            conn.execute("INSERT INTO payments VALUES (?)", (order_id,))
            return f"paid by {os.getpid()}"

        with closing(sqlite3.connect(folder / "shop.db")) as shop:
            paid = sql.once(shop, call, write)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return paid

    with Coordinator.from_url(f"sqlite:///{folder / 'locks.db'}") as coordinator:
        guarded = Guard(coordinator, agent="orders", tools={"pay": POLICY}).wrap_tool(pay)
        return str(guarded.invoke({"order_id": order_id}))


if __name__ == "__main__":
    pay_in(Path(sys.argv[1]), "7", dies=True)
