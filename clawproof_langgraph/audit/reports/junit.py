"""The report as JUnit XML: a test case for each rule."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from clawproof_langgraph.audit.findings import Finding, Outcome, Report, Status
from clawproof_langgraph.audit.reports.plain import plain, plain_lines
from clawproof_langgraph.audit.reports.versions import NAME, version
from clawproof_langgraph.audit.reports.wording import counting_in, result, severity
from clawproof_langgraph.audit.rules.catalog import CHECK, TITLE, rule_of
from clawproof_langgraph.audit.source import SourceTree

_SUITE: Final = f"{NAME} check {CHECK}"


def render(report: Report, tree: SourceTree | None = None) -> str:
    """Give the report as JUnit XML: a failure for a rule that failed, skipped for one that could not look."""
    suites = Element("testsuites", {"name": NAME, **_numbers(report)})
    suite = SubElement(suites, "testsuite", {"name": f"{_SUITE}: {TITLE}", **_numbers(report)})
    properties = SubElement(suite, "properties")
    facts = {"target": report.target, "version": version(), "ways": " ".join(report.ways)}
    facts |= {"result": result(report), "severity": severity(report)}
    for name, value in facts.items():
        SubElement(properties, "property", {"name": name, "value": plain(value)})
    for outcome in report.outcomes:
        _add_case(suite, outcome)
    if report.unseen:
        said = [plain(f"could not be looked at: {each.place or each.what}: {each.why}") for each in report.unseen]
        SubElement(suite, "system-err").text = "\n".join(said)
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'


def _numbers(report: Report) -> dict[str, str]:
    skipped = sum(outcome.status is Status.NOT_CHECKED for outcome in report.outcomes)
    counts = {"tests": len(report.outcomes), "failures": len(report.failed), "errors": 0, "skipped": skipped}
    return {**{name: str(number) for name, number in counts.items()}, "time": "0"}


def _add_case(suite: Element, outcome: Outcome) -> None:
    about = {"classname": _SUITE, "name": f"{outcome.rule} {rule_of(outcome.rule).duty}", "time": "0"}
    if place := next((finding.place for finding in outcome.findings if finding.place), None):
        about |= {"file": plain(place.file), **({"line": str(place.line)} if place.line else {})}
    case = SubElement(suite, "testcase", about)
    match outcome.status:
        case Status.FAILED:
            failure = SubElement(case, "failure", {"message": plain(outcome.line), "type": outcome.rule})
            failure.text = "\n\n".join(_said(finding) for finding in counting_in(outcome))
        case Status.NOT_CHECKED:
            SubElement(case, "skipped", {"message": plain(f"not checked: {outcome.line}")})
        case Status.PASSED:
            SubElement(case, "system-out").text = plain(outcome.line)


def _said(finding: Finding) -> str:
    lines = [plain(f"{finding.severity}, {finding.confidence}: {finding.message}")]
    lines += [plain(f"at {place}") for place in finding.places]
    lines += [plain(f"fix: {finding.fix}"), *(plain_lines(finding.snippet) if finding.snippet else ())]
    return "\n".join(lines)
