"""What it costs to compare versions, or to read without a lock: `python -m benchmarks.stale_reads`.

Counts what one tool call in a compiled graph asks of the store: how often a Redis server reads from a connection, and
how many transactions SQLite begins.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import click
from langchain_core.messages import AIMessage, HumanMessage, ToolCall
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph

from benchmarks.report import Goal, Table
from benchmarks.stores import NORMAL, REDIS, opened
from clawproof_langgraph import Coordinator, Guard, Lock, ToolPolicy
from tests.servers.counting import Counter, round_trips, transactions

_CALLS: Final = 100
_LOCKS: Final = ["inventory/{sku}"]
_READ, _ADVISORY = "read", "advisory read"
_WRITE, _CHECKED = "write", "write with requires_read"
_ROWS: Final = {
    _READ: ("get_stock", ToolPolicy(effect="read", locks=_LOCKS), 2.0),
    _WRITE: ("set_stock", ToolPolicy(locks=_LOCKS), 2.0),
    _CHECKED: ("set_stock", ToolPolicy(locks=_LOCKS, requires_read=True), 2.0),
    _ADVISORY: ("get_stock", ToolPolicy(effect="read", locks=[Lock(_LOCKS[0], "advisory")]), 1.0),
}


@tool
def get_stock(sku: str) -> int:
    """Tell how many units there are."""
    return 5


@tool
def set_stock(sku: str, units: int) -> str:
    """Set how many units there are."""
    return f"{units} left"


def measure(folder: Path) -> Table:
    """Count what each kind of call asks of each store."""
    table = Table(
        f"What one call asks of the store, of {_CALLS} calls",
        {"call": "", "Redis, round trips": ".2f", "SQLite, transactions": ".2f"},
    )
    for row, (_, _, goal) in _ROWS.items():
        table.add(row, *[Goal(_count(store, folder, row), goal) for store in (REDIS, NORMAL)])
    return table


def _count(store: str, folder: Path, row: str) -> float:
    name, policy, _ = _ROWS[row]
    with ExitStack() as stack:
        url = stack.enter_context(opened(store, folder, row.replace(" ", "-")))
        counter = stack.enter_context(round_trips(url) if store == REDIS else transactions())
        coordinator = stack.enter_context(Coordinator.from_url(url))
        app = _app(coordinator, {"get_stock": _ROWS[_READ][1], "set_stock": _ROWS[_WRITE][1], name: policy})
        told = _run(app, [HumanMessage("go"), _asks("get_stock", 0)])
        told = _run(app, [*told, _asks("set_stock", 1)])
        counter.wait_for_listener()
        return _count_calls(app, told, name, counter) / _CALLS


def _count_calls(app: Any, told: list[Any], name: str, counter: Counter) -> int:
    before = counter.count()
    for number in range(_CALLS):
        told = _run(app, [*told[-4:], _asks(name, number + 2)])
        assert told[-1].status == "success"
    return counter.count() - before


def _run(app: Any, messages: list[Any]) -> list[Any]:
    told: list[Any] = app.invoke({"messages": messages}, {"configurable": {"thread_id": "1"}})["messages"]
    return told


def _asks(name: str, number: int) -> AIMessage:
    args = {"sku": "42"} | ({"units": number} if name == "set_stock" else {})
    return AIMessage("", id=f"m-{number}", tool_calls=[ToolCall(name=name, args=args, id=f"c-{number}")])


def _app(coordinator: Coordinator, policies: dict[str, ToolPolicy]) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("tools", Guard(coordinator, agent="orders", tools=policies).tool_node([get_stock, set_stock]))
    builder.add_edge(START, "tools")
    return builder.compile()


@click.command()
def main() -> None:
    """Count what reads and compared writes ask of the store."""
    with tempfile.TemporaryDirectory(prefix="clawproof-") as folder:
        table = measure(Path(folder))
    click.echo(table.render())
    raise SystemExit(0 if all(goal.ok for _, goal in table.goals()) else 1)


if __name__ == "__main__":
    main()
