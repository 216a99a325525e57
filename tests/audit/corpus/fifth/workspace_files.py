import json
import shutil
import uuid
from pathlib import Path

import pandas as pd
from langchain_core.tools import tool

ROOT = Path(__file__).parent / "workspace"
TODO = ROOT / "todo.json"
CONFIG = ROOT / "config.json"


def load(path: Path, default):
    if not path.exists():
        return default
    return json.loads(path.read_text())


def dump(path: Path, data) -> None:
    tmp = path.with_suffix(".tmp")
    tmp.write_text(json.dumps(data, indent=2))
    tmp.replace(path)


# expect: unsafe file
@tool
def write_journal(entry: str) -> str:
    """Write an entry in the journal."""
    with (ROOT / "journal.md").open("a", encoding="utf-8") as f:
        f.write(f"\n- {entry}\n")
    return "written"


# expect: safe
@tool
def write_summary(topic: str, text: str) -> str:
    """Save the summary of a topic."""
    path = ROOT / "summaries" / f"{topic}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# {topic}\n\n{text}\n")
    return str(path)


# expect: safe
@tool
def change_setting(name: str, value: str) -> str:
    """Change a setting of the workspace."""
    config = load(CONFIG, {})
    config[name] = value
    dump(CONFIG, config)
    return "changed"


# expect: unsafe file
@tool
def add_todo(text: str) -> str:
    """Add a task to the to-do list."""
    todos = load(TODO, [])
    todos.append({"text": text, "done": False})
    dump(TODO, todos)
    return f"{len(todos)} tasks"


# expect: unsafe file
@tool
def add_measurement(sensor: str, value: float) -> str:
    """Add a measurement to the sensor's CSV file."""
    frame = pd.DataFrame([{"sensor": sensor, "value": value}])
    target = ROOT / f"{sensor}.csv"
    frame.to_csv(target, mode="a", header=not target.exists(), index=False)
    return "added"


# expect: unsafe file
@tool
def store_attachment(content: str, suffix: str = ".txt") -> str:
    """Store an attachment and return its name."""
    name = f"{uuid.uuid4().hex}{suffix}"
    (ROOT / "attachments").mkdir(exist_ok=True)
    with open(ROOT / "attachments" / name, "w") as out:
        out.write(content)
    return name


# expect: safe
@tool
def archive_file(name: str) -> str:
    """Move a file to the archive folder."""
    source = ROOT / name
    if not source.exists():
        return "nothing to archive"
    shutil.move(str(source), str(ROOT / "archive" / name))
    return "archived"
