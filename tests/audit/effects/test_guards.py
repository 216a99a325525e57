"""What makes a write repeatable around it: keys, look-ups, marks, refusals that are taken for done, `once`."""

import pytest

from tests.audit.effects.sources import touches_in, writes_in

HEAD = """
import sqlite3, uuid, redis, time
from clawproof_langgraph import current_call
conn = sqlite3.connect('x')
r = redis.Redis()
ORDERS = []
"""

GUARDED = {
    "a key of the call": """
    key = current_call().sub_key("pay")
    conn.execute("INSERT INTO t (k) VALUES (?)", (key,))
""",
    "a look-up that leaves": """
    if conn.execute("SELECT 1 FROM t WHERE id = ?", (a,)).fetchone():
        return "there"
    conn.execute("INSERT INTO t VALUES (?)", (a,))
""",
    "a look-up around it": """
    cur = conn.cursor()
    cur.execute("SELECT count(*) FROM t WHERE id = ?", (a,))
    if cur.fetchone()[0] == 0:
        cur.execute("INSERT INTO t VALUES (?)", (a,))
""",
    "a refusal that is taken for done": """
    try:
        conn.execute("INSERT INTO t VALUES (?)", (a,))
    except sqlite3.IntegrityError:
        pass
""",
    "a refusal before it": """
    try:
        conn.execute("INSERT INTO done (id) VALUES (?)", (a,))
    except sqlite3.IntegrityError:
        return "done"
    conn.execute("UPDATE t SET n = n - 1")
""",
    "a mark in the database": """
    cur = conn.execute("INSERT INTO done (id) VALUES (?) ON CONFLICT DO NOTHING", (a,))
    if cur.rowcount == 0:
        return "done"
    conn.execute("UPDATE t SET n = n - 1")
""",
    "a mark in Redis": """
    if not r.set(f"done:{a}", 1, nx=True):
        return "done"
    conn.execute("UPDATE t SET n = n - 1")
""",
    "a list in memory": """
    if any(order["id"] == a for order in ORDERS):
        return "there"
    ORDERS.append({"id": a})
""",
    "rows that were deleted before": """
    conn.execute("DELETE FROM t WHERE owner = ?", (a,))
    conn.execute("INSERT INTO t (owner) VALUES (?)", (a,))
""",
}
UNGUARDED = {
    "a look-up of something else": """
    if conn.execute("SELECT 1 FROM customers WHERE id = ?", (a,)).fetchone() is None:
        return "no such customer"
    conn.execute("INSERT INTO t VALUES (?)", (a,))
""",
    "a look-up that leaves when nothing is there": """
    if not conn.execute("SELECT 1 FROM t WHERE id = ?", (a,)).fetchone():
        return "not there"
    conn.execute("INSERT INTO t VALUES (?)", (a,))
""",
    "a refusal that is raised": """
    try:
        conn.execute("INSERT INTO t VALUES (?)", (a,))
    except sqlite3.IntegrityError:
        raise ValueError(a)
""",
    "a mark under a new key": """
    if not r.set(f"done:{uuid.uuid4()}", 1, nx=True):
        return "done"
    conn.execute("UPDATE t SET n = n - 1")
""",
    "another error that is caught": """
    try:
        conn.execute("INSERT INTO t VALUES (?)", (a,))
    except sqlite3.OperationalError:
        pass
""",
    "a compare with what was read": """
    n = conn.execute("SELECT n FROM t WHERE id = ?", (a,)).fetchone()[0]
    conn.execute("UPDATE t SET n = ? WHERE id = ? AND n = ?", (n - 1, a, n))
""",
}


@pytest.mark.parametrize("body", GUARDED.values(), ids=GUARDED)
def test_a_write_that_a_repetition_does_not_make_is_repeatable(body: str) -> None:
    assert all(touch.repeatable for touch in writes_in(f"{HEAD}\ndef tool(a):{body}"))


@pytest.mark.parametrize("body", UNGUARDED.values(), ids=UNGUARDED)
def test_what_does_not_refuse_a_repetition_is_no_guard(body: str) -> None:
    touches = writes_in(f"{HEAD}\ndef tool(a):{body}")

    assert any(touch.repeatable is False for touch in touches if touch.kind == "sql")


def test_what_is_around_a_call_guards_the_helper() -> None:
    [touch] = writes_in(f"""{HEAD}
def add(a):
    conn.execute("INSERT INTO t VALUES (?)", (a,))

def tool(a):
    if conn.execute("SELECT 1 FROM t WHERE id = ?", (a,)).fetchone() is None:
        add(a)
""")

    assert touch.repeatable is True


def test_what_is_added_to_a_file_only_where_it_is_missing_is_repeatable() -> None:
    text = """
        import json
        from pathlib import Path
        def tool(task):
            path = Path("tasks.json")
            tasks = json.loads(path.read_text())
            {condition}
                tasks.append(task)
            path.write_text(json.dumps(tasks))
    """

    [guarded] = writes_in(text.format(condition="if task not in tasks:"))
    [unguarded] = writes_in(text.format(condition="if task:"))

    assert (guarded.repeatable, unguarded.repeatable) == (True, False)


@pytest.mark.parametrize(("argument", "repeatable"), [("", False), (", key=order", True)])
def test_a_key_counts_only_in_calls_that_pass_it(argument: str, repeatable: bool) -> None:
    [touch] = writes_in(f"""
        import httpx
        def send(body, key=None):
            headers = {{"Accept": "application/json"}}
            if key is not None:
                headers["Idempotency-Key"] = f"order-{{key}}"
            httpx.post("https://shop.example/orders", json=body, headers=headers)
        def tool(order):
            send({{"order": order}}{argument})
    """)

    assert touch.repeatable is repeatable


def test_once_covers_the_database_and_nothing_else() -> None:
    touches = touches_in("""
        import httpx
        from clawproof_langgraph.effects.sql import once
        def tool(conn, call):
            def write(conn):
                conn.execute("INSERT INTO t VALUES (1)")
                httpx.post("https://pay.example/charges")
            once(conn, call, write)
            once(conn, call, lambda c: c.execute("INSERT INTO u VALUES (1)"))
    """)

    assert [(touch.kind, touch.repeatable) for touch in touches] == [("sql", True), ("http", False), ("sql", True)]


def test_the_place_is_the_line_in_the_helper_with_the_calls_that_lead_there() -> None:
    [touch] = writes_in(
        "import db\ndef tool(a):\n    db.outer(a)\n",
        db="""\
            import sqlite3
            def outer(a):
                inner(a)
            def inner(a):
                sqlite3.connect("x").execute("INSERT INTO t VALUES (1)")
        """,
    )

    assert (touch.place.file, touch.place.line) == ("db.py", 5)
    assert [(place.file, place.line) for place in touch.via] == [("tools.py", 3), ("db.py", 3)]


def test_functions_that_call_each_other_in_a_circle_are_followed_once() -> None:
    touches = writes_in("""
        import sqlite3
        def tool(n):
            other(n)
            sqlite3.connect("x").execute("INSERT INTO t VALUES (1)")
        def other(n):
            tool(n - 1)
    """)

    assert len(touches) == 1


@pytest.mark.parametrize(
    ("condition", "repeatable"),
    [
        ("if tag not in contact.tags:", True),
        ("if not any(each.name == name for each in contact.tags):", True),
        ("if name not in [each.name for each in contact.tags]:", True),
        ("if fresh not in contact.tags:", False),
        ("if tag in contact.tags:", False),
        ("if name not in contact.names:", False),
        ("if name:", False),
    ],
)
def test_an_object_is_appended_once_where_the_collection_is_asked_for_it(condition: str, repeatable: bool) -> None:
    [touch] = writes_in(f"""
        from sqlalchemy.orm import Session
        class Tag:
            __tablename__ = "tags"
        class Contact:
            __tablename__ = "contacts"
        def tool(session: Session, name):
            contact = session.get(Contact, 1)
            tag = session.get(Tag, name)
            fresh = Tag(name=name)
            {condition}
                contact.tags.append(tag)
    """)

    assert touch.repeatable is repeatable


@pytest.mark.parametrize(
    ("query", "write", "repeatable"),
    [
        ("SELECT id FROM t WHERE state = 'open' ORDER BY id LIMIT 1", "UPDATE t SET state = 'taken'", False),
        ("SELECT id FROM t WHERE state = 'open' LIMIT 1", "UPDATE t SET state = 'taken'", False),
        ("SELECT MIN(id) FROM t WHERE state = 'open'", "UPDATE t SET state = 'taken'", False),
        ("SELECT id FROM t WHERE owner = ? ORDER BY id DESC", "DELETE FROM t", False),
        ("SELECT id FROM t WHERE owner = ? ORDER BY id DESC", "UPDATE t SET state = 'seen'", True),
        ("SELECT id FROM t WHERE email = ? AND state = 'open'", "UPDATE t SET state = 'taken'", True),
        ("SELECT id FROM t WHERE email = ? LIMIT 1", "DELETE FROM t", True),
        ("SELECT id FROM queue ORDER BY id LIMIT 1", "DELETE FROM t", True),
    ],
)
def test_a_row_that_a_query_picked_is_another_one_the_next_time(query: str, write: str, repeatable: bool) -> None:
    [touch] = writes_in(f"""{HEAD}
def tool(a):
    row = conn.execute("{query}", (a,)).fetchone()
    if row is None:
        return "nothing"
    conn.execute("{write} WHERE id = ?", (row[0],))
""")

    assert touch.repeatable is repeatable


def test_all_rows_that_a_query_gives_are_none_the_next_time() -> None:
    [touch] = writes_in(f"""{HEAD}
def tool(a):
    for row in conn.execute("SELECT id FROM t WHERE owner = ? ORDER BY id", (a,)).fetchall():
        conn.execute("DELETE FROM t WHERE id = ?", (row[0],))
""")

    assert touch.repeatable is True


API = """
import httpx, os
class Api:
    def __init__(self):
        self.root = os.environ["ROOT"]
        self.client = httpx.Client()

    def send(self, verb, path, **options):
        return self.client.request(verb, f"{self.root}/{path}", **options).json()

    def find(self, name):
        return self.send("GET", "people", params={"name": name})KEY

    def other(self, name):
        return self.send("GET", "places", params={"name": name})KEY

    def add(self, name):
        return self.send("POST", "people", json={"name": name})
"""


@pytest.mark.parametrize(
    ("key", "look_up", "repeatable"),
    [
        ('["items"]', "find", True),
        ('["people"]', "find", True),
        ("", "find", True),
        ('.get("total", 0)', "find", True),
        ('["active"]', "find", False),
        ('["items"]', "other", False),
        ('["items"]', "send", False),
    ],
)
def test_a_helper_that_asks_the_same_address_is_a_look_up(key: str, look_up: str, repeatable: bool) -> None:
    [touch] = writes_in(f"""{API.replace("KEY", key)}
def tool(name):
    api = Api()
    if api.{look_up}(name):
        return "already there"
    return api.add(name)
""")

    assert touch.repeatable is repeatable
