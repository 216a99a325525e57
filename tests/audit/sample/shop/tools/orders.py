"""Orders, and how they leave the house."""

import sqlite3

import httpx
from langchain_core.tools import tool

from clawproof_langgraph import current_call
from clawproof_langgraph.effects import sql


@tool
def place_order(order_id: str, lines: list[dict]) -> str:
    """Take an order."""

    def write(db: sqlite3.Connection) -> str:
        db.executemany("INSERT INTO order_lines VALUES (?, ?, ?)", [(order_id, x["sku"], x["quantity"]) for x in lines])
        return "placed"

    db = sqlite3.connect("shop.db", timeout=30)
    try:
        return sql.once(db, current_call(), write)
    finally:
        db.close()


@tool
def ship_order(order_id: str, address: str) -> str:
    """Have the carrier collect a parcel."""
    key = current_call().idempotency_key
    response = httpx.post(
        "https://carrier.example/parcels", json={"order": order_id, "to": address}, headers={"Idempotency-Key": key}
    )
    response.raise_for_status()
    return response.json()["tracking"]
