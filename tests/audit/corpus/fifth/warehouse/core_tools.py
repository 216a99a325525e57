import logging

import sqlalchemy as sa
from langchain_core.tools import tool
from sqlalchemy.dialects.postgresql import insert as pg_insert

from .schema import engine, line_items, prices, stock

logger = logging.getLogger(__name__)


# expect: safe
@tool
def set_price(sku: str, price: float) -> str:
    """Set the price of an article; adds the article when it is new."""
    stmt = pg_insert(prices).values(sku=sku, price=price)
    stmt = stmt.on_conflict_do_update(index_elements=[prices.c.sku], set_={"price": stmt.excluded.price})
    with engine.begin() as conn:
        conn.execute(stmt)
    logger.info("price of %s set to %s", sku, price)
    return "ok"


# expect: unsafe orm
@tool
def add_line_items(order_id: int, items: list[dict]) -> str:
    """Add lines to an order. Each item has sku and qty."""
    with engine.begin() as conn:
        conn.execute(
            sa.insert(line_items),
            [{"order_id": order_id, "sku": i["sku"], "qty": i["qty"]} for i in items],
        )
    return f"{len(items)} lines added to {order_id}"


# expect: unsafe orm
@tool
def reserve(sku: str, qty: int) -> str:
    """Reserve pieces of an article."""
    s = stock.c
    upd = stock.update().where(s.sku == sku, s.on_hand - s.reserved >= qty).values({s.reserved: s.reserved + qty})
    with engine.begin() as conn:
        result = conn.execute(upd)
        if result.rowcount != 1:
            return "not enough on hand"
    return "reserved"


# expect: safe
@tool
def set_stock_count(sku: str, counted: int) -> str:
    """Record the result of a stock count."""
    with engine.begin() as conn:
        conn.execute(sa.update(stock).where(stock.c.sku == sku).values(on_hand=counted))
    return "counted"


# expect: safe
@tool
def archive_order(order_id: int) -> str:
    """Move an order to the archive."""
    with engine.connect() as conn:
        with conn.begin():
            conn.execute(
                sa.text(
                    """
                    INSERT INTO order_archive
                    SELECT o.* FROM orders o
                    WHERE o.id = :id
                      AND NOT EXISTS (SELECT 1 FROM order_archive a WHERE a.id = o.id)
                    """
                ),
                {"id": order_id},
            )
            conn.execute(sa.text("DELETE FROM orders WHERE id = :id"), {"id": order_id})
    return "archived"


# expect: unsafe sql
@tool
def write_off(sku: str, qty: int) -> str:
    """Write off damaged pieces."""
    with engine.begin() as c:
        c.execute(
            sa.text("UPDATE stock SET on_hand = GREATEST(on_hand - :qty, 0) WHERE sku = :sku"),
            dict(qty=qty, sku=sku),
        )
    return "written off"


# expect: read
@tool
def sales_report(month: str) -> list[dict]:
    """Sum up the pieces sold by article in a month (YYYY-MM)."""
    orders = sa.table("orders", sa.column("id"), sa.column("month"))
    q = (
        sa.select(line_items.c.sku, sa.func.sum(line_items.c.qty).label("pieces"))
        .join(orders, orders.c.id == line_items.c.order_id)
        .where(orders.c.month == month)
        .group_by(line_items.c.sku)
        .order_by(sa.desc("pieces"))
    )
    with engine.connect() as conn:
        return [dict(r._mapping) for r in conn.execute(q)]
