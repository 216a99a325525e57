"""A file that is written under another name and moved is judged by what becomes of the one it replaces."""

import pytest

from tests.audit.effects.sources import writes_in

HEAD = """
import json, os, shutil, tempfile
from pathlib import Path
PATH = Path("tasks.json")
"""
REPLACE = {
    "Path.replace": """
    tmp = PATH.with_suffix(".tmp")
    tmp.write_text(json.dumps(tasks))
    tmp.replace(PATH)
""",
    "os.replace": """
    with open("tasks.new", "w") as out:
        json.dump(tasks, out)
    os.replace("tasks.new", PATH)
""",
    "a temporary file": """
    with tempfile.NamedTemporaryFile("w", delete=False) as out:
        json.dump(tasks, out)
    shutil.move(out.name, PATH)
""",
    "a helper": """
    store(PATH, tasks)

def store(path, tasks):
    tmp = path.with_suffix(".tmp")
    tmp.write_text(json.dumps(tasks))
    tmp.replace(path)
""",
}


@pytest.mark.parametrize("replace", REPLACE.values(), ids=REPLACE)
@pytest.mark.parametrize(("change", "repeatable"), [("tasks.append(task)", False), ("tasks[task] = 1", True)])
def test_what_was_read_and_changed_is_found_in_the_file_that_takes_its_place(
    replace: str, change: str, repeatable: bool
) -> None:
    touches = writes_in(f"""{HEAD}
def tool(task):
    tasks = json.loads(PATH.read_text())
    {change}{replace}""")

    assert touches
    assert all(touch.repeatable for touch in touches) is repeatable
