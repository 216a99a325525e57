"""Each rule finds what it is about, and nothing where that is near."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clawproof_langgraph.audit.findings import Severity, Status
from tests.audit.projects import GOOD, REPORT, audited, changed, failed, outcome, stressed

POLICY = """"set_stock": ToolPolicy(
            effect="idempotent", locks=["inventory/{sku}"], expected="1s", requires_read=True
        ),"""
SET = 'db.execute("UPDATE stock SET units = ? WHERE sku = ?", (units, sku))'
ORDERS = (
    'orders = create_agent("model", [get_stock, set_stock], name="orders", middleware=[CoordinationMiddleware(guard)])'
)


def policy(**said: Any) -> str:
    fields = {"effect": "idempotent", "locks": ["inventory/{sku}"], "expected": "1s", "requires_read": True, **said}
    return f'"set_stock": ToolPolicy({", ".join(f"{name}={value!r}" for name, value in fields.items())}),'


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    report = audited(tmp_path, GOOD)

    assert failed(report) == {}
    assert [each.status for each in report.outcomes] == [Status.PASSED] * 10
    assert report.severity is Severity.NONE


UNMAPPED = ('            "get_stock": ToolPolicy(effect="read", locks=["inventory/{sku}"]),', "")

WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "a tool of a guarded agent has no policy": (
        "CP001",
        changed(('        "get_stock": ToolPolicy(effect="read", locks=["inventory/{sku}"]),\n', "")),
        'Tool "get_stock" of agent "orders" has no policy: its guard refuses it',
    ),
    "a policy names no resource": (
        "CP001",
        changed((POLICY, '"set_stock": ToolPolicy(effect="idempotent"),')),
        'The policy of "set_stock" names no resource, though the tool does UPDATE stock',
    ),
    "a prompt asks for coordination": (
        "CP002",
        changed((ORDERS, ORDERS[:-1] + ', system_prompt="Before you write, check that no other agent is writing.")')),
        'The prompt of agent "orders" asks the model to coordinate: "check that no other agent is writing"',
    ),
    "two stores": (
        "CP002",
        changed(
            ("guard = Guard(", 'other = Guard(Coordinator.from_url("sqlite:///other.db"), tools={})\nguard = Guard(')
        ),
        "Agents are coordinated in 2 stores that know nothing of each other",
    ),
    "one hook": (
        "CP002",
        changed(
            (
                ORDERS,
                "from langgraph.prebuilt import ToolNode\n\n"
                "orders = ToolNode([get_stock, set_stock], awrap_tool_call=guard.awrap_tool_call)\n"
                "builder.add_node('orders', orders)",
            )
        ),
        'The ToolNode of agent "orders" has the async hook of its guard only: invoke() goes around the guard',
    ),
    "agents that message each other": (
        "CP002",
        changed(
            (
                "guard = Guard(",
                '@tool\ndef ask_other_agent(name: str, question: str) -> str:\n    """Ask."""\n    return inbox[name](question)\n\n\nguard = Guard(',
            ),
            ("tools={", 'tools={\n        "ask_other_agent": ToolPolicy(effect="read"),'),
            ('[get_stock, set_stock], name="orders"', '[get_stock, set_stock, ask_other_agent], name="orders"'),
        ),
        'Agent "orders" talks to other agents directly, with "ask_other_agent"',
    ),
    "a wait below the ttl": (
        "CP003",
        changed((POLICY, policy(ttl="30s", wait="5s"))),
        'The wait of "set_stock" is 5s, less than its ttl of 30s',
    ),
    "a ttl of many minutes": (
        "CP003",
        changed((POLICY, policy(ttl="10m"))),
        'The ttl of "set_stock" is 10m: after a crash all others wait for that long',
    ),
    "a ttl that a busy machine misses": (
        "CP003",
        changed((POLICY, policy(ttl="200ms"))),
        'The ttl of "set_stock" is 200ms: a busy machine may renew it too late',
    ),
    "a wait below what a call takes": (
        "CP003",
        changed((POLICY, policy(ttl="5s", wait="8s", expected="20s"))),
        "less than the 20s that it usually takes",
    ),
    "a lock of another kind": (
        "CP004",
        changed(
            ("guard = Guard(", "import threading\n\nlocks = threading.Lock()\n\nguard = Guard("),
            (SET, f"with locks:\n            {SET}"),
        ),
        'Tool "set_stock" takes a lock outside the global order: locks',
    ),
    "polling": (
        "CP005",
        changed(
            (
                '    with sqlite3.connect("shop.db") as db:\n        return db.execute("SELECT units FROM stock WHERE sku = ?", (sku,)).fetchone()[0]',
                '    import time\n\n    with sqlite3.connect("shop.db") as db:\n'
                '        while not (row := db.execute("SELECT units FROM stock WHERE sku = ?", (sku,)).fetchone()):\n'
                "            time.sleep(5)\n    return row[0]",
            )
        ),
        'Tool "get_stock" polls',
    ),
    "a write that is not checked": (
        "CP005",
        changed((POLICY, policy(requires_read=False))),
        'and does not hear of what "supply" writes meanwhile',
    ),
    "an event that nothing emits": (
        "CP005",
        changed(
            (POLICY, policy(emits="StockChanged")),
            (
                "guard = Guard(",
                'coordinator = Coordinator.from_url("sqlite:///coordination.db")\n'
                'coordinator.subscribe("view", types=["StockChange"])\nguard = Guard(',
            ),
        ),
        '"StockChange" is followed, and nothing emits it',
    ),
    "no sink": (
        "CP006",
        {**GOOD, "clawproof.toml": ""},
        "No deadlock detection alerting configured — locks can expire but no alert fires",
    ),
    "no usual duration": (
        "CP006",
        changed((POLICY, policy(expected=None))),
        'Deadlock alerts cannot fire for "set_stock"',
    ),
    "no concurrency test": (
        "CP007",
        {name: text for name, text in GOOD.items() if name != REPORT},
        "No concurrency test with ten or more agents was found",
    ),
    "a concurrency test that broke": (
        "CP007",
        {
            **GOOD,
            REPORT: stressed(ok=False, findings=[{"kind": "invariant", "text": "2 units sold twice", "calls": []}]),
        },
        "The last concurrency test broke: 2 units sold twice",
    ),
    "a concurrency test of few agents": (
        "CP007",
        {**GOOD, REPORT: stressed(agents=4)},
        "The last concurrency test had 4 agents only, not 10 or more",
    ),
    "an INSERT that may run again": (
        "CP008",
        changed((SET, 'db.execute("INSERT INTO stock VALUES (?, ?)", (sku, units))')),
        'Agent "orders" writes are not idempotent — uses INSERT, not UPSERT',
    ),
    "a read that writes": (
        "CP008",
        changed(
            (
                'return db.execute("SELECT units FROM stock WHERE sku = ?", (sku,)).fetchone()[0]',
                'db.execute("UPDATE stock SET seen = 1 WHERE sku = ?", (sku,))',
            )
        ),
        'Tool "get_stock" is declared effect="read", but does UPDATE stock',
    ),
    "a retry in a tool that is made at most once": (
        "CP008",
        changed(
            (POLICY, policy(effect="once")),
            (SET, 'db.execute("INSERT INTO stock VALUES (?, ?)", (sku, units))'),
            ("@tool\ndef set_stock", "@tool\n@retry(stop=stop_after_attempt(3))\ndef set_stock"),
            ("import sqlite3", "import sqlite3\n\nfrom tenacity import retry, stop_after_attempt"),
        ),
        "and tenacity inside the tool repeats it",
    ),
    "a retry around a tool that is made at most once": (
        "CP008",
        changed(
            (POLICY, policy(effect="once")),
            (ORDERS, ORDERS.replace("middleware=[", "middleware=[ToolRetryMiddleware(), ")),
            ("from langchain_core", "from langchain.agents.middleware import ToolRetryMiddleware\nfrom langchain_core"),
        ),
        'A retry is around "set_stock" of agent "orders", which is made at most once',
    ),
    "a key that is another one each time": (
        "CP008",
        changed(
            (POLICY, policy().replace("),", ", key=lambda args: f'{args[\"sku\"]}-{uuid.uuid4()}'),")),
            ("import sqlite3", "import sqlite3\nimport uuid"),
        ),
        'The key of "set_stock" is another one each time: it holds uuid.uuid4()',
    ),
    "a hot resource": (
        "CP009",
        {
            **GOOD,
            REPORT: stressed(
                contention=[
                    {"resource": "inventory/1", "calls": 50, "waited": 90, "longest": 4.0, "p95": 2.5, "held": 9}
                ]
            ),
        },
        'Resource "inventory/1" is hot: p95 wait 2.5 s over 50 calls',
    ),
    "an agent without a name": (
        "CP010",
        changed((' name="supply",', "")),
        'Agent "supply" has no name, and so cannot be killed by itself',
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_rule_finds_what_is_wrong_and_no_other_rule_does(tmp_path: Path, case: str) -> None:
    rule, files, message = WRONG[case]

    found = failed(audited(tmp_path, files))

    assert list(found) == [rule], found
    assert any(message in each for each in found[rule]), found


def test_writes_without_a_guard_break_all_that_a_guard_gives(tmp_path: Path) -> None:
    bare = changed((", middleware=[CoordinationMiddleware(guard)]", ""))

    report = audited(tmp_path, bare)

    assert set(failed(report)) == {"CP001", "CP002", "CP010"}
    assert report.severity is Severity.HIGH
    assert 'Tool "set_stock" of agent "orders" does UPDATE stock, and has no guard around it' in failed(report)["CP002"]
    assert outcome(report, "CP010").line.startswith("2 agents cannot be killed by themselves")


def test_a_write_that_a_guard_lets_through_is_beyond_the_kill_switch(tmp_path: Path) -> None:
    url = 'Coordinator.from_url("sqlite:///coordination.db"),'
    let_through = changed((url, f'{url} unmapped="allow",'), ('"set_stock": ToolPolicy(', '"put_stock": ToolPolicy('))

    found = failed(audited(tmp_path, let_through))

    assert any('"orders" cannot be killed: it writes with "set_stock"' in each for each in found["CP010"]), found


def test_a_project_without_any_guard_breaks_all_but_what_it_cannot_have(tmp_path: Path) -> None:
    shop = """
        import sqlite3

        from langchain_core.tools import tool
        from langgraph.prebuilt import create_react_agent
        from langgraph_supervisor import create_supervisor


        @tool
        def sell(sku: str) -> str:
            '''Sell.'''
            sqlite3.connect("shop.db").execute("UPDATE stock SET units = units - 1 WHERE sku = ?", (sku,))
            return "sold"


        @tool
        def create_summary(text: str) -> str:
            '''Summarise.'''
            return model.invoke(text).content


        clerk = create_react_agent(model, [sell, create_summary], name="clerk")
        team = create_supervisor([clerk], model=model)
        """

    report = audited(tmp_path, {"shop.py": shop})

    assert set(failed(report)) == {"CP001", "CP002", "CP003", "CP004", "CP006", "CP007", "CP008", "CP010"}
    assert [each.rule for each in report.outcomes if each.status is Status.PASSED] == []
    assert outcome(report, "CP003").line == "No lock with a TTL: 1 writing tool without any guard"


def test_lines_for_a_policy_in_the_file_go_where_it_is(tmp_path: Path) -> None:
    terms = """
        [tools."*_stock"]
        effect = "idempotent"
        locks = ["inventory/{sku}"]

        [tools.get_stock]
        effect = "read"
        locks = ["inventory/{sku}"]
        """
    shop = changed().get("shop.py", "")
    start, end = shop.index("guard = Guard("), shop.index("orders = create_agent")
    from_file = f"{shop[:start]}guard = Guard.from_file()\n{shop[end:]}"

    report = audited(tmp_path, {**GOOD, "clawproof.toml": terms + GOOD["clawproof.toml"], "shop.py": from_file})

    snippets = {found.rule: found.snippet for each in report.outcomes for found in each.findings}
    assert snippets["CP005"] == '# in the table at clawproof.toml:2:8\nrequires_read = true\nemits = "InventoryUpdated"'
    assert snippets["CP006"] == '# in the table at clawproof.toml:2:8\nexpected = "2s"'


def test_an_agent_of_a_stress_run_is_none_of_the_project(tmp_path: Path) -> None:
    stress = """
        from clawproof_langgraph.testing import Scenario
        from langchain.agents import create_agent

        from shop import CoordinationMiddleware, get_stock, guard, set_stock


        def make_agent(seat):
            return create_agent("model", [get_stock, set_stock], name="seat", middleware=[CoordinationMiddleware(guard)])


        def scenario():
            return Scenario(make_agent=make_agent)


        def make_other():
            return create_agent("model", [get_stock], name="other", middleware=[CoordinationMiddleware(guard)])
        """

    report = audited(tmp_path, {**GOOD, "stress.py": stress})

    assert {name for each in report.resources for name in each.readers} == {"orders", "other", "supply"}
    assert failed(report) == {}


def test_a_file_that_no_guard_reads_coordinates_nothing(tmp_path: Path) -> None:
    shop = """
        from langchain.agents import create_agent
        from langchain_core.tools import tool


        @tool
        def write_journal(line: str) -> str:
            '''Write a line.'''
            with open("journal.txt", "a") as journal:
                journal.write(line)
            return "written"


        clerk = create_agent("model", [write_journal], name="clerk")
        """
    terms = """
        [tools.write_journal]
        locks = ["journal"]
        ttl = "30s"
        expected = "1s"

        [alerts]
        sinks = ["log"]
        """

    report = audited(tmp_path, {"shop.py": shop, "clawproof.toml": terms})

    found = failed(report)
    assert found["CP001"] == [
        'Tool "write_journal" of agent "clerk" appends to journal.txt, and no guard around it reads the policy that it '
        "has at clawproof.toml:2:8"
    ]
    assert found["CP003"] == ["No lock with a TTL: 1 writing tool without any guard"]
    assert found["CP004"] == ["No lock order: 1 writing tool without any guard"]
    assert found["CP006"] == ["Deadlock alerts cannot fire: 1 writing tool without any guard"]


NEAR: dict[str, dict[str, Any]] = {
    "a prompt that speaks of other agents": changed(
        (
            ORDERS,
            ORDERS[:-1]
            + ', system_prompt="Hand over to another agent when the customer is angry. Never ask twice for a name.")',
        )
    ),
    "a once tool that inserts": changed(
        (POLICY, policy(effect="once")), (SET, 'db.execute("INSERT INTO stock VALUES (?, ?)", (sku, units))')
    ),
    "an insert inside the inbox": changed(
        (POLICY, policy(effect="transactional")),
        (SET, 'sql.once(db, current_call(), lambda db: db.execute("INSERT INTO stock VALUES (?, ?)", (sku, units)))'),
        (
            "from clawproof_langgraph import",
            "from clawproof_langgraph.effects import sql\nfrom clawproof_langgraph import current_call,",
        ),
    ),
    "a wait that never waits": changed((POLICY, policy(wait="0s"))),
    "the same store made twice": changed(
        ("guard = Guard(", 'other = Guard(Coordinator.from_url("sqlite:///coordination.db"), tools={})\nguard = Guard(')
    ),
    "an upsert declared idempotent": changed(
        (
            SET,
            'db.execute("INSERT INTO stock VALUES (?, ?) ON CONFLICT (sku) DO UPDATE SET units = excluded.units", (sku, units))',
        )
    ),
    "a loop with a pause that reads nothing": changed(
        (
            '    with sqlite3.connect("shop.db") as db:\n        db.execute("UPDATE',
            '    import time\n\n    for _ in range(3):\n        time.sleep(0.1)\n    with sqlite3.connect("shop.db") as db:\n        db.execute("UPDATE',
        )
    ),
    "both hooks": changed(
        (
            ORDERS,
            "from langgraph.prebuilt import ToolNode\n\norders = ToolNode(\n    [get_stock, set_stock], "
            "wrap_tool_call=guard.wrap_tool_call, awrap_tool_call=guard.awrap_tool_call\n)\nbuilder.add_node('orders', orders)",
        )
    ),
    "alerts that code listens for": {
        **changed(
            (
                "guard = Guard(",
                'coordinator = Coordinator.from_url("sqlite:///coordination.db")\n'
                'coordinator.subscribe("pager", types=["deadlock.suspected"])\nguard = Guard(',
            )
        ),
        "clawproof.toml": "",
    },
    "what is usual is said of the resource": {
        **changed(
            (POLICY, policy(expected=None)), ("tools={", 'resources={"inventory/*": {"expected": "2s"}},\n    tools={')
        ),
    },
    "a file of tests with careless tools": {
        **GOOD,
        "tests/test_shop.py": "from langchain_core.tools import tool\nimport sqlite3\n\n@tool\ndef pay(i: int) -> str:\n"
        "    'Pay.'\n    sqlite3.connect('x').execute('INSERT INTO p VALUES (1)')\n    return ''\n",
    },
    "an interval without polling that follows events": changed(
        (POLICY, policy(requires_read=False, emits="StockChanged")),
        (
            "guard = Guard(",
            'coordinator = Coordinator.from_url("sqlite:///coordination.db")\n'
            'coordinator.subscribe("view", types=["StockChanged"])\nguard = Guard(',
        ),
    ),
}


@pytest.mark.parametrize("case", NEAR)
def test_what_is_near_is_not_found(tmp_path: Path, case: str) -> None:
    assert failed(audited(tmp_path, NEAR[case])) == {}


def test_a_failed_rule_says_its_gravest_finding_and_how_many_more_there_are(tmp_path: Path) -> None:
    files = changed((POLICY, policy(ttl="10m", wait="5s")))

    line = outcome(audited(tmp_path, files), "CP003").line

    assert line == 'The ttl of "set_stock" is 10m: after a crash all others wait for that long (and 1 more)'


def test_a_stress_test_that_has_not_run_is_no_pass(tmp_path: Path) -> None:
    files = {name: text for name, text in GOOD.items() if name != REPORT}
    files["tests/test_load.py"] = "def test_load(stress):\n    stress('shop:scenario', n=12)\n"

    found = outcome(audited(tmp_path, files), "CP007")

    assert found.status is Status.NOT_CHECKED
    assert found.line == "concurrency test — the test at tests/test_load.py:2:5 has left no report: run it first"


def test_a_stress_test_of_few_agents_is_too_small(tmp_path: Path) -> None:
    files = {name: text for name, text in GOOD.items() if name != REPORT}
    files[".github/workflows/ci.yml"] = "steps:\n  - run: clawproof stress shop:scenario --agents 4\n"

    found = outcome(audited(tmp_path, files), "CP007")

    assert found.status is Status.FAILED
    assert found.line == "The concurrency test plays 4 agents only, not 10 or more"


def test_contention_that_was_not_measured_is_no_pass(tmp_path: Path) -> None:
    files = {name: text for name, text in GOOD.items() if name != REPORT}

    assert outcome(audited(tmp_path, files), "CP009").status is Status.NOT_CHECKED


def test_what_is_hot_is_said_in_the_configuration(tmp_path: Path) -> None:
    files = {**GOOD, "clawproof.toml": '[alerts]\nsinks = ["log"]\n[audit]\nhot_wait = "20ms"\n'}

    assert list(failed(audited(tmp_path, files))) == ["CP009"]


def test_waiting_for_a_process_that_a_stress_run_stopped_is_not_heat(tmp_path: Path) -> None:
    hot = [{"resource": "inventory/1", "calls": 50, "waited": 90, "longest": 4.0, "p95": 2.5, "held": 9}]
    paused = {**GOOD, REPORT: stressed(contention=hot, pauses=[{"seconds": 2.0}])}
    hotter = {**GOOD, REPORT: stressed(contention=hot, pauses=[{"seconds": 1.0}])}

    assert failed(audited(tmp_path / "paused", paused)) == {}
    assert list(failed(audited(tmp_path / "hotter", hotter))) == ["CP009"]


def test_the_latest_report_counts(tmp_path: Path) -> None:
    files = {**GOOD, ".clawproof/stress/2/report.json": stressed(started=2.0, ok=False)}

    assert list(failed(audited(tmp_path, files))) == ["CP007"]
    assert json.loads((tmp_path / REPORT).read_text())["ok"]
