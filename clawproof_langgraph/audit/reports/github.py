"""The report as workflow commands of GitHub Actions: an annotation in the diff for each finding that counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.findings import Finding, Report, Severity, Status
from clawproof_langgraph.audit.reports.plain import plain
from clawproof_langgraph.audit.reports.wording import counting_in, result, said, severity
from clawproof_langgraph.audit.rules.catalog import CHECK, rule_of
from clawproof_langgraph.audit.source import SourceTree

_COMMANDS: Final = {
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
    Severity.NONE: "notice",
}


def render(report: Report, tree: SourceTree | None = None) -> str:
    """Give the report as workflow commands, the gravest finding first: GitHub shows ten of a kind for each step.

    Every line is a command of this module, so that no text of the project can be one.
    """
    return "".join(f"{line}\n" for line in _commands(report))


def _commands(report: Report) -> Iterator[str]:
    summary = "error" if report.failed else "notice"
    yield _command(summary, f"Result: {result(report)}. Severity: {severity(report)}", title=f"Check {CHECK}")
    order = list(Severity)
    found = [finding for outcome in report.failed for finding in counting_in(outcome)]
    for finding in sorted(found, key=lambda each: order.index(each.severity), reverse=True):
        yield _of_finding(finding)
    for outcome in report.outcomes:
        if outcome.status is Status.NOT_CHECKED:
            yield _command("warning", outcome.line, title=f"{outcome.rule} not checked")
    for unseen in report.unseen:
        place = unseen.place
        where = {"file": place.file, "line": place.line, "col": place.column} if place else {}
        yield _command("warning", f"{unseen.what}: {unseen.why}", **where, title="Could not be looked at")


def _of_finding(finding: Finding) -> str:
    place, where = finding.place, {}
    if place is not None:
        where = {"file": place.file, "line": place.line, "endLine": place.end_line, "col": place.column}
    title = f"{finding.rule} {rule_of(finding.rule).subject}"
    return _command(_COMMANDS[finding.severity], said(finding), **where, title=title)


def _command(name: str, message: str, **properties: object) -> str:
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items() if value)
    return f"::{name} {given}::{_data(message)}"


def _data(text: object) -> str:
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: object) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
