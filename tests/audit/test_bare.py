"""The map shows who goes around every guard."""

from __future__ import annotations

from pathlib import Path

from clawproof_langgraph.audit.findings import MappedResource
from clawproof_langgraph.audit.run import audit

SHOP = '''
import sqlite3

from langchain.agents import create_agent
from langchain_core.tools import tool

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware


@tool
def set_stock(sku: str, units: int) -> str:
    """Set the stock."""
    with sqlite3.connect("shop.db") as db:
        db.execute("UPDATE stock SET units = ? WHERE sku = ?", (units, sku))
    return "done"


@tool
def set_price(sku: str, price: int) -> str:
    """Set the price."""
    with sqlite3.connect("shop.db") as db:
        db.execute("UPDATE prices SET price = ? WHERE sku = ?", (price, sku))
    return "done"


@tool
def look(sku: str) -> str:
    """Look at a price."""
    with sqlite3.connect("shop.db") as db:
        return db.execute("SELECT price FROM prices WHERE sku = ?", (sku,)).fetchone()


@tool
def weather(town: str) -> str:
    """Look at the weather."""
    with sqlite3.connect("shop.db") as db:
        return db.execute("SELECT now FROM weather WHERE town = ?", (town,)).fetchone()


guard = Guard(Coordinator.from_url("memory://"), tools={"set_stock": ToolPolicy(locks=["inventory/{sku}"])})
orders = create_agent("model", [set_stock], name="orders", middleware=[CoordinationMiddleware(guard)])
careless = create_agent("model", [set_stock], name="careless")
pricing = create_agent("model", [set_price, look, weather], name="pricing")
'''


def mapped(root: Path) -> dict[str, MappedResource]:
    (root / "shop.py").write_text(SHOP)
    return {each.pattern: each for each in audit(root).resources}


def test_a_tool_with_a_policy_elsewhere_is_mapped_by_it(tmp_path: Path) -> None:
    inventory = mapped(tmp_path)["inventory/{sku}"]
    assert inventory.writers == ("careless", "orders")
    assert inventory.unguarded == ("careless",)


def test_a_tool_without_any_policy_is_mapped_by_what_it_does(tmp_path: Path) -> None:
    [prices] = [each for name, each in mapped(tmp_path).items() if "price" in name]
    assert prices.writers == prices.readers == prices.unguarded == ("pricing",)
    assert (prices.writing, prices.reading) == (("set_price",), ("look",))


def test_what_nobody_writes_needs_no_guard(tmp_path: Path) -> None:
    assert not any("weather" in name for name in mapped(tmp_path))
