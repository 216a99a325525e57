"""Files and documents that are read, added to, and written back are told, whatever way the contents take."""

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


@pytest.mark.parametrize(
    ("body", "repeatable"),
    [
        ("book = openpyxl.load_workbook(path); book.active.append(a); book.save(path)", False),
        ("book = openpyxl.load_workbook(path); rows = book['May']; rows.append(a); book.save(path)", False),
        ("text = docx.Document(path); text.add_paragraph(a); text.save(path)", False),
        ("book = openpyxl.load_workbook(path); book.active['A1'] = a; book.save(path)", True),
        ("book = openpyxl.Workbook(); book.active.append(a); book.save(path)", True),
        ("text = docx.Document('template.docx'); text.add_paragraph(a); text.save(path)", True),
        ("book = openpyxl.Workbook(); book.save(f'{uuid.uuid4()}.xlsx')", False),
    ],
)
def test_a_document_grows_where_it_is_loaded_added_to_and_saved_again(body: str, repeatable: bool) -> None:
    [touch] = writes_in(f"import docx, openpyxl, uuid\ndef tool(path, a):\n    {body}\n")

    assert (touch.kind, touch.repeatable) == ("file", repeatable)
