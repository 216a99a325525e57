"""Who buys."""

from langchain_core.tools import tool

from shop.database import transaction


@tool
def get_customer(customer_id: str) -> dict:
    """Tell what is known of a customer."""
    with transaction() as db:
        row = db.execute("SELECT name, city FROM customers WHERE id = ?", (customer_id,)).fetchone()
    return {"name": row[0], "city": row[1]}


@tool
def note_complaint(customer_id: str, complaint: str) -> str:
    """Note what a customer complains about."""
    with transaction() as db:
        db.execute("INSERT INTO complaints (customer, text) VALUES (?, ?)", (customer_id, complaint))
    return "noted"


@tool
def enrich_customer(customer_id: str, segment: str) -> str:
    """Add what was found out about a customer."""
    with transaction() as db:
        db.execute("INSERT INTO segments (customer, segment) VALUES (?, ?)", (customer_id, segment))
    return "enriched"
