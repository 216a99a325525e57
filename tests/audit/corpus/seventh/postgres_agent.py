"""Tools over Postgres: psycopg, psycopg2 and asyncpg."""

import os
import uuid

import psycopg
import psycopg2.extras
from langchain_core.tools import StructuredTool, tool
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from clinic.db import get_cursor, get_pool

DSN = os.environ["PG_DSN"]
pool = ConnectionPool(DSN, open=True)
apool = AsyncConnectionPool(DSN, open=False)


# expect: unsafe sql
@tool
def open_ticket(customer: str, subject: str) -> str:
    """Open a support ticket."""
    with psycopg.connect(DSN, row_factory=dict_row) as conn:
        row = conn.execute(
            "INSERT INTO tickets (customer, subject) VALUES (%s, %s) RETURNING id", (customer, subject)
        ).fetchone()
    return f"Ticket #{row['id']} opened."


# expect: unsafe sql
@tool
async def record_payment(invoice: str, amount: float) -> str:
    """Record a payment."""
    async with apool.connection() as conn, conn.cursor(row_factory=dict_row) as cur:
        await cur.execute("INSERT INTO payments (invoice, amount) VALUES (%(invoice)s, %(amount)s)", {
            "invoice": invoice,
            "amount": amount,
        })
    return "Recorded."


# expect: safe
@tool
async def close_ticket(ticket_id: int) -> str:
    """Close a ticket."""
    async with await psycopg.AsyncConnection.connect(DSN) as conn:
        cur = await conn.execute(
            "UPDATE tickets SET status = 'closed' WHERE id = %s AND status <> 'closed'", (ticket_id,)
        )
        if cur.rowcount == 0:
            return "It was closed already."
    return "Closed."


# expect: unsafe sql
@tool
def take_from_stock(sku: str, quantity: int) -> str:
    """Take goods from the stock."""
    with pool.connection() as conn:
        with conn.transaction():
            cur = conn.execute(
                """
                UPDATE stock
                   SET quantity = quantity - %s
                 WHERE sku = %s AND quantity >= %s
             RETURNING quantity
                """,
                (quantity, sku, quantity),
            )
            left = cur.fetchone()
    return f"{left[0]} left." if left else "Out of stock."


# expect: safe
@tool
def save_contact(email: str, name: str) -> str:
    """Save a contact."""
    with pool.connection() as conn:
        conn.execute(
            "INSERT INTO contacts (email, name) VALUES (%s, %s) "
            "ON CONFLICT (email) DO UPDATE SET name = EXCLUDED.name",
            (email, name),
        )
    return "Saved."


# expect: unsafe sql
@tool
def add_comment(ticket_id: int, body: str) -> str:
    """Comment on a ticket."""
    with get_cursor() as cur:
        cur.execute("INSERT INTO comments (id, ticket_id, body) VALUES (%s, %s, %s)", (str(uuid.uuid4()), ticket_id, body))
    return "Commented."


# expect: unsafe sql
@tool
def add_lines(order_id: int, lines: list[dict]) -> str:
    """Add lines to an order."""
    values = [(order_id, line["sku"], line["quantity"]) for line in lines]
    with get_cursor() as cur:
        psycopg2.extras.execute_values(cur, "INSERT INTO order_lines (order_id, sku, quantity) VALUES %s", values)
    return f"{len(values)} lines."


# expect: safe
@tool
def delete_contact(email: str) -> str:
    """Forget a contact."""
    with get_cursor() as cur:
        cur.execute("DELETE FROM contacts WHERE email = %s", (email,))
        return f"{cur.rowcount} forgotten."


# expect: unsafe sql
@tool
async def add_member(team: str, user: str) -> str:
    """Add somebody to a team."""
    pool = await get_pool()
    member = await pool.fetchval("INSERT INTO members (team, name) VALUES ($1, $2) RETURNING id", team, user)
    return f"Member {member}."


# expect: safe
@tool
async def follow(user: str, topic: str) -> str:
    """Follow a topic."""
    pool = await get_pool()
    async with pool.acquire() as conn:
        async with conn.transaction():
            await conn.execute("INSERT INTO follows (name, topic) VALUES ($1, $2) ON CONFLICT DO NOTHING", user, topic)
            await conn.execute(
                "UPDATE topics SET followers = (SELECT count(*) FROM follows WHERE topic = $1) WHERE name = $1", topic
            )
    return "Followed."


# expect: read
@tool
async def member_count(team: str) -> str:
    """Count a team."""
    async with (await get_pool()).acquire() as conn:
        return str(await conn.fetchval("SELECT count(*) FROM members WHERE team = $1", team))


class BalanceStore:
    """Balances in one table."""

    def __init__(self, dsn: str):
        self._pool = ConnectionPool(dsn)

    def _write(self, sql: str, *params: object) -> None:
        with self._pool.connection() as conn:
            conn.execute(sql, params)

    # expect: unsafe sql
    def credit(self, account: str, amount: float) -> str:
        """Credit an account."""
        self._write("UPDATE balances SET amount = amount + %s WHERE account = %s", amount, account)
        return "Credited."

    # expect: safe
    def freeze(self, account: str) -> str:
        """Freeze an account."""
        self._write("UPDATE balances SET frozen = true WHERE account = %s", account)
        return "Frozen."


store = BalanceStore(DSN)
credit_tool = StructuredTool.from_function(store.credit, name="credit")
