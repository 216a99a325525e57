"""The shop under load: twelve agents move goods between shelves, some of their processes are killed, and it adds up.

`clawproof stress examples.stress:scenario --agents 12 --seconds 5` plays it.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph

from clawproof_langgraph import Guard, ToolPolicy, current_call
from clawproof_langgraph.effects import sql
from clawproof_langgraph.testing import Broken, Scenario, Seat, Turn

SHELVES = [f"shelf-{number}" for number in range(12)]
FULL = 100

MOVED = """
    SELECT coalesce(sum(CASE target WHEN ? THEN units ELSE -units END), 0) FROM moves WHERE ? IN (source, target)
"""

SHOP = Path(tempfile.gettempdir()) / "clawproof-example-shop.db"

POLICIES = {
    "move": ToolPolicy(
        locks=["shelf/{source}", "shelf/{target}"], effect="transactional", ttl="1s", wait="30s", expected="1s"
    ),
}


@contextmanager
def shop() -> Iterator[sqlite3.Connection]:
    """Open the shop's database for one call."""
    connection = sqlite3.connect(SHOP, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


@tool
def move(source: str, target: str, units: int) -> str:
    """Move units from one shelf to another."""

    def write(db: sqlite3.Connection) -> str:
        db.execute("UPDATE shelves SET units = units - ? WHERE name = ?", (units, source))
        db.execute("UPDATE shelves SET units = units + ? WHERE name = ?", (units, target))
        db.execute("INSERT INTO moves VALUES (?, ?, ?)", (source, target, units))
        return f"{units} moved"

    with shop() as db:
        return sql.once(db, current_call(), write)


def make_agent(seat: Seat) -> Any:
    """Make an agent that does what its input says."""
    builder = StateGraph(MessagesState)
    builder.add_node("tools", Guard(seat.coordinator, agent=seat.name, tools=POLICIES).tool_node([move]))
    builder.add_edge(START, "tools")
    return builder.compile(name=seat.name)


def what_to_do(turn: Turn) -> dict[str, Any]:
    """Choose two shelves."""
    source, target = turn.random.sample(SHELVES, 2)
    args = {"source": source, "target": target, "units": turn.random.randint(1, 5)}
    return {"messages": [AIMessage("", tool_calls=[{"name": "move", "args": args, "id": turn.thread}])]}


def setup() -> None:
    """Fill the shelves."""
    SHOP.unlink(missing_ok=True)
    with shop() as db:
        db.executescript("CREATE TABLE shelves (name, units); CREATE TABLE moves (source, target, units);")
        sql.create_inbox(db)
        db.executemany("INSERT INTO shelves VALUES (?, ?)", [(name, FULL) for name in SHELVES])
        db.commit()


def invariant() -> None:
    """Compare each shelf with what was moved."""
    with shop() as db:
        for name, units in db.execute("SELECT name, units FROM shelves").fetchall():
            (moved,) = db.execute(MOVED, (name, name)).fetchone()
            if units != FULL + moved:
                raise Broken(f"{name} has {units} units, and should have {FULL + moved}", resources=[f"shelf/{name}"])


def scenario() -> Scenario:
    """Say what is played."""
    return Scenario(make_agent=make_agent, input=what_to_do, setup=setup, invariant=invariant)
