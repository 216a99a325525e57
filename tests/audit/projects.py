"""Projects to audit: written into a folder, from texts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from textwrap import dedent
from typing import Any

from clawproof_langgraph.audit.findings import Outcome, Report, Status
from clawproof_langgraph.audit.run import audit

SAMPLE = Path(__file__).parent / "sample"
"""A shop with six agents and four resources, in which two things are wrong."""


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files into a folder, and give the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(dedent(content), "utf-8")
    return folder


def sample(folder: Path) -> Path:
    """Copy the sample project, with the report of its stress run where such a run leaves it."""
    project = folder / "shop-project"
    shutil.copytree(SAMPLE, project, ignore=shutil.ignore_patterns("__pycache__"))
    report = project / ".clawproof" / "stress" / "20260301T101500-7" / "report.json"
    report.parent.mkdir(parents=True)
    (project / "stress-report.json").rename(report)
    return project


def stressed(**other: Any) -> str:
    """Give the report of a stress run in which nothing broke and nothing was hot."""
    contention = [{"resource": "inventory/1", "calls": 90, "waited": 1.0, "longest": 0.2, "p95": 0.04, "held": 1.0}]
    said = {"ok": True, "agents": 12, "seconds": 20.2, "started": 1.0, "findings": [], "contention": contention}
    return json.dumps({"schema": "clawproof.stress/1", "target": "shop:scenario", **said, **other})


REPORT = ".clawproof/stress/1/report.json"

GOOD = {
    "langgraph.json": '{"graphs": {"shop": "./shop.py:orders"}}',
    REPORT: stressed(),
    "clawproof.toml": """
        [alerts]
        sinks = ["log"]
        """,
    "shop.py": """
        import sqlite3

        from langchain.agents import create_agent
        from langchain_core.tools import tool

        from clawproof_langgraph import Coordinator, Guard, ToolPolicy
        from clawproof_langgraph.middleware import CoordinationMiddleware


        @tool
        def get_stock(sku: str) -> int:
            \"\"\"Tell how many units there are.\"\"\"
            with sqlite3.connect("shop.db") as db:
                return db.execute("SELECT units FROM stock WHERE sku = ?", (sku,)).fetchone()[0]


        @tool
        def set_stock(sku: str, units: int) -> str:
            \"\"\"Set how many units there are.\"\"\"
            with sqlite3.connect("shop.db") as db:
                db.execute("UPDATE stock SET units = ? WHERE sku = ?", (units, sku))
            return "set"


        guard = Guard(
            Coordinator.from_url("sqlite:///coordination.db"),
            tools={
                "get_stock": ToolPolicy(effect="read", locks=["inventory/{sku}"]),
                "set_stock": ToolPolicy(
                    effect="idempotent", locks=["inventory/{sku}"], expected="1s", requires_read=True
                ),
            },
        )
        orders = create_agent("model", [get_stock, set_stock], name="orders", middleware=[CoordinationMiddleware(guard)])
        supply = create_agent("model", [get_stock, set_stock], name="supply", middleware=[CoordinationMiddleware(guard)])
        """,
}
"""A project in which nothing is wrong; the projects of each rule differ from it in one thing."""


def changed(*changes: tuple[str, str], **files: str) -> dict[str, str | bytes]:
    """Give the good project with some texts of its `shop.py` replaced."""
    text = dedent(GOOD["shop.py"])
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return {**GOOD, "shop.py": text, **files}


def audited(folder: Path, files: dict[str, Any], target: str = "") -> Report:
    """Write a project and audit it."""
    return audit(write(folder, files), target)


def outcome(report: Report, rule: str) -> Outcome:
    """Give how a rule ended."""
    return next(each for each in report.outcomes if each.rule == rule)


def failed(report: Report) -> dict[str, list[str]]:
    """Give the messages of what counts, by rule."""
    return {
        each.rule: [finding.message for finding in each.findings if not finding.waived]
        for each in report.outcomes
        if each.status is Status.FAILED
    }
