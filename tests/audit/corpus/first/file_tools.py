import csv
import json
import logging
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from langchain_core.tools import tool

NOTES = Path("data/notes.md")
STATE = "data/state.json"
logger = logging.getLogger(__name__)


# expect: unsafe file
@tool
def add_note(text: str) -> str:
    """Add a note."""
    with open("notes.txt", "a") as f:
        f.write(text + "\n")
    return "added"


# expect: safe
@tool
def write_report(name: str, text: str) -> str:
    """Write a report."""
    with open(f"reports/{name}.md", "w", encoding="utf-8") as f:
        f.write(text)
    return "written"


# expect: safe
@tool
def save_page(slug: str, html: str) -> str:
    """Save a page."""
    path = Path("site") / f"{slug}.html"
    path.write_text(html)
    return str(path)


# expect: unsafe file
@tool
def append_row(sku: str, units: int) -> str:
    """Append a row to the CSV file."""
    with open("stock.csv", mode="a", newline="") as handle:
        csv.writer(handle).writerow([sku, units])
    return "ok"


# expect: unsafe file
@tool
def count_up(name: str) -> int:
    """Count something up in a JSON file."""
    with open(STATE) as f:
        data = json.load(f)
    data[name] = data.get(name, 0) + 1
    with open(STATE, "w") as f:
        json.dump(data, f)
    return data[name]


# expect: safe
@tool
def set_value(name: str, value: str) -> str:
    """Set a value in a JSON file."""
    with open(STATE) as f:
        data = json.load(f)
    data[name] = value
    with open(STATE, "w") as f:
        json.dump(data, f)
    return "set"


# expect: unsafe file
@tool
def add_todo(task: str) -> str:
    """Add a task to the list in a JSON file."""
    path = Path("todo.json")
    todos = json.loads(path.read_text())
    todos.append({"task": task, "done": False})
    path.write_text(json.dumps(todos))
    return "added"


# expect: unsafe file
@tool
def extend_notes(text: str) -> str:
    """Put text at the end of the notes."""
    NOTES.write_text(NOTES.read_text() + "\n" + text)
    return "done"


# expect: safe
@tool
def publish_file(name: str) -> str:
    """Publish a draft."""
    shutil.copyfile(f"drafts/{name}", f"public/{name}")
    return "published"


# expect: safe
@tool
def atomic_save(text: str) -> str:
    """Save in one step."""
    with tempfile.NamedTemporaryFile("w", delete=False, dir="data") as tmp:
        tmp.write(text)
    os.replace(tmp.name, "data/current.txt")
    return "saved"


# expect: safe
@tool
def traced(question: str) -> str:
    """Answer, and leave a trace in a log in the temporary folder."""
    with open("/tmp/agent-debug.log", "a") as log:
        log.write(question)
    return question.upper()


# expect: unsafe file
@tool
def new_draft(text: str) -> str:
    """Save a draft under a new name."""
    path = Path("drafts") / f"{uuid.uuid4().hex}.md"
    path.write_text(text)
    return str(path)


# expect: safe
@tool
def run_script(name: str) -> str:
    """Run a script."""
    done = subprocess.run(["bash", f"scripts/{name}.sh"], capture_output=True, text=True)
    return done.stdout


# expect: read
@tool
def read_notes() -> str:
    """Read the notes."""
    logger.info("notes are read")
    with open(NOTES) as f:
        return f.read()


# expect: safe
@tool
def remove_report(name: str) -> str:
    """Remove a report."""
    Path("reports", name).unlink(missing_ok=True)
    return "removed"
