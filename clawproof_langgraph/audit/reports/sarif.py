"""The report as SARIF 2.1.0, for code scanning and editors."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from clawproof_langgraph.audit.baseline import KNOWN, fingerprints
from clawproof_langgraph.audit.findings import Confidence, Finding, Outcome, Place, Report, Severity, Status, Unseen
from clawproof_langgraph.audit.reports.markdown import escaped, fenced, language
from clawproof_langgraph.audit.reports.plain import plain, plain_lines
from clawproof_langgraph.audit.reports.versions import NAME, PACKAGE, version
from clawproof_langgraph.audit.reports.wording import said
from clawproof_langgraph.audit.rules.catalog import CHECK, RULES, Rule
from clawproof_langgraph.audit.source import SourceTree

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT: Final = "%SRCROOT%"
_LEVELS: Final = {
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.NONE: "none",
}
_RANKS: Final = {Confidence.CERTAIN: 90.0, Confidence.LIKELY: 60.0, Confidence.POSSIBLE: 30.0}
_INDEX: Final = {rule.id: number for number, rule in enumerate(RULES)}
_PLACEHOLDER: Final = re.compile(r"\{\d+\}")
_NOWHERE: Final = Place("clawproof.toml", 1)
"""Where a finding without a place is shown, since code scanning drops what has none: its remedy goes there."""


def render(report: Report, tree: SourceTree | None = None) -> str:
    """Give the report as SARIF: the findings, those that are waived as suppressed, and what could not be looked at."""
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(report)]}
    return json.dumps(log, indent=2) + "\n"


def _run(report: Report) -> dict[str, Any]:
    return {
        "tool": {"driver": _driver()},
        "automationDetails": {"id": f"{NAME}/check-{CHECK}/"},
        "invocations": [_invocation(report)],
        "originalUriBaseIds": {_ROOT: {"uri": _folder(report.root)}},
        "columnKind": "unicodeCodePoints",
        "results": list(_results(report)),
        "properties": {
            "target": plain(report.target),
            "ways": list(report.ways),
            "outcomes": {outcome.rule: plain(f"{outcome.status}: {outcome.line}") for outcome in report.outcomes},
        },
    }


# --- the rules ----------------------------------------------------------------------------------------------------


def _driver() -> dict[str, Any]:
    return {
        "name": NAME,
        "fullName": f"{NAME} check {CHECK} of {PACKAGE}",
        "version": version(),
        "rules": [_rule(rule) for rule in RULES],
        "notifications": [
            {"id": "unseen", "shortDescription": {"text": "Something that could not be looked at."}},
            {"id": "not-checked", "shortDescription": {"text": "A rule that could not look."}},
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    text = f"{rule.why}\n\nNot so:\n\n{rule.bad}\n\nBut so:\n\n{rule.good}\n\n{rule.fix}"
    good = fenced(rule.good, language(rule.good))
    parts = [rule.why, "Not so:", fenced(rule.bad, "python"), "But so:", good, rule.fix]
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.subject.replace("-", " ").split()),
        "shortDescription": {"text": rule.duty},
        "fullDescription": {"text": f"{rule.duty} {rule.why}"},
        "help": {"text": text, "markdown": "\n\n".join(parts)},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {
            "tags": ["concurrency", "langgraph"],
            "problem.severity": _LEVELS[rule.severity].replace("note", "recommendation"),
        },
    }


# --- the findings -------------------------------------------------------------------------------------------------


def _results(report: Report) -> Iterator[dict[str, Any]]:
    prints = fingerprints(report.outcomes, report.root)
    for outcome in report.outcomes:
        for finding in outcome.findings:
            yield _result(finding, prints[id(finding)])


def _result(finding: Finding, fingerprint: str) -> dict[str, Any]:
    first, *others = finding.places or (_NOWHERE,)
    found: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": _INDEX[finding.rule],
        "kind": "fail",
        "level": _LEVELS[finding.severity],
        "rank": _RANKS[finding.confidence],
        "message": _message(finding),
        "locations": [_location(first, finding)],
        "partialFingerprints": {f"{NAME}/v1": fingerprint},
        "suppressions": [],
        "properties": {"confidence": finding.confidence.value, "severity": finding.severity.value},
    }
    if others:
        found["relatedLocations"] = [{"id": number, **_location(place)} for number, place in enumerate(others, 1)]
    if finding.waived:
        found["suppressions"] = [_suppression(finding)]
    return found


def _suppression(finding: Finding) -> dict[str, Any]:
    kind = "external" if finding.waived == KNOWN else "inSource"
    return {"kind": kind, "status": "accepted", "justification": plain(finding.waived)}


def _message(finding: Finding) -> dict[str, str]:
    text = plain(said(finding))
    parts = [escaped(finding.message), f"**Fix:** {escaped(finding.fix)}"]
    if finding.snippet:
        text += "\n\n" + "\n".join(plain_lines(finding.snippet))
        parts.append(fenced(finding.snippet, language(finding.snippet)))
    return {"text": _literal(text), "markdown": _unplaced("\n\n".join(parts))}


def _literal(text: str) -> str:
    """Keep a viewer from seeing a link in a plain message."""
    return _unplaced(text.replace("](", "\\]("))


def _unplaced(text: str) -> str:
    """Keep a viewer from seeing a placeholder; other braces are left alone, since viewers do not join doubled ones."""
    return _PLACEHOLDER.sub(r"{\g<0>}", text)


# --- places -------------------------------------------------------------------------------------------------------


def _location(place: Place, finding: Finding | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"physicalLocation": {"artifactLocation": _artifact(place.file), "region": _region(place)}}
    if finding and (named := [name for name in (finding.tool, finding.agent, finding.resource) if name]):
        kinds = {finding.tool: "function", finding.agent: "object", finding.resource: "resource"}
        found["logicalLocations"] = [{"name": plain(name), "kind": kinds[name]} for name in dict.fromkeys(named)]
    return found


def _artifact(file: str) -> dict[str, str]:
    if PurePath(file).is_absolute():
        return {"uri": f"file://{_quoted(file)}"}
    return {"uri": _quoted(file), "uriBaseId": _ROOT}


def _region(place: Place) -> dict[str, int]:
    region = {"startLine": max(place.line, 1)}
    if place.line and place.column:
        region["startColumn"] = place.column
    if place.end_line >= region["startLine"]:
        region["endLine"] = place.end_line
    return region


def _folder(path: os.PathLike[str]) -> str:
    return f"file://{_quoted(os.path.abspath(path)).rstrip('/')}/"


def _quoted(file: str) -> str:
    # A colon in the first part would make it a scheme.
    return quote(file.replace("\\", "/").encode("utf-8", "surrogatepass"))


# --- what was not looked at ---------------------------------------------------------------------------------------


def _invocation(report: Report) -> dict[str, Any]:
    notes = [_unseen(unseen) for unseen in report.unseen]
    notes += [_not_checked(outcome) for outcome in report.outcomes if outcome.status is Status.NOT_CHECKED]
    return {"executionSuccessful": True, "toolExecutionNotifications": notes}


def _unseen(unseen: Unseen) -> dict[str, Any]:
    note: dict[str, Any] = {
        "descriptor": {"id": "unseen", "index": 0},
        "level": "warning",
        "message": {"text": _literal(plain(f"{unseen.what}: {unseen.why}"))},
    }
    if unseen.place:
        note["locations"] = [_location(unseen.place)]
    return note


def _not_checked(outcome: Outcome) -> dict[str, Any]:
    return {
        "descriptor": {"id": "not-checked", "index": 1},
        "associatedRule": {"id": outcome.rule, "index": _INDEX[outcome.rule]},
        "level": "warning",
        "message": {"text": _literal(plain(f"not checked: {outcome.line}"))},
    }
