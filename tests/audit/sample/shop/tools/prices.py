"""What things cost."""

from langchain_core.tools import tool

from shop.database import transaction

UPSERT = """
    INSERT INTO prices (sku, cents) VALUES (:sku, :cents)
    ON CONFLICT (sku) DO UPDATE SET cents = excluded.cents
"""


@tool
def get_price(sku: str) -> int:
    """Tell a price in cents."""
    with transaction() as db:
        (cents,) = db.execute("SELECT cents FROM prices WHERE sku = ?", (sku,)).fetchone()
    return cents


@tool
def set_price(sku: str, cents: int) -> str:
    """Set a price."""
    with transaction() as db:
        db.execute(UPSERT, {"sku": sku, "cents": cents})
    return "set"
