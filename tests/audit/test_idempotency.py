"""What a write is worth under each policy: the table of docs/audit.md, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawproof_langgraph.audit.findings import Severity, Status
from tests.audit.projects import audited, changed, outcome

SET = 'db.execute("UPDATE stock SET units = ? WHERE sku = ?", (units, sku))'
POLICY = """"set_stock": ToolPolicy(
            effect="idempotent", locks=["inventory/{sku}"], expected="1s", requires_read=True
        ),"""
MIDDLEWARE = ", middleware=[CoordinationMiddleware(guard)]"

INSERT = 'db.execute("INSERT INTO stock VALUES (?, ?)", (sku, units))'
UPSERT = (
    'db.execute("INSERT INTO stock VALUES (?, ?) ON CONFLICT (sku) DO UPDATE SET units = excluded.units", (sku, units))'
)
CALL = 'boto3.client("lambda").invoke(FunctionName="set_stock", Payload=sku)'
UNKNOWN = "db.execute(statements[sku], (units,))"
IN_ONCE = 'sql.once(db, current_call(), lambda db: db.execute("INSERT INTO stock VALUES (?, ?)", (sku, units)))'
POST = 'httpx.post("https://bank.example/pay", json={"sku": sku, "units": units})'
POST_WITH_KEY = (
    'httpx.post("https://bank.example/pay", json={}, headers={"Idempotency-Key": current_call().idempotency_key})'
)

PASSED, FAILED, NOT_CHECKED = Status.PASSED, Status.FAILED, Status.NOT_CHECKED

TABLE = [
    # effect, write, outcome
    ("none", INSERT, FAILED),
    ("none", UPSERT, PASSED),
    ("none", POST, FAILED),
    ("once", INSERT, PASSED),
    ("once", POST, PASSED),
    ("once", UPSERT, PASSED),
    ("once", UNKNOWN, PASSED),
    ("idempotent", INSERT, FAILED),
    ("idempotent", UPSERT, PASSED),
    ("idempotent", POST, FAILED),
    ("idempotent", CALL, NOT_CHECKED),
    ("once", CALL, PASSED),
    ("none", CALL, NOT_CHECKED),
    ("keyed", POST, FAILED),
    ("keyed", POST_WITH_KEY, PASSED),
    ("keyed", INSERT, FAILED),
    ("transactional", INSERT, FAILED),
    ("transactional", IN_ONCE, PASSED),
    ("transactional", POST, FAILED),
    ("delegate", INSERT, FAILED),
    ("delegate", UPSERT, PASSED),
    ("read", INSERT, FAILED),
    ("read", UPSERT, FAILED),
]


def project(effect: str, write: str) -> dict[str, str | bytes]:
    said = "" if effect in ("read", "none") else ", requires_read=True"
    policy = f'"set_stock": ToolPolicy(effect="{effect}", locks=["inventory/{{sku}}"], expected="1s"{said}),'
    changes = [
        (SET, write),
        ("import sqlite3", "import sqlite3\n\nimport boto3\nimport httpx"),
        (
            "from clawproof_langgraph import",
            "from clawproof_langgraph.effects import sql\nfrom clawproof_langgraph import current_call,",
        ),
    ]
    changes += [(MIDDLEWARE, "")] if effect == "none" else [(POLICY, policy)]
    return changed(*changes)


@pytest.mark.parametrize(("effect", "write", "expected"), TABLE)
def test_a_write_is_judged_by_its_policy(tmp_path: Path, effect: str, write: str, expected: Status) -> None:
    found = outcome(audited(tmp_path, project(effect, write)), "CP008")

    assert found.status is expected, found
    if expected is FAILED and effect != "read":
        assert "writes are not idempotent — " in found.findings[0].message


def test_a_write_that_may_run_again_in_doubt_is_not_made_at_most_once(tmp_path: Path) -> None:
    files = changed((SET, INSERT), (POLICY, POLICY.replace('effect="idempotent"', 'on_in_doubt="rerun"')))

    assert outcome(audited(tmp_path, files), "CP008").status is FAILED


def test_a_retry_around_a_bare_write_is_worse(tmp_path: Path) -> None:
    retried = ("@tool\ndef set_stock", "@tool\n@retry(stop=stop_after_attempt(3))\ndef set_stock")
    files = changed(
        (SET, INSERT),
        (MIDDLEWARE, ""),
        retried,
        ("import sqlite3", "import sqlite3\n\nfrom tenacity import retry, stop_after_attempt"),
    )

    (found, *_) = outcome(audited(tmp_path, files), "CP008").findings

    assert found.severity is Severity.HIGH


def test_the_finding_names_the_line_and_the_policy(tmp_path: Path) -> None:
    (found,) = outcome(audited(tmp_path, project("idempotent", INSERT)), "CP008").findings

    lines = (tmp_path / "shop.py").read_text().splitlines()
    assert "INSERT INTO stock" in lines[found.places[0].line - 1]
    assert 'effect="idempotent"' in lines[found.places[1].line - 1]
    assert found.snippet == '"set_stock": ToolPolicy(locks=["inventory/{sku}"], effect="once"),'
