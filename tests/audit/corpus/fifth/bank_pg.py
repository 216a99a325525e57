from __future__ import annotations

import os
from typing import Annotated

import psycopg
from langchain.tools import tool
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool

DSN = os.environ.get("DATABASE_URL", "postgresql://localhost/bank")
apool = AsyncConnectionPool(DSN, open=False)
pool = ConnectionPool(DSN, open=False)


async def _move(cur: psycopg.AsyncCursor, account: str, amount: int) -> None:
    await cur.execute("UPDATE accounts SET balance = balance + %s WHERE iban = %s", (amount, account))


# expect: unsafe sql
@tool
async def transfer_funds(source: str, target: str, cents: int) -> str:
    """Move money between two accounts of the same customer."""
    async with apool.connection() as conn:
        async with conn.transaction():
            async with conn.cursor() as cur:
                await _move(cur, source, -cents)
                await _move(cur, target, cents)
    return f"moved {cents / 100:.2f}"


# expect: safe
@tool
async def set_postal_address(customer_id: int, street: str, city: str, zip_code: str) -> str:
    """Set the postal address of a customer."""
    async with await psycopg.AsyncConnection.connect(DSN) as aconn:
        await aconn.execute(
            """
            INSERT INTO addresses (customer_id, street, city, zip)
            VALUES (%(customer)s, %(street)s, %(city)s, %(zip)s)
            ON CONFLICT (customer_id) DO UPDATE
               SET street = EXCLUDED.street,
                   city   = EXCLUDED.city,
                   zip    = EXCLUDED.zip,
                   updated_at = now()
            """,
            {"customer": customer_id, "street": street, "city": city, "zip": zip_code},
        )
    return "address saved"


# expect: unsafe sql
@tool
def count_page_view(page: str) -> int:
    """Count a view of a help page and return the number of views."""
    with pool.connection() as conn:
        row = conn.execute(
            "INSERT INTO page_stats AS s (page, views) VALUES (%s, 1) "
            "ON CONFLICT (page) DO UPDATE SET views = s.views + 1 RETURNING views",
            (page,),
        ).fetchone()
    return row[0]


# expect: unsafe sql
@tool
def enqueue_job(queue: Annotated[str, "name of the queue table"], payload: str) -> str:
    """Put a job in one of the job tables."""
    query = sql.SQL("INSERT INTO {table} (payload) VALUES ({payload}) RETURNING id").format(
        table=sql.Identifier("jobs", queue),
        payload=sql.Placeholder(),
    )
    with psycopg.connect(DSN, autocommit=True) as conn, conn.cursor() as cur:
        cur.execute(query, [payload])
        (job_id,) = cur.fetchone()
    return f"job {job_id}"


# expect: unsafe sql
@tool
def take_next_case(reviewer: str) -> dict | None:
    """Give the reviewer the oldest open compliance case."""
    with pool.connection() as conn, conn.cursor(row_factory=dict_row) as cur:
        cur.execute(
            """UPDATE cases SET reviewer = %s, state = 'in review'
               WHERE id = (SELECT id FROM cases WHERE state = 'open'
                           ORDER BY opened_at FOR UPDATE SKIP LOCKED LIMIT 1)
               RETURNING *""",
            (reviewer,),
        )
        return cur.fetchone()


CANCEL = (
    "UPDATE subscriptions "
    "SET state = 'cancelled', cancelled_at = COALESCE(cancelled_at, now()), reason = %s "
    "WHERE id = %s"
)


# expect: safe
@tool
async def cancel_subscription(subscription_id: int, reason: str) -> str:
    """Cancel a subscription."""
    async with apool.connection() as conn:
        cur = await conn.execute(CANCEL, (reason, subscription_id))
        if not cur.rowcount:
            raise ValueError(f"no subscription {subscription_id}")
    return "cancelled"


# expect: read
@tool
def find_customers(text: str, order_by: str = "name", limit: int = 20) -> list[dict]:
    """Find customers by name or e-mail."""
    if order_by not in {"name", "created_at"}:
        order_by = "name"
    statement = f"SELECT id, name, email FROM customers WHERE name ILIKE %s OR email ILIKE %s ORDER BY {order_by} LIMIT {int(limit)}"
    like = f"%{text}%"
    with psycopg.connect(DSN, row_factory=dict_row) as conn:
        return conn.execute(statement, (like, like)).fetchall()
