import csv
import json
import logging
import shutil
from datetime import datetime
from pathlib import Path

from langchain_core.tools import tool

from app.storage import append_line, data_path, load_json, save_json

log = logging.getLogger("tools.files")
WORKSPACE = Path.home() / "workspace"
FIELDS = ["day", "what", "amount"]


# expect: unsafe file
@tool
def journal(text: str) -> str:
    """Write a line into the journal."""
    append_line("journal.txt", f"{datetime.now():%Y-%m-%d %H:%M} {text}")
    return "noted"


# expect: unsafe file
@tool
def record_expense(day: str, what: str, amount: float) -> str:
    """Record an expense."""
    target = WORKSPACE / "expenses.csv"
    new = not target.exists()
    with target.open("a", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=FIELDS)
        if new:
            writer.writeheader()
        writer.writerow({"day": day, "what": what, "amount": amount})
    return f"recorded {amount}"


# expect: unsafe file
@tool
def add_task(title: str) -> str:
    """Add a task to the list."""
    tasks = load_json("tasks.json", [])
    tasks.append({"id": len(tasks) + 1, "title": title, "done": False})
    save_json("tasks.json", tasks)
    return f"{len(tasks)} tasks"


# expect: safe
@tool
def finish_task(task_id: int) -> str:
    """Mark a task as done."""
    tasks = load_json("tasks.json", [])
    for task in tasks:
        if task["id"] == task_id:
            task["done"] = True
    save_json("tasks.json", tasks)
    return "done"


# expect: safe
@tool
def remember_preference(name: str, value: str) -> str:
    """Remember a preference of the user."""
    preferences = load_json("preferences.json", {})
    preferences[name] = value
    save_json("preferences.json", preferences)
    return json.dumps(preferences)


# expect: unsafe file
@tool
def log_decision(decision: str, reason: str) -> str:
    """Append a decision to the record of decisions."""
    path = WORKSPACE / "DECISIONS.md"
    old = path.read_text() if path.exists() else "# Decisions\n"
    path.write_text(f"{old}\n- {decision}: {reason}")
    log.info("decision logged")
    return "logged"


# expect: safe
@tool
def write_workspace_file(name: str, content: str) -> str:
    """Write a file of the workspace."""
    path = (WORKSPACE / name).resolve()
    if not path.is_relative_to(WORKSPACE):
        return "outside of the workspace"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    log.info("wrote %s", path)
    return f"{path.stat().st_size} bytes"


# expect: safe
@tool
def archive_project(name: str) -> str:
    """Copy a project into the archive."""
    target = data_path("archive") / name
    shutil.copytree(WORKSPACE / name, target, dirs_exist_ok=True)
    return str(target)


# expect: safe
@tool
def export_rows(name: str, rows: list[dict]) -> str:
    """Export rows as CSV."""
    with open(data_path(f"{name}.csv"), "w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return f"{len(rows)} rows"
