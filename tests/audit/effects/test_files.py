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


@pytest.mark.parametrize("root", ["Path.home()", "Path.cwd() / 'a'", "Path(__file__).resolve().parents[2]"])
def test_a_path_is_known_by_whatever_it_starts_from(root: str) -> None:
    [touch] = writes_in(f"""
from pathlib import Path
ROOT = {root} / "work"

def tool(line):
    target = ROOT / "lines.txt"
    with target.open("a") as out:
        out.write(line)
""")

    assert (touch.kind, touch.repeatable) == ("file", False)


@pytest.mark.parametrize(
    ("new", "repeatable"),
    [('f"{old}{line}"', False), ('f"# Notes\\n{line}"', True), ('f"{old}"', True)],
)
def test_a_text_around_what_a_file_holds_makes_it_grow(new: str, repeatable: bool) -> None:
    [touch] = writes_in(f"{HEAD}\ndef tool(line):\n    old = PATH.read_text()\n    PATH.write_text({new})\n")

    assert touch.repeatable is repeatable


def test_a_text_that_names_what_was_read_elsewhere_is_not_computed_from_it() -> None:
    [touch] = writes_in("""
        import httpx
        def tool(user):
            name = httpx.get(f"https://x.example/users/{user}").json()["name"]
            httpx.put(f"https://x.example/cards/{user}", json={"text": f"Dear {name}"})
    """)

    assert touch.repeatable is True
