"""Tools of the circulation desk agent."""

import sqlite3
from contextlib import closing

from langchain_core.tools import tool

from library import store
from library.store import DB_PATH, cursor, upsert_row

ADD_NOTE = """
    INSERT INTO desk_notes (member_id, body, author)
    VALUES (:member_id, :body, 'agent')
"""

OVERDUE = """
WITH late AS (
    SELECT loan_id, member_id, isbn, julianday('now') - julianday(due_on) AS days
    FROM loans
    WHERE returned_on IS NULL AND due_on < date('now')
)
SELECT m.name, late.isbn, CAST(late.days AS INTEGER) AS days
FROM late JOIN members m ON m.id = late.member_id
ORDER BY days DESC
"""


# expect: safe
@tool
def check_out_book(isbn: str, member_id: int) -> str:
    """Lend a copy to a member."""
    with cursor() as cur:
        cur.execute(
            "UPDATE copies SET status = 'lent', member_id = ? WHERE isbn = ? AND (status = 'in' OR member_id = ?)",
            (member_id, isbn, member_id),
        )
        if cur.rowcount == 0:
            return f"{isbn} is not on the shelf"
    return f"{isbn} lent to {member_id}"


# expect: unsafe sql
@tool
def add_member_note(member_id: int, body: str) -> str:
    """Write a note on a member's card."""
    with closing(sqlite3.connect(DB_PATH)) as conn, conn:
        conn.execute(ADD_NOTE, {"member_id": member_id, "body": body})
    return "noted"


# expect: read
@tool
def list_overdue() -> list[dict]:
    """List every loan that is late, the latest first."""
    with cursor() as cur:
        cur.execute(OVERDUE)
        return [dict(r) for r in cur.fetchall()]


# expect: safe
@tool
def save_preferences(member_id: int, preferences: dict[str, str]) -> str:
    """Keep the preferences of a member (language, large print, and so on)."""
    rows = [(member_id, name, value) for name, value in preferences.items()]
    conn = sqlite3.connect(DB_PATH)
    with conn:
        conn.executemany("REPLACE INTO preferences(member_id, name, value) VALUES (?,?,?)", rows)
    conn.close()
    return f"{len(rows)} preferences saved"


# expect: unsafe sql
@tool
def log_reading(member_id: int, isbn: str, minutes: int) -> str:
    """Log a reading session for the summer challenge."""
    rowid = store.insert_row("reading_log", member_id=member_id, isbn=isbn, minutes=minutes)
    return f"session {rowid}"


# expect: safe
@tool
def set_opening_hours(day: str, opens: str, closes: str) -> str:
    """Set the opening hours of a week day."""
    upsert_row("opening_hours", key="day", day=day, opens=opens, closes=closes)
    return "ok"
