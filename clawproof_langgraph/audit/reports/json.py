"""The report for programs: one JSON object, in ASCII."""

from __future__ import annotations

import json
from typing import Any, Final

from clawproof_langgraph.audit.baseline import fingerprints
from clawproof_langgraph.audit.findings import Finding, MappedResource, Outcome, Place, Report, Unseen
from clawproof_langgraph.audit.reports.versions import NAME, version
from clawproof_langgraph.audit.reports.wording import result
from clawproof_langgraph.audit.rules.catalog import CHECK, rule_of
from clawproof_langgraph.audit.source import SourceTree

SCHEMA: Final = 1
"""The number of this form; it grows when a field changes its meaning or goes away."""


def render(report: Report, tree: SourceTree | None = None) -> str:
    """Give the report as JSON.

    All texts are as they were found. What is not ASCII is escaped, so that the text survives every pipe, and no
    control character reaches a terminal.
    """
    prints = fingerprints(report.outcomes, report.root)
    said = {
        "schema": SCHEMA,
        "tool": {"name": NAME, "version": version()},
        "check": CHECK,
        "root": str(report.root),
        "target": report.target,
        "ways": list(report.ways),
        "files": report.files,
        "passed": not report.failed,
        "result": result(report),
        "severity": report.severity.value,
        "outcomes": [_outcome(outcome, prints) for outcome in report.outcomes],
        "resources": [_resource(resource) for resource in report.resources],
        "unseen": [_unseen(unseen) for unseen in report.unseen],
        "observed": list(report.observed),
    }
    return json.dumps(said, indent=2) + "\n"


def _outcome(outcome: Outcome, prints: dict[int, str]) -> dict[str, Any]:
    return {
        "rule": outcome.rule,
        "duty": rule_of(outcome.rule).duty,
        "status": outcome.status.value,
        "line": outcome.line,
        "findings": [_finding(finding, prints[id(finding)]) for finding in outcome.findings],
    }


def _finding(finding: Finding, fingerprint: str) -> dict[str, Any]:
    return {
        "message": finding.message,
        "fix": finding.fix,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "tool": finding.tool,
        "agent": finding.agent,
        "resource": finding.resource,
        "places": [_place(place) for place in finding.places],
        "snippet": finding.snippet,
        "waived": finding.waived,
        "fingerprint": fingerprint,
    }


def _place(place: Place) -> dict[str, Any]:
    return {"file": place.file, "line": place.line, "column": place.column, "end_line": place.end_line}


def _unseen(unseen: Unseen) -> dict[str, Any]:
    return {"what": unseen.what, "why": unseen.why, "place": _place(unseen.place) if unseen.place else None}


def _resource(resource: MappedResource) -> dict[str, Any]:
    return {
        "resource": resource.pattern,
        "writers": list(resource.writers),
        "readers": list(resource.readers),
        "writing": list(resource.writing),
        "reading": list(resource.reading),
        "unguarded": list(resource.unguarded),
    }
