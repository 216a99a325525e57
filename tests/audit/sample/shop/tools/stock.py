"""What is in the warehouse."""

from langchain_core.tools import tool

from shop.database import transaction


@tool
def get_stock(sku: str) -> int:
    """Tell how many units there are."""
    with transaction() as db:
        (units,) = db.execute("SELECT units FROM stock WHERE sku = ?", (sku,)).fetchone()
    return units


@tool
def reserve_stock(sku: str, quantity: int) -> str:
    """Set units aside for a customer."""
    with transaction() as db:
        db.execute("UPDATE stock SET units = units - ? WHERE sku = ? AND units >= ?", (quantity, sku, quantity))
    return "reserved"


@tool
def restock(sku: str, quantity: int) -> str:
    """Book a delivery."""
    with transaction() as db:
        db.execute("UPDATE stock SET units = units + ? WHERE sku = ?", (quantity, sku))
    return "booked"


STOCK_TOOLS = [get_stock, restock]
