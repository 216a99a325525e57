"""Reports to render: an ordinary one, one of names that are hostile, and a large one."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from clawproof_langgraph.audit.findings import (
    Confidence,
    Finding,
    MappedResource,
    Outcome,
    Place,
    Report,
    Severity,
    Status,
    Unseen,
)
from clawproof_langgraph.audit.rules.catalog import RULES

INSERTS = Finding(
    "CP008",
    'Agent "data_enricher" writes are not idempotent: enrich_customer uses INSERT, not UPSERT',
    "Write INSERT ... ON CONFLICT (id) DO UPDATE, so that a repetition changes nothing.",
    (Place("shop/tools.py", 12, 5, 14), Place("shop/agents.py", 3)),
    tool="enrich_customer",
    agent="data_enricher",
    resource="customer/{id}",
)
BARE = Finding(
    "CP002",
    'Tool "set_price" of agent "pricing" runs without a guard',
    "Give the agent the middleware.",
    (Place("shop/agents.py", 20, 1),),
    tool="set_price",
    agent="pricing",
    severity=Severity.HIGH,
    confidence=Confidence.LIKELY,
    snippet='[tools."set_price"]\nlocks = ["price/{sku}"]',
)
SILENT = Finding(
    "CP006",
    "No alert is configured",
    "Say `expected` in the policies, and give [alerts] a sink.",
    severity=Severity.LOW,
    confidence=Confidence.POSSIBLE,
)
WAIVED = replace(INSERTS, tool="log_visit", message="log_visit appends to a file", waived="a log may have a line twice")

SHOP = (
    MappedResource("inventory/{sku}", ("orders", "restock"), ("support",), ("reserve_stock", "add_stock"), ("look",)),
    MappedResource("price/{sku}", ("pricing",), ("orders",), ("set_price",), ("get_price",), unguarded=("pricing",)),
    MappedResource("customer/{id}", ("data_enricher",), ("support",), ("enrich_customer",), ("find_customer",)),
)


def outcomes(*findings: Finding, unchecked: tuple[str, ...] = ()) -> tuple[Outcome, ...]:
    """One outcome for each rule: failed where a finding counts."""
    found = []
    for rule in RULES:
        mine = tuple(finding for finding in findings if finding.rule == rule.id)
        if rule.id in unchecked:
            found.append(Outcome(rule.id, Status.NOT_CHECKED, f"{rule.subject} - there is nothing to look at"))
        elif any(not finding.waived for finding in mine):
            found.append(Outcome(rule.id, Status.FAILED, mine[0].message, mine))
        else:
            found.append(Outcome(rule.id, Status.PASSED, f"{rule.subject} are as they should be", mine))
    return tuple(found)


def shop(root: Path) -> Report:
    """An ordinary report, with some of everything."""
    return Report(
        root,
        ".",
        outcomes(INSERTS, WAIVED, BARE, SILENT, unchecked=("CP007",)),
        SHOP,
        (Unseen("shop/broken.py", "it is no Python: invalid syntax", Place("shop/broken.py", 3, 7)),),
        files=12,
        ways=("static", "log"),
        observed=("hottest resource inventory/sku-42: 812 calls, p95 wait 40 ms",),
    )


def clean(root: Path) -> Report:
    """A report without a finding."""
    return Report(root, ".", outcomes(), SHOP[:1], files=3)


HOSTILE = (
    "<script>alert(1)</script>",
    "]]><evil/>",
    "a\x1b[31mb\x00c\x9bd",
    "x\n::error::owned",
    "y\r\n##[error]owned",
    "z%0A::error::owned",
    "| a | b |\n|---|---|",
    "```\n# head",
    "[click](javascript:alert(1)) ![i](http://evil/x.png)",
    "@everyone http://evil www.evil.com $x$",
    "'\" onload='alert(1)",
    "right\u202eleft",
    "half\ud800",
    "nothing\ufffe",
    "C:/drive:name,file=x",
)


def hostile(root: Path, name: str) -> Report:
    """A report in which each text is one that a format might take for markup."""
    finding = Finding("CP008", name, name, (Place(name, 1, 1),), name, name, name, Severity.HIGH, snippet=name)
    waived = replace(finding, waived=name)
    nowhere = replace(finding, rule="CP001", places=())
    return Report(
        root,
        name,
        tuple(replace(each, line=name) for each in outcomes(finding, waived, nowhere, unchecked=("CP007",))),
        (MappedResource(name, (name,), ("reader", name), (name,), (name,), unguarded=(name,)),),
        (Unseen(name, name, Place(name, 2, 3)), Unseen(name, name)),
        ways=("static", "log"),
        observed=(name,),
    )


def crowd(root: Path, *, agents: int = 30, resources: int = 40) -> Report:
    """A report of a large project."""
    chance = random.Random(42)
    names = [f"agent-{number:02}-of-the-back-office" for number in range(agents)]
    mapped = []
    for number in range(resources):
        writers, readers = chance.sample(names, chance.randint(1, 2)), chance.sample(names, chance.randint(0, 3))
        bare = tuple(name for name in writers if chance.random() < 0.12)
        mapped.append(
            MappedResource(
                f"department-{number % 8}/record-{number:02}/{{id}}",
                tuple(writers),
                tuple(readers),
                ("w",),
                ("r",),
                bare,
            )
        )
    return replace(shop(root), resources=tuple(mapped))
