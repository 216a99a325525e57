"""An expense bot. Tools are classes here, as the framework's older guides have it."""

import os
import sqlite3
from typing import Type

from langchain_core.tools import BaseTool, tool
from pydantic import BaseModel, Field

QUERIES = {
    "rename": "UPDATE projects SET name = :name WHERE id = :id",
    "undo": "DELETE FROM entries WHERE id = (SELECT MAX(id) FROM entries WHERE account = ?)",
}


class ExpenseInput(BaseModel):
    account: str = Field(description="account to book on")
    cents: int
    note: str = ""


class AddExpense(BaseTool):
    name: str = "add_expense"
    description: str = "Book an expense."
    args_schema: Type[BaseModel] = ExpenseInput
    db_path: str = os.environ.get("EXPENSES_DB", "expenses.db")

    # expect: unsafe sql
    def _run(self, account: str, cents: int, note: str = "") -> str:
        conn = sqlite3.connect(self.db_path)
        try:
            cursor = conn.cursor()
            cursor.execute(
                "INSERT INTO entries(account, cents, note) VALUES (?, ?, ?)", (account, cents, note)
            )
            conn.commit()
            return f"entry {cursor.lastrowid}"
        finally:
            conn.close()


# expect: safe
@tool
def rename_project(project_id: int, name: str) -> str:
    """Rename a project."""
    with sqlite3.connect("expenses.db") as db:
        db.execute(QUERIES["rename"], {"name": name, "id": project_id})
    return "renamed"


# expect: unsafe sql
@tool
def undo_last_entry(account: str) -> str:
    """Undo the last entry of an account."""
    with sqlite3.connect("expenses.db") as db:
        gone = db.execute(QUERIES["undo"], (account,)).rowcount
    return "undone" if gone else "nothing to undo"
