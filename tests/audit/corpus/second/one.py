import asyncio
import json
import os
import sqlite3
import time
import uuid
from datetime import datetime, timezone
from typing import Annotated, Type

import aiosqlite
import psycopg
from langchain_core.tools import BaseTool, InjectedToolArg, tool
from psycopg import sql as pgsql
from psycopg2.extras import execute_values
from pydantic import BaseModel, Field

from app import settings, storage
from app.storage import audit, load, open_db, save, upsert
from clawproof_langgraph import current_call


class BookArgs(BaseModel):
    room: str = Field(description="room")
    day: str


class BookRoom(BaseTool):
    name: str = "book_room"
    description: str = "Book a room"
    args_schema: Type[BaseModel] = BookArgs
    db_path: str = "rooms.db"

    # expect: unsafe sql
    def _run(self, room: str, day: str) -> str:
        with sqlite3.connect(self.db_path) as db:
            db.execute("insert into bookings(room, day) values (?, ?)", (room, day))
        return f"{room} booked for {day}"

    # expect: safe
    async def _arun(self, room: str, day: str) -> str:
        async with aiosqlite.connect(self.db_path) as db:
            await db.execute("insert or replace into bookings(room, day) values (?, ?)", (room, day))
            await db.commit()
        return f"{room} booked for {day}"


# expect: unsafe sql
@tool("close_account")
def close_account(account: Annotated[str, "account number"]) -> str:
    """Close an account and leave a line in the audit trail."""
    db = open_db()
    db.execute("UPDATE accounts SET state = 'closed' WHERE no = ?", [account])
    audit(db, "close", account=account)
    return "closed"


# expect: safe
@tool
def save_profile(user: str, profile: dict) -> str:
    """Save a profile."""
    upsert(open_db(), "profiles", "user", {"user": user, "data": json.dumps(profile)})
    return "saved"


# expect: unsafe sql
@tool
async def vote(poll: int, option: str) -> str:
    """Vote in a poll."""
    async with aiosqlite.connect("polls.db") as db:
        async with db.execute("SELECT votes FROM options WHERE poll = ? AND name = ?", (poll, option)) as cursor:
            row = await cursor.fetchone()
        votes = row[0]
        votes += 1
        await db.execute("UPDATE options SET votes = ? WHERE poll = ? AND name = ?", (votes, poll, option))
        await db.commit()
    return str(votes)


# expect: unsafe sql
@tool
def bulk_prices(rows: list[tuple[str, float]]) -> int:
    """Load prices."""
    import psycopg2

    conn = psycopg2.connect(os.environ["DSN"])
    with conn, conn.cursor() as cur:
        execute_values(cur, "INSERT INTO price_history (sku, price) VALUES %s", rows)
    return len(rows)


# expect: safe
@tool
def bulk_current_prices(rows: list[tuple[str, float]]) -> int:
    """Load the current prices."""
    import psycopg2

    conn = psycopg2.connect(os.environ["DSN"])
    with conn, conn.cursor() as cur:
        execute_values(
            cur,
            """INSERT INTO prices (sku, price) VALUES %s
               ON CONFLICT (sku) DO UPDATE SET price = EXCLUDED.price""",
            rows,
        )
    return len(rows)


# expect: unsafe sql
@tool
def add_row(table: str, name: str) -> str:
    """Add a row."""
    query = pgsql.SQL("INSERT INTO {} (name) VALUES (%s)").format(pgsql.Identifier(table))
    with psycopg.connect(os.environ["DSN"], autocommit=True) as conn:
        conn.execute(query, (name,))
    return "added"


# expect: safe
@tool
def deactivate(user_id: int) -> str:
    """Deactivate a user."""
    query = "UPDATE users SET active = FALSE, deactivated_at = COALESCE(deactivated_at, NOW()) WHERE id = %(id)s"
    with psycopg.connect(os.environ["DSN"]) as conn:
        conn.execute(query, {"id": user_id})
    return "deactivated"


# expect: unsafe sql
@tool
def toggle_feature(name: str) -> str:
    """Toggle a feature."""
    db = open_db()
    db.execute("UPDATE features SET enabled = NOT enabled WHERE name = ?", (name,))
    return "toggled"


# expect: safe
@tool
def raise_limit(user: str, limit: int) -> str:
    """Raise a limit to at least a value."""
    db = open_db()
    db.execute("UPDATE limits SET value = MAX(value, ?) WHERE user = ?", (limit, user))
    return "raised"


# expect: safe
@tool
def send_invoice_once(invoice: str, amount: int) -> str:
    """Write an invoice unless this call wrote it."""
    key = current_call().idempotency_key
    db = open_db()
    done = db.execute("SELECT COUNT(*) FROM invoices WHERE call_key = ?", (key,)).fetchone()[0]
    if done > 0:
        return "already there"
    db.execute("INSERT INTO invoices (call_key, no, amount) VALUES (?, ?, ?)", (key, invoice, amount))
    return "written"


# expect: unsafe sql
@tool
def next_invoice_number() -> int:
    """Give the next invoice number."""
    with psycopg.connect(os.environ["DSN"]) as conn:
        row = conn.execute("UPDATE counters SET value = value + 1 WHERE name = 'invoice' RETURNING value").fetchone()
    return row[0]


# expect: safe
@tool
def init_tables() -> str:
    """Make the tables."""
    db = open_db()
    db.executescript("""
        CREATE TABLE IF NOT EXISTS a (id INTEGER PRIMARY KEY);
        CREATE INDEX IF NOT EXISTS a_id ON a (id);
        DELETE FROM a WHERE id < 0;
    """)
    return "ready"


# expect: read
@tool
def schema(table: str) -> list:
    """Show the columns of a table."""
    db = open_db()
    return db.execute(f"PRAGMA table_info({table})").fetchall()


# expect: read
@tool
async def report(day: str) -> list:
    """Report of a day."""
    rows = await asyncio.to_thread(lambda: open_db().execute("SELECT * FROM sales WHERE day = ?", (day,)).fetchall())
    out = []
    for row in rows:
        out.append({"sku": row[0], "units": row[1] + row[2]})
    return out


# expect: unsafe sql
@tool
async def log_sale(sku: str) -> str:
    """Log a sale."""

    def work():
        db = open_db()
        try:
            db.execute("INSERT INTO sales (sku, at) VALUES (?, ?)", (sku, datetime.now(timezone.utc)))
        finally:
            db.close()

    await asyncio.to_thread(work)
    return "logged"


# expect: unsafe file
@tool
def increase(counter: str) -> int:
    """Increase a counter of the state file."""
    state = load()
    state["counters"][counter] += 1
    save(state)
    return state["counters"][counter]


# expect: safe
@tool
def switch(name: str, on: bool) -> str:
    """Switch something in the state file."""
    state = load()
    state.setdefault("switches", {})[name] = on
    save(state)
    return "switched"


# expect: unsafe file
@tool
def emit(event: str) -> str:
    """Write an event."""
    line = json.dumps({"event": event, "at": time.time()})
    with open(settings.EVENTS_FILE, "at", encoding="utf-8") as out:
        print(line, file=out)
    return "written"


# expect: safe
@tool
def upload(doc_id: str, text: str) -> str:
    """Upload a document."""
    storage.s3().put_object(Bucket=storage.BUCKET, Key=f"docs/{doc_id}", Body=text)
    return "uploaded"


# expect: unsafe cloud
@tool
def upload_snapshot(text: str) -> str:
    """Upload a snapshot."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    storage.s3().put_object(Bucket=storage.BUCKET, Key=f"snapshots/{stamp}.json", Body=text)
    return stamp


# expect: unsafe sql
@tool
def new_session(user: str) -> str:
    """Open a session."""
    token = uuid.uuid4().hex
    open_db().execute("REPLACE INTO sessions (token, user) VALUES (?, ?)", (token, user))
    return token
