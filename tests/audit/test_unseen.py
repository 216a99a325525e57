"""What was not seen is not passed, and what only seems to be a write is not found."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from clawproof_langgraph.audit.findings import Report, Status
from tests.audit.projects import audited, changed, failed, outcome

HOOKED = "middleware=[CoordinationMiddleware(guard)])"
ADDING = """
@tool
def add_order(sku: str) -> str:
    'Add.'
    with sqlite3.connect("shop.db") as db:
        db.execute("UPDATE orders SET sku = ? WHERE id = 1", (sku,))
    return "added"
"""
ADDED = ("tools={", 'tools={"add_order": ToolPolicy(effect="idempotent", locks=["o/{sku}"], expected="1s"),')
NODE = """
from functools import partial
from langgraph.graph import StateGraph
def restock(state, shop=None):
    with sqlite3.connect("shop.db") as db:
        db.execute("UPDATE stock SET units = 1")
class Restock:
    def __call__(self, state):
        return restock(state)
def made(shop):
    def restock_it(state):
        return restock(state, shop)
    return restock_it
builder = StateGraph(dict)
"""


def more(code: str, *changes: tuple[str, str]) -> dict[str, Any]:
    """Give the good project, with some code at its end."""
    project = changed(*changes)
    return {**project, "shop.py": f"{project['shop.py']!s}\n{code}"}


def statuses(report: Report, *rules: str) -> dict[str, Status]:
    return {rule: outcome(report, rule).status for rule in rules}


BARE: dict[str, dict[str, Any]] = {
    "middleware in one branch": changed(
        (HOOKED, "middleware=hooks)"),
        ("orders = ", "if DEBUG:\n    hooks = []\nelse:\n    hooks = [CoordinationMiddleware(guard)]\norders = "),
    ),
    "middleware that is added in a branch": changed(
        (HOOKED, "middleware=hooks)"),
        ("orders = ", "hooks = []\nif DEBUG:\n    hooks.append(CoordinationMiddleware(guard))\norders = "),
    ),
    "tools that are wrapped in a branch": changed(
        ("[get_stock, set_stock]", "tools"),
        (", " + HOOKED, ")"),
        ("orders = ", "tools = [get_stock, set_stock]\nif DEBUG:\n    tools = guard.wrap_tools(tools)\norders = "),
    ),
    "tools of one branch": changed(
        ('[get_stock, set_stock], name="orders", ' + HOOKED, 'tools, name="orders")'),
        ("orders = ", "if DEBUG:\n    tools = [set_stock]\nelse:\n    tools = []\norders = "),
    ),
    "a list to which a function adds": more(
        "TOOLS = []\ndef register(each):\n    TOOLS.append(each)\nregister(set_stock)\n"
        'third = create_agent("model", TOOLS, name="third")'
    ),
    "a node by partial()": more(NODE + 'builder.add_node("n", partial(restock, shop=1))'),
    "a node by a lambda": more(NODE + 'builder.add_node("n", lambda state: restock(state))'),
    "a node that is an object": more(NODE + 'builder.add_node("n", Restock())'),
    "a node that a function makes": more(NODE + 'builder.add_node("n", made(1))'),
    "nodes in a row": more(NODE + 'builder.add_sequence([("n", restock)])'),
    "a task of the functional API": more(
        'from langgraph.func import task\n@task\ndef put(sku):\n    sqlite3.connect("x").execute("DELETE FROM stock")'
    ),
}


@pytest.mark.parametrize("case", BARE)
def test_a_way_around_the_guard_is_found(tmp_path: Path, case: str) -> None:
    report = audited(tmp_path, BARE[case])

    assert any("no guard around it" in message for message in failed(report)["CP002"])


UNSEEN: dict[str, dict[str, Any]] = {
    "a tool that code calls by itself": more(ADDING, ADDED),
    "tools that only a model is told of": more("tools = client.get_tools()\nmodel = chat().bind_tools(tools)\n"),
    "a node from elsewhere": more(
        'from langgraph.graph import StateGraph\nfrom elsewhere import work\nStateGraph(dict).add_node("work", work)'
    ),
}


@pytest.mark.parametrize("case", UNSEEN)
def test_what_nobody_sees_run_is_not_passed(tmp_path: Path, case: str) -> None:
    report = audited(tmp_path, UNSEEN[case])

    assert statuses(report, "CP002", "CP010") == dict.fromkeys(("CP002", "CP010"), Status.NOT_CHECKED)


def test_a_tool_that_is_wrapped_by_itself_needs_no_agent(tmp_path: Path) -> None:
    report = audited(tmp_path, more(f"{ADDING}\nguard.wrap_tool(add_order).invoke({{'sku': '1'}})", ADDED))

    assert statuses(report, "CP002", "CP010") == dict.fromkeys(("CP002", "CP010"), Status.PASSED)


def test_middleware_that_is_added_to_a_list_counts(tmp_path: Path) -> None:
    hooks = "hooks = []\nhooks.append(CoordinationMiddleware(guard))\norders = "

    report = audited(tmp_path, changed((HOOKED, "middleware=hooks)"), ("orders = ", hooks)))

    assert failed(report) == {}


def test_where_no_agent_is_seen_resources_are_not_mapped(tmp_path: Path) -> None:
    tool = 'from langchain_core.tools import tool\n@tool\ndef look(sku: str) -> str:\n    "Look."\n    return sku\n'

    report = audited(tmp_path, {"shop.py": tool})

    assert statuses(report, "CP001", "CP002") == dict.fromkeys(("CP001", "CP002"), Status.NOT_CHECKED)


def test_a_guard_that_may_let_tools_through_is_no_pass(tmp_path: Path) -> None:
    unmapped = ("tools={\n", "unmapped=os.environ['UNMAPPED'], tools={\n")
    without = ('        "get_stock": ToolPolicy(effect="read", locks=["inventory/{sku}"]),\n', "")

    report = audited(tmp_path, changed(unmapped, without))

    assert statuses(report, "CP002") == {"CP002": Status.NOT_CHECKED}


FILE = 'url = "sqlite:///coordination.db"\n[tools.set_stock]\nlocks = ["inventory/{sku}"]\nexpected = "1s"\n'


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ('unmapped="allow"', 'Tool "drop_stock" of agent "third" does DELETE FROM stock, and has a guard that lets it'),
        ('url="sqlite:///other.db"', "Agents are coordinated in 2 stores that know nothing of each other"),
    ],
)
def test_what_python_says_counts_before_the_file(tmp_path: Path, given: str, message: str) -> None:
    code = (
        "@tool\ndef drop_stock(sku: str) -> str:\n    'Drop.'\n"
        "    sqlite3.connect('x').execute('DELETE FROM stock')\n    return ''\n"
        f'third = create_agent("m", [drop_stock], name="third", middleware=[CoordinationMiddleware.from_file({given})])'
    )

    report = audited(tmp_path, {**more(code), "clawproof.toml": FILE})

    assert any(message in each for each in failed(report)["CP002"]), failed(report)


def test_a_store_of_the_file_is_compared_with_that_of_the_code(tmp_path: Path) -> None:
    code = 'third = create_agent("m", [set_stock], name="third", middleware=[CoordinationMiddleware.from_file()])'

    same = audited(tmp_path / "same", {**more(code), "clawproof.toml": FILE})
    other = audited(tmp_path / "other", {**more(code), "clawproof.toml": FILE.replace("coordination.db", "x.db")})

    unsaid = audited(
        tmp_path / "unsaid",
        {**more(code, ('from_url("sqlite:///coordination.db")', "from_url()")), "clawproof.toml": FILE},
    )

    assert "CP002" not in {**failed(same), **failed(unsaid)}
    assert any("2 stores" in each for each in failed(other)["CP002"])


def test_a_list_that_grows_in_many_branches_is_looked_at_in_time(tmp_path: Path) -> None:
    branches = "".join(f"if FLAG[{number}]:\n    tools = tools + [get_stock]\n" for number in range(18))
    code = f'tools = [set_stock]\n{branches}third = create_agent("m", tools, name="third")'

    began = time.process_time()
    report = audited(tmp_path, more(code))

    assert time.process_time() - began < 5
    assert statuses(report, "CP002")["CP002"] is not Status.PASSED


def test_a_policy_names_what_its_tool_has(tmp_path: Path) -> None:
    report = audited(
        tmp_path,
        changed(
            (
                '"get_stock": ToolPolicy(effect="read", locks=["inventory/{sku}"])',
                '"get_stock": ToolPolicy(effect="read", locks=["inventory/{item.id}"])',
            )
        ),
    )

    message = 'The policy of "get_stock" names "item", which is no argument of the tool: its guard refuses the tool'
    assert list(failed(report)["CP001"]) == [message, message]


HELPERS = {
    "a client that is made once": "_client = None\ndef get():\n    global _client\n    if _client is None:\n"
    "        _client = 1\n    return _client\n",
    "a cache by key": "HANDLES = {}\ndef get():\n    if 'a' not in HANDLES:\n        HANDLES['a'] = 1\n"
    "    return HANDLES['a']\n",
    "a cache that is asked first": "HANDLES = {}\ndef get():\n    found = HANDLES.get('a')\n    if found is None:\n"
    "        found = HANDLES['a'] = open('x')\n    return found\n",
    "what a module keeps for itself": "_path = ''\ndef get():\n    global _path\n    _path = 'x'\n    return _path\n",
    "a cache that forgets": "_kept = {}\ndef get():\n    _kept.popitem()\n    return 1\n",
}


@pytest.mark.parametrize("case", HELPERS)
def test_a_cache_of_a_helper_is_no_write(tmp_path: Path, case: str) -> None:
    code = "from helpers import get\n@tool\ndef tell(sku: str) -> str:\n    'Tell.'\n    return str(get())\n"
    agent = 'third = create_agent("m", [tell], name="third")'

    report = audited(tmp_path, {**more(code + agent), "helpers.py": HELPERS[case]})

    assert failed(report) == {}


def test_a_lock_that_is_only_tried_keeps_nobody_waiting(tmp_path: Path) -> None:
    made = ("import sqlite3\n", "import sqlite3\nimport threading\nSLOT = threading.Lock()\n")
    tried = ('    """Set how many units there are."""\n', '    """Set."""\n    SLOT.acquire(blocking=False)\n')

    assert failed(audited(tmp_path / "tried", changed(made, tried))) == {}
    waited = (tried[0], tried[1].replace("blocking=False", ""))
    assert "CP004" in failed(audited(tmp_path / "waited", changed(made, waited)))
