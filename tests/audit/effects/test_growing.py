"""What grows where it is read, changed and written back, and what does not: shapes of lists and records in files."""

import pytest

from tests.audit.effects.sources import writes_in

HEAD = """
import csv, json, os
from pathlib import Path
P = Path("data/x.json")
"""
GROWS = {
    "join of lines": """
def tool(a):
    lines = P.read_text().splitlines()
    P.write_text("\\n".join([*lines, a]))
""",
    "list display": """
def tool(a):
    rows = json.loads(P.read_text())
    P.write_text(json.dumps([*rows, a]))
""",
    "a text that is formatted": """
def tool(a):
    old = P.read_text()
    P.write_text("{}\\n{}".format(old, a))
""",
    "rows of a CSV file, and one more": """
def tool(a):
    with open("x.csv") as f:
        rows = list(csv.DictReader(f))
    rows.append({"a": a})
    with open("x.csv", "w", newline="") as f:
        w = csv.DictWriter(f, fieldnames=["a"])
        w.writeheader()
        w.writerows(rows)
""",
    "csv decrement": """
def tool(a, b):
    with open("x.csv") as f:
        rows = list(csv.DictReader(f))
    for row in rows:
        if row["id"] == a:
            row["n"] = int(row["n"]) - b
    with open("x.csv", "w", newline="") as f:
        w = csv.DictWriter(f, fieldnames=["a"])
        w.writeheader()
        w.writerows(rows)
""",
    "Path glob numbering": """
def tool(a):
    n = len(list(Path("out").glob("*.md"))) + 1
    (Path("out") / f"{n}.md").write_text(a)
""",
    "os.listdir numbering": """
def tool(a):
    n = len(os.listdir("out"))
    with open(os.path.join("out", f"note_{n}.md"), "w") as f:
        f.write(a)
""",
    "a list in a file that is open for both": """
def tool(a):
    with P.open("r+") as f:
        data = json.load(f)
        data.append(a)
        f.seek(0)
        json.dump(data, f)
        f.truncate()
""",
    "inventory loop": """
def tool(sku, n):
    items = json.loads(P.read_text())
    for item in items:
        if item["sku"] == sku:
            item["quantity"] -= n
    P.write_text(json.dumps(items))
""",
    "inventory loop enumerate": """
def tool(sku, n):
    items = json.loads(P.read_text())
    for i, item in enumerate(items):
        if item["sku"] == sku:
            items[i]["quantity"] = item["quantity"] + n
    P.write_text(json.dumps(items))
""",
    "nested list alias": """
def tool(a):
    data = json.loads(P.read_text())
    tasks = data["tasks"]
    tasks.append(a)
    P.write_text(json.dumps(data))
""",
    "nested dict alias": """
def tool(user, n):
    data = json.loads(P.read_text())
    account = data["accounts"].get(user)
    if account is None:
        return "no"
    account["balance"] += n
    P.write_text(json.dumps(data))
""",
    "a number of the record that is found": """
def tool(id, n):
    data = json.loads(P.read_text())
    one = next((x for x in data if x["id"] == id), None)
    if one is None:
        return "none"
    one["n"] -= n
    P.write_text(json.dumps(data))
""",
    "list pop": """
def tool():
    rows = json.loads(P.read_text())
    one = rows.pop(0)
    P.write_text(json.dumps(rows))
    return one
""",
    "history": """
def tool(a, b):
    data = json.loads(P.read_text())
    one = data.setdefault(a, {"history": []})
    one["history"].append(b)
    P.write_text(json.dumps(data))
""",
    "slice keep last": """
def tool(a):
    rows = json.loads(P.read_text())
    rows.append(a)
    rows = rows[-100:]
    P.write_text(json.dumps(rows))
""",
}
STAYS = {
    "dict spread": """
def tool(a, b):
    data = json.loads(P.read_text())
    P.write_text(json.dumps({**data, a: b}))
""",
    "replace in text": """
def tool(a, b):
    text = P.read_text()
    P.write_text(text.replace(a, b))
""",
    "csv update": """
def tool(a, b):
    with open("x.csv") as f:
        rows = list(csv.DictReader(f))
    for row in rows:
        if row["id"] == a:
            row["status"] = b
    with open("x.csv", "w", newline="") as f:
        w = csv.DictWriter(f, fieldnames=["a"])
        w.writeheader()
        w.writerows(rows)
""",
    "toggled set": """
def tool(a):
    data = set(json.loads(P.read_text()))
    data.add(a)
    P.write_text(json.dumps(sorted(data)))
""",
    "list filter": """
def tool(a):
    rows = [row for row in json.loads(P.read_text()) if row["id"] != a]
    P.write_text(json.dumps(rows))
""",
    "a value of the record that is found": """
def tool(id, n):
    data = json.loads(P.read_text())
    one = next((x for x in data if x["id"] == id), None)
    if one is None:
        return "none"
    one["n"] = n
    P.write_text(json.dumps(data))
""",
    "replaced in list": """
def tool(id, text):
    rows = json.loads(P.read_text())
    rows = [row for row in rows if row["id"] != id]
    rows.append({"id": id, "text": text})
    P.write_text(json.dumps(rows))
""",
    "replaced in list by plus": """
def tool(id, text):
    rows = json.loads(P.read_text())
    rest = [row for row in rows if row["id"] != id]
    P.write_text(json.dumps(rest + [{"id": id, "text": text}]))
""",
    "dict pop": """
def tool(id):
    rows = json.loads(P.read_text())
    rows.pop(id, None)
    P.write_text(json.dumps(rows))
""",
    "r+ set": """
def tool(k, v):
    with P.open("r+") as f:
        data = json.load(f)
        data[k] = v
        f.seek(0)
        json.dump(data, f)
        f.truncate()
""",
    "loop set": """
def tool(k, v):
    data = json.loads(P.read_text())
    for row in data["rows"]:
        if row["id"] == k:
            row["done"] = v
            row["tags"] = sorted(set(row["tags"]) | {v})
    P.write_text(json.dumps(data))
""",
    "loop over to collect": """
def tool(k, v):
    rows = json.loads(P.read_text())
    names = []
    for row in rows:
        names.append(row["name"])
    rows_by = {row["id"]: row for row in rows}
    Path("names.txt").write_text("\\n".join(names))
""",
    "append unless any": """
def tool(k):
    rows = json.loads(P.read_text())
    if any(row["id"] == k for row in rows):
        return "there"
    rows.append({"id": k})
    P.write_text(json.dumps(rows))
""",
    "else append": """
def tool(k, v):
    rows = json.loads(P.read_text())
    for row in rows:
        if row["id"] == k:
            row["v"] = v
            break
    else:
        rows.append({"id": k, "v": v})
    P.write_text(json.dumps(rows))
""",
    "latest file overwritten": """
def tool(a):
    latest = sorted(Path("out").glob("*.md"))[-1]
    latest.write_text(a)
""",
    "csv export from helper": """
def rows():
    with open("in.csv") as f:
        return list(csv.reader(f))
def tool(a):
    with open("out.csv", "w") as f:
        w = csv.writer(f)
        w.writerow(["a", "b"])
        w.writerows(rows())
""",
    "template rendered": """
def tool(a):
    text = Path("t.md").read_text()
    Path(f"out/{a}.md").write_text(f"{text}\\n{a}")
""",
    "front matter replaced": """
def tool(a):
    text = P.read_text()
    head, _, body = text.partition("---")
    P.write_text(f"{a}---{body}")
""",
    "price computed of other field": """
def tool(sku, n):
    items = json.loads(P.read_text())
    for item in items:
        if item["sku"] == sku:
            item["total"] = item["price"] * n
    P.write_text(json.dumps(items))
""",
    "replaced in nested list": """
def tool(a, b):
    data = json.loads(P.read_text())
    data["tasks"] = [t for t in data["tasks"] if t["id"] != a]
    data["tasks"].append({"id": a, "b": b})
    P.write_text(json.dumps(data))
""",
    "a flag that says whether it was there": """
def tool(a, b):
    data = json.loads(P.read_text())
    found = False
    for row in data["rows"]:
        if row["id"] == a:
            row["b"] = b
            found = True
    if not found:
        data["rows"].append({"id": a, "b": b})
    P.write_text(json.dumps(data))
""",
    "existing is none": """
def tool(a, b):
    data = json.loads(P.read_text())
    one = next((row for row in data["rows"] if row["id"] == a), None)
    if one is None:
        one = {"id": a}
        data["rows"].append(one)
    one["b"] = b
    P.write_text(json.dumps(data))
""",
    "else branch": """
def tool(a, b):
    data = json.loads(P.read_text())
    one = next((row for row in data["rows"] if row["id"] == a), None)
    if one:
        one["b"] = b
    else:
        data["rows"].append({"id": a, "b": b})
    P.write_text(json.dumps(data))
""",
}


@pytest.mark.parametrize("text", GROWS.values(), ids=GROWS)
def test_what_is_written_relative_to_what_was_read_is_another_thing_the_next_time(text: str) -> None:
    assert [touch.repeatable for touch in writes_in(HEAD + text)] == [False]


@pytest.mark.parametrize("text", STAYS.values(), ids=STAYS)
def test_what_is_set_replaced_or_added_where_it_is_missing_may_be_written_again(text: str) -> None:
    touches = writes_in(HEAD + text)

    assert touches
    assert not any(touch.repeatable is False for touch in touches)
