"""What an assessment says to people who decide: made once from a report, and written as a page or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clawproof_langgraph.audit.findings import Finding, Outcome, Report, Severity, Status
from clawproof_langgraph.audit.reports.picture import Line, lines_of
from clawproof_langgraph.audit.reports.remedies import Snippets, snippets_for
from clawproof_langgraph.audit.reports.stories import story
from clawproof_langgraph.audit.reports.versions import PACKAGE, version
from clawproof_langgraph.audit.reports.wording import counting_in
from clawproof_langgraph.audit.rules.catalog import RULES, Rule, rule_of
from clawproof_langgraph.audit.words import counted

TITLE: Final = "Coordination assessment"

_GRAVITY: Final = list(Severity)
_WAYS: Final = {
    "static": "The source was read; none of it was run.",
    "import": "The graphs were loaded and looked into.",
    "log": "The log of what really happened was read.",
}


@dataclass(frozen=True, slots=True)
class Risk:
    """A duty that is not kept, and what that means.

    Args:
        rule: the duty.
        line: the result in one line.
        severity: the worst that can happen.
        story: how it happens, with names of the project.
        findings: the evidence, the gravest first.
        snippets: what to paste.
    """

    rule: Rule
    line: str
    severity: Severity
    story: str
    findings: tuple[Finding, ...]
    snippets: Snippets


@dataclass(frozen=True, slots=True)
class Assessment:
    """All that is told, in its order.

    Args:
        report: what it was made from.
        name: of the project.
        verdict: the result in one sentence.
        risks: the gravest first.
        unchecked: the rules that could not look.
        lines: who touches what.
        made: when.
    """

    report: Report
    name: str
    verdict: str
    risks: tuple[Risk, ...]
    unchecked: tuple[Outcome, ...]
    lines: tuple[Line, ...]
    made: datetime | None

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents that touch a resource."""
        return tuple(dict.fromkeys(line.agent for line in self.lines))

    @property
    def figures(self) -> tuple[tuple[str, str], ...]:
        """What is said first in numbers: each with what it counts."""
        kept = sum(outcome.status is Status.PASSED for outcome in self.report.outcomes)
        bare = sum(line.unguarded for line in self.lines)
        findings = sum(len(risk.findings) for risk in self.risks)
        return (
            (f"{kept} of {len(self.report.outcomes)}", "duties kept"),
            _figure(findings, "finding"),
            _figure(len(self.agents), "agent"),
            _figure(len(self.report.resources), "shared resource"),
            _figure(bare, "access without a guard", "accesses without a guard"),
        )

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What the assessment rests on: each with its name."""
        said = [("Project", str(self.report.root)), ("Target", self.report.target or ".")]
        if self.made is not None:
            said.append(("Date", self.made.strftime("%Y-%m-%d %H:%M %Z").strip()))
        said.append(("Looked at", counted(self.report.files, "Python file")))
        said.append(("How", " ".join(_WAYS.get(way, way) for way in self.report.ways)))
        said.append(("Made by", f"{PACKAGE} {version()}"))
        return tuple(said)


def assess(report: Report, made: datetime | None = None) -> Assessment:
    """Make an assessment from a report.

    Args:
        report: the report.
        made: when; None leaves the date out.
    """
    risks = sorted((_risk(outcome, report) for outcome in report.failed), key=_weight)
    unchecked = tuple(outcome for outcome in report.outcomes if outcome.status is Status.NOT_CHECKED)
    name = report.root.resolve().name or str(report.root)
    verdict = _verdict(report, risks, unchecked)
    return Assessment(report, name, verdict, tuple(risks), unchecked, lines_of(report.resources), made)


def _figure(number: int, one: str, many: str = "") -> tuple[str, str]:
    """Part a number from its noun."""
    said = counted(number, one, many)
    return str(number), said.partition(" ")[2]


def _risk(outcome: Outcome, report: Report) -> Risk:
    rule = rule_of(outcome.rule)
    findings = tuple(sorted(counting_in(outcome), key=lambda each: -_GRAVITY.index(each.severity)))
    worst = max((finding.severity for finding in findings), key=_GRAVITY.index, default=rule.severity)
    first = findings[0] if findings else Finding(outcome.rule, outcome.line, rule.fix, severity=worst)
    return Risk(rule, outcome.line, worst, story(first, report), findings, snippets_for(outcome.rule, findings, report))


def _weight(risk: Risk) -> tuple[int, int, str]:
    """Sort by what can happen, then by what the rule says of itself, then by its id."""
    return -_GRAVITY.index(risk.severity), -_GRAVITY.index(risk.rule.severity), risk.rule.id


def _verdict(report: Report, risks: Sequence[Risk], unchecked: Sequence[Outcome]) -> str:
    looked = len(RULES) - len(unchecked)
    if not looked:
        return "Nothing could be checked, so nothing can be said of how these agents are coordinated."
    unknown = f"; {counted(len(unchecked), 'duty', 'duties')} could not be checked" if unchecked else ""
    if not risks:
        return f"The {looked} duties of coordination that were checked are kept{unknown}."
    kinds = counted(len(risks), "duty is", "duties are")
    return f"{kinds} not kept, of {looked} that were checked: {risks[0].rule.risk}{unknown}."
