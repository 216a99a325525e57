"""Tools with SQLAlchemy's expressions and with text."""

from langchain_core.tools import tool
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from clinic.db import async_engine, engine
from clinic.models import audit_log, stock


def _log(conn, actor: str, action: str) -> None:
    conn.execute(insert(audit_log).values(actor=actor, action=action))


# expect: safe
@tool
def set_location(sku: str, location: str) -> str:
    """Say where an article lies."""
    with engine.begin() as conn:
        result = conn.execute(stock.update().where(stock.c.sku == sku).values(location=location))
    return f"{result.rowcount} moved."


# expect: unsafe orm
@tool
def move(sku: str, location: str) -> str:
    """Move an article, on the record."""
    stmt = update(stock).where(stock.c.sku == sku).values(location=location)
    with engine.begin() as conn:
        conn.execute(stmt)
        _log(conn, "agent", f"moved {sku} to {location}")
    return "Moved."


# expect: unsafe orm
@tool
async def restock(sku: str, quantity: int) -> str:
    """Add goods to the stock."""
    async with async_engine.begin() as conn:
        await conn.execute(
            update(stock).where(stock.c.sku == sku).values({stock.c.quantity: stock.c.quantity + quantity})
        )
        left = await conn.scalar(select(stock.c.quantity).where(stock.c.sku == sku))
    return f"{left} in stock."


# expect: safe
@tool
def put_article(sku: str, quantity: int) -> str:
    """Say how many there are of an article."""
    stmt = pg_insert(stock).values(sku=sku, quantity=quantity)
    stmt = stmt.on_conflict_do_update(index_elements=[stock.c.sku], set_={"quantity": stmt.excluded.quantity})
    with engine.begin() as conn:
        conn.execute(stmt)
    return "Counted."


# expect: unsafe orm
@tool
def receive(sku: str, quantity: int) -> str:
    """Receive goods, known or new."""
    stmt = pg_insert(stock).values(sku=sku, quantity=quantity)
    upsert = stmt.on_conflict_do_update(
        index_elements=["sku"], set_={"quantity": stock.c.quantity + stmt.excluded.quantity}
    )
    with engine.connect() as conn:
        conn.execute(upsert)
        conn.commit()
    return "Received."


# expect: unsafe sql
@tool
def send_feedback(user: str, stars: int, words: str = "") -> str:
    """Store feedback."""
    query = text("INSERT INTO feedback (name, stars, words) VALUES (:name, :stars, :words)")
    with engine.connect() as connection:
        connection.execute(query, {"name": user, "stars": stars, "words": words})
        connection.commit()
    return "Thank you!"


# expect: read
@tool
def total_stock() -> str:
    """Count all goods."""
    with engine.connect() as conn:
        total = conn.execute(select(func.sum(stock.c.quantity))).scalar_one()
    return f"{total} in all."
