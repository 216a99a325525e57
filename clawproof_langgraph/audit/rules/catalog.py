"""The ten rules: what each asks for, why, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.findings import Severity

CHECK: Final = 10
"""The number of the check that these rules make up."""

TITLE: Final = "Multi-Agent Coordination"


@dataclass(frozen=True, slots=True)
class Rule:
    """A duty, and what is said of it.

    Args:
        id: such as `CP008`.
        duty: what is asked for, in one line.
        subject: what it is about, in two or three words.
        why: what happens where it is not kept.
        bad, good: an example of each.
        fix: what to do.
        severity: of a finding that says nothing else.
        remedy: completes "2 issues found: ..." for this rule.
        risk: completes "Severity: ..." for this rule.
    """

    id: str
    duty: str
    subject: str
    why: str
    bad: str
    good: str
    fix: str
    severity: Severity
    remedy: str
    risk: str


RULES: Final = (
    Rule(
        "CP001",
        "Every shared resource is mapped: which agents read it, and which write it.",
        "shared resources",
        "What no policy names, nothing coordinates: two agents write to it at the same time, and the later one "
        "overwrites the earlier one without knowing.",
        'Guard(coordinator, tools={\n    "reserve_stock": ToolPolicy(),  # names no resource\n})',
        'Guard(coordinator, tools={\n    "reserve_stock": ToolPolicy(locks=["inventory/{sku}"]),\n'
        '    "get_stock": ToolPolicy(effect="read", locks=["inventory/{sku}"]),\n})',
        "Give each tool a policy that names, in `locks`, what it touches.",
        Severity.MEDIUM,
        "map all shared resources",
        "agents write to resources that nothing coordinates",
    ),
    Rule(
        "CP002",
        "State-modifying calls go through one central coordinator, in every graph and agent, sync and async.",
        "the coordinator",
        "A model cannot do mutual exclusion by reasoning: between its question and its write, another agent writes. A "
        "call that goes around the guard, or to another store, is not kept apart from those that do not.",
        "agent = create_agent(\n    model,\n    [reserve_stock],\n"
        '    system_prompt="Before you write, check whether another agent is writing.",\n)',
        "agent = create_agent(\n    model,\n    [reserve_stock],\n    middleware=[CoordinationMiddleware(guard)],\n)",
        "Put all agents behind guards of one Coordinator, and take the coordination out of the prompts.",
        Severity.HIGH,
        "put every write behind one coordinator",
        "uncoordinated agents write at the same time",
    ),
    Rule(
        "CP003",
        "Write locks have a time to live, and the limits for waiting make sense against it.",
        "locks with TTL",
        "A lock without a TTL that its holder died with is held for ever. One whose waiters give up before it can "
        "expire makes a whole queue fail for one crash; one of many minutes makes all wait that long.",
        '"ship": ToolPolicy(locks=["order/{order_id}"], ttl="10m", wait="5s")',
        '"ship": ToolPolicy(locks=["order/{order_id}"], ttl="30s")  # wait: 1.5 times the ttl',
        "Keep the ttl short (a lease is renewed while its process lives), and let others wait for longer than that.",
        Severity.MEDIUM,
        "set sound lock times",
        "agents wait too long, or give up too early, after a crash",
    ),
    Rule(
        "CP004",
        "All locks are taken in one global order.",
        "lock order",
        "Two agents that take the same two locks in different orders wait for each other for ever. The coordinator "
        "sorts all that a call needs; a lock of another kind inside a tool is outside that order.",
        "@tool\ndef transfer(source: str, target: str) -> str:\n    with locks[source], locks[target]:\n        ...",
        '"transfer": ToolPolicy(locks=["account/{source}", "account/{target}"])  # taken in one step, sorted',
        "Name all that a call needs in the `locks` of its policy, and take no other lock in the tool.",
        Severity.MEDIUM,
        "take all locks in one order",
        "agents may wait for each other for ever",
    ),
    Rule(
        "CP005",
        "Agents follow the events of what they read, instead of polling it.",
        "event-driven sync",
        "An agent that polls sees a change late, or not at all, and costs calls while nothing happens. One that "
        "neither follows events nor has its writes checked works with what was true a while ago.",
        "@tool\ndef wait_for_stock(sku: str) -> int:\n    while not (units := read_stock(sku)):\n"
        "        time.sleep(5)\n    return units",
        '"reserve_stock": ToolPolicy(locks=["inventory/{sku}"], emits="InventoryUpdated")\n...\n'
        'coordinator.subscribe("pricing", types=["InventoryUpdated"])',
        "Let the writing policies say `emits`, and let those who read subscribe; or say `requires_read` for what they "
        "write.",
        Severity.LOW,
        "follow events instead of polling",
        "agents act on what is out of date",
    ),
    Rule(
        "CP006",
        "Alerts for suspected deadlocks are configured, and can fire.",
        "deadlock alerts",
        "A tool that hangs keeps its lease renewed, and all others wait. `deadlock.suspected` tells of a call that "
        "takes more than twice its usual time, but only where the policy says what is usual, and only to those who "
        "listen.",
        '"reserve_stock": ToolPolicy(locks=["inventory/{sku}"])  # `expected` is missing, and nobody listens',
        '[tools.reserve_stock]\nlocks = ["inventory/{sku}"]\nexpected = "2s"\n\n[alerts]\nsinks = ["log"]',
        "Say `expected` in the policies of tools that write, and give `[alerts]` sinks.",
        Severity.LOW,
        "add deadlock alerting",
        "a stuck agent goes unnoticed",
    ),
    Rule(
        "CP007",
        "A concurrency test with ten or more agents exists, and its last run passed.",
        "concurrency test",
        "What breaks under concurrent load breaks once in a week in production, and never in a unit test.",
        "def test_reserve():\n    assert reserve_stock.invoke({...}) == ...  # one agent, one call",
        'def test_the_shop_keeps_its_books(stress):\n    stress("shop.stress:scenario", n=12, processes=3, seconds=20)',
        "Write a scenario for `clawproof stress` with ten or more agents, and run it in CI.",
        Severity.LOW,
        "test with ten or more agents",
        "behaviour under concurrent load is not known",
    ),
    Rule(
        "CP008",
        "Writes are idempotent, or made at most once.",
        "idempotent writes",
        "Calls are repeated: by a retry, a resume after a crash, a model that asks again. A write that adds each time "
        "it runs leaves two rows, two payments, two mails.",
        "@tool\ndef enrich(id: str, city: str) -> str:\n"
        '    db.execute("INSERT INTO customers VALUES (?, ?)", (id, city))',
        '@tool\ndef enrich(id: str, city: str) -> str:\n    db.execute(\n        "INSERT INTO customers VALUES (?, ?)'
        ' ON CONFLICT (id) DO UPDATE SET city = excluded.city",\n        (id, city),\n    )',
        "Make the write an upsert or an absolute one, pass a key on, or declare the tool as `once` or `transactional`.",
        Severity.MEDIUM,
        "fix idempotency",
        "data corruption risk under concurrent load",
    ),
    Rule(
        "CP009",
        "Contention is measured, and nothing is hot.",
        "contention",
        "Agents that queue for one resource are as slow as one agent. It shows only in what was measured: in the event "
        "log, or in a stress run.",
        '"reserve_stock": ToolPolicy(locks=["inventory"])  # one lock for all goods',
        '"reserve_stock": ToolPolicy(locks=["inventory/{sku}"])  # one for each',
        "Measure with `clawproof stress`, or with `--url` on a log; split what is hot into smaller resources.",
        Severity.LOW,
        "relieve hot resources",
        "agents queue for one resource",
    ),
    Rule(
        "CP010",
        "Each agent can be killed by name.",
        "kill switch",
        "An agent that goes wrong must be stopped before its next write, by itself: without stopping the others.",
        "agent = create_agent(model, tools)  # no name, no guard",
        'agent = create_agent(model, tools, name="orders", middleware=[CoordinationMiddleware(guard)])\n...\n'
        'coordinator.kill("orders", reason="sells too cheap", by="ops")',
        "Give each agent a name of its own, and put its tools behind a guard.",
        Severity.MEDIUM,
        "make every agent killable",
        "an agent that goes wrong cannot be stopped by itself",
    ),
)
"""In the order of their ids."""

SHOWN: Final = tuple(f"CP{number:03}" for number in (1, 2, 3, 4, 8, 5, 6, 7, 9, 10))
"""The order in which people are told of them: what is wrong with the writes first, then what is around them."""

_BY_ID: Final = {rule.id: rule for rule in RULES}


def rule_of(id_: str) -> Rule:
    """Find a rule by its id; raises KeyError."""
    return _BY_ID[id_.upper()]
