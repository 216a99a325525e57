"""Tools of a personal agent over a SQLite file."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from langchain_core.tools import tool

DB_PATH = Path(__file__).parent / "agent.db"

INSERT_REMINDER = "INSERT INTO reminders (user_id, text, due) VALUES (?, ?, ?)"
UPSERT_PREFERENCE = """
    INSERT INTO preferences (user_id, name, value) VALUES (:user_id, :name, :value)
    ON CONFLICT (user_id, name) DO UPDATE SET value = excluded.value
"""
TABLES = {"task": "tasks", "bug": "bugs"}


def get_conn() -> sqlite3.Connection:
    conn = sqlite3.connect(DB_PATH)
    conn.row_factory = sqlite3.Row
    return conn


def run(sql: str, params: tuple = ()) -> list[sqlite3.Row]:
    with closing(get_conn()) as conn, conn:
        return conn.execute(sql, params).fetchall()


# expect: unsafe sql
@tool
def add_reminder(user_id: str, text: str, due: str) -> str:
    """Remind the user of something."""
    conn = get_conn()
    try:
        cur = conn.cursor()
        cur.execute(INSERT_REMINDER, (user_id, text, due))
        conn.commit()
        return f"Reminder {cur.lastrowid} saved for {due}."
    finally:
        conn.close()


# expect: safe
@tool
def set_preference(user_id: str, name: str, value: str) -> str:
    """Remember what the user prefers."""
    with get_conn() as conn:
        conn.execute(UPSERT_PREFERENCE, {"user_id": user_id, "name": name, "value": value})
    return f"{name} is now {value}."


# expect: unsafe sql
@tool
def log_item(kind: str, title: str) -> str:
    """File a task or a bug."""
    table = TABLES.get(kind, "tasks")
    run(f"INSERT INTO {table} (title) VALUES (?)", (title,))
    return f"Filed under {table}."


# expect: unsafe sql
@tool
def earn_points(user_id: str, points: int) -> str:
    """Give loyalty points."""
    run("UPDATE users SET points = points + ? WHERE id = ?", (points, user_id))
    row = run("SELECT points FROM users WHERE id = ?", (user_id,))[0]
    return f"You now have {row['points']} points."


# expect: safe
@tool
def finish_task(task_id: int) -> str:
    """Mark a task as done."""
    run("UPDATE tasks SET done = 1 WHERE id = ?", (task_id,))
    return "Done."


# expect: read
@tool
def list_tasks(user_id: str, limit: int = 20) -> str:
    """List what is open."""
    rows = run("SELECT id, title FROM tasks WHERE user_id = ? AND done = 0 LIMIT ?", (user_id, limit))
    return json.dumps([dict(row) for row in rows])


# expect: unsafe sql
@tool
def spend(account: str, amount: float) -> str:
    """Take money from an account."""
    with get_conn() as conn:
        row = conn.execute("SELECT balance FROM accounts WHERE id = ?", (account,)).fetchone()
        if row is None or row["balance"] < amount:
            return "Not enough money."
        balance = row["balance"] - amount
        conn.execute("UPDATE accounts SET balance = ? WHERE id = ?", (balance, account))
    return f"{balance} left."


# expect: safe
@tool
def add_tag(name: str) -> str:
    """Make a tag if there is none."""
    with closing(get_conn()) as conn:
        if conn.execute("SELECT 1 FROM tags WHERE name = ?", (name,)).fetchone():
            return "There is one already."
        conn.execute("INSERT INTO tags (name) VALUES (?)", (name,))
        conn.commit()
    return "Made."


# expect: unsafe sql
@tool
def import_expenses(rows: list[dict]) -> str:
    """Store the expenses of a receipt."""
    columns = ("day", "shop", "amount")
    marks = ", ".join("?" for _ in columns)
    sql = f"INSERT INTO expenses ({', '.join(columns)}) VALUES ({marks})"
    with get_conn() as conn:
        conn.executemany(sql, [tuple(row[c] for c in columns) for row in rows])
    return f"{len(rows)} stored."


# expect: safe
@tool
def set_profile(user_id: str, changes: dict) -> str:
    """Change fields of the profile."""
    assignments = ", ".join(f"{key} = ?" for key in changes)
    with get_conn() as conn:
        conn.execute(f"UPDATE profiles SET {assignments} WHERE user_id = ?", (*changes.values(), user_id))
    return "Profile updated."


# expect: unsafe sql
@tool
def append_journal(day: str, text: str) -> str:
    """Write more into the journal of a day."""
    with get_conn() as conn:
        conn.execute("UPDATE journal SET body = body || char(10) || ? WHERE day = ?", (text, day))
    return "Written."
