import asyncpg
import psycopg
import psycopg2
from langchain_core.tools import tool
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from clawproof_langgraph import current_call
from shop.db import pg
from shop.queries import ADD_LEDGER_ROW, UPSERT_CUSTOMER

pool = ConnectionPool("postgresql://localhost/shop")
apool = AsyncConnectionPool("postgresql://localhost/shop", open=False)


# expect: safe
@tool
def update_customer(id: str, name: str, email: str) -> str:
    """Create or change a customer."""
    with pg() as conn:
        conn.execute(UPSERT_CUSTOMER, {"id": id, "name": name, "email": email})
    return "ok"


# expect: unsafe sql
@tool
def book_entry(account: str, amount: float, note: str = "") -> str:
    """Add an entry to the ledger."""
    with pg() as conn, conn.cursor() as cur:
        cur.execute(ADD_LEDGER_ROW, dict(account=account, amount=amount, note=note))
    return "booked"


# expect: unsafe sql
@tool
def transfer(source: str, target: str, amount: float) -> str:
    """Move money between two accounts."""
    with pool.connection() as conn:
        with conn.transaction():
            conn.execute("UPDATE accounts SET balance = balance - %s WHERE id = %s", (amount, source))
            conn.execute("UPDATE accounts SET balance = balance + %s WHERE id = %s", (amount, target))
    return "transferred"


# expect: safe
@tool
async def archive_project(project_id: int) -> str:
    """Archive a project."""
    async with apool.connection() as conn:
        await conn.execute("UPDATE projects SET archived_at = now() WHERE id = %s AND archived_at IS NULL", [project_id])
    return "archived"


# expect: unsafe sql
@tool
async def add_comment(task_id: int, text: str) -> int:
    """Comment on a task."""
    async with apool.connection() as conn:
        async with conn.cursor(row_factory=dict_row) as cur:
            await cur.execute(
                "INSERT INTO comments (task_id, body) VALUES (%s, %s) RETURNING id",
                (task_id, text),
            )
            row = await cur.fetchone()
    return row["id"]


# expect: safe
@tool
def tag_task(task_id: int, tag: str) -> str:
    """Tag a task."""
    conn = psycopg2.connect("dbname=shop")
    with conn:
        with conn.cursor() as cur:
            cur.execute(
                "INSERT INTO task_tags (task_id, tag) SELECT %s, %s "
                "WHERE NOT EXISTS (SELECT 1 FROM task_tags WHERE task_id = %s AND tag = %s)",
                (task_id, tag, task_id, tag),
            )
    return "tagged"


# expect: unsafe sql
@tool
async def append_note(customer_id: int, note: str) -> str:
    """Append a note to a customer."""
    conn = await asyncpg.connect("postgresql://localhost/crm")
    try:
        await conn.execute("UPDATE customers SET notes = notes || $1 WHERE id = $2", note, customer_id)
    finally:
        await conn.close()
    return "noted"


# expect: safe
@tool
async def set_owner(deal_id: int, owner: str) -> str:
    """Set the owner of a deal."""
    conn = await asyncpg.connect("postgresql://localhost/crm")
    await conn.execute("UPDATE deals SET owner = $1 WHERE id = $2", owner, deal_id)
    await conn.close()
    return "done"


# expect: unsafe sql
@tool
async def decrement_inventory(db: asyncpg.Pool, sku: str, quantity: int) -> int:
    """Decrement the inventory."""
    async with db.acquire() as conn:
        async with conn.transaction():
            current = await conn.fetchval("SELECT quantity FROM inventory WHERE sku = $1 FOR UPDATE", sku)
            new_quantity = current - quantity
            await conn.execute("UPDATE inventory SET quantity = $1 WHERE sku = $2", new_quantity, sku)
    return new_quantity


# expect: safe
@tool
def change_price(sku: str, old: float, new: float) -> str:
    """Change a price if it is still the old one."""
    with pg() as conn:
        cur = conn.execute("UPDATE prices SET price = %s WHERE sku = %s AND price = %s", (new, sku, old))
    return "changed" if cur.rowcount else "somebody was faster"


# expect: unsafe sql
@tool
def bulk_load(path: str) -> str:
    """Load a CSV file into the database."""
    conn = psycopg2.connect("dbname=shop")
    with conn, conn.cursor() as cur, open(path) as f:
        cur.copy_expert("COPY sales FROM STDIN WITH CSV HEADER", f)
    return "loaded"


# expect: safe
@tool
def charge_account(account: str, amount: float) -> str:
    """Charge an account once for this call."""
    key = current_call().sub_key("charge")
    with pg() as conn:
        conn.execute(
            "INSERT INTO charges (call_key, account, amount) VALUES (%s, %s, %s)",
            (key, account, amount),
        )
    return "charged"


# expect: unsafe sql
@tool
def move_to_archive(days: int) -> str:
    """Move old orders into the archive and count the run."""
    with pg() as conn:
        conn.execute(
            "WITH moved AS (DELETE FROM orders WHERE created_at < now() - make_interval(days => %s) RETURNING *) "
            "INSERT INTO archive SELECT * FROM moved",
            (days,),
        )
        conn.execute("UPDATE runs SET n = n + 1 WHERE job = 'archive'")
    return "moved"


# expect: safe
@tool
def complete_order(order_id: int) -> str:
    """Complete an order and give the points for it, once."""
    with pg() as conn:
        conn.execute(
            "UPDATE orders SET status = 'done', points = points + 10 WHERE id = %s AND status = 'open'", (order_id,)
        )
    return "completed"


# expect: read
@tool
def sales_report(since: str) -> list:
    """Report the sales."""
    query = """
        WITH totals AS (SELECT sku, sum(amount) AS amount FROM sales WHERE day >= %s GROUP BY sku)
        SELECT * FROM totals ORDER BY amount DESC
    """
    with psycopg.connect("dbname=shop") as conn:
        return conn.execute(query, (since,)).fetchall()
