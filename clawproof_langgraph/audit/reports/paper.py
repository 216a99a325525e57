"""The assessment as Markdown: what the page says, without its picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from clawproof_langgraph.audit.findings import Report, Status
from clawproof_langgraph.audit.reports.assessment import TITLE, Assessment, Risk, assess
from clawproof_langgraph.audit.reports.markdown import code, escaped, fenced, resource_table, table
from clawproof_langgraph.audit.reports.picture import describe
from clawproof_langgraph.audit.rules.catalog import rule_of
from clawproof_langgraph.audit.source import SourceTree

_STATES: Final = {Status.PASSED: "✓ kept", Status.FAILED: "✗ not kept", Status.NOT_CHECKED: "? not checked"}
_MOST: Final = 12
"""The most findings that are shown of one rule; the rest is counted."""


def render(report: Report, tree: SourceTree | None = None, *, made: datetime | None = None) -> str:
    """Give the assessment as Markdown.

    Args:
        report: the report.
        tree: not looked at.
        made: the date that is shown.
    """
    return "\n".join(_lines(assess(report, made))) + "\n"


def _lines(said: Assessment) -> Iterator[str]:
    report = said.report
    yield from (f"# {TITLE}: {escaped(said.name)}", "", f"**{escaped(said.verdict)}**", "")
    yield f"Severity: **{report.severity.upper()}**" if said.risks else "No risk was found in what was checked."
    yield from ("", *_listed(f"{number} {escaped(words)}" for number, words in said.figures))
    rows = [(each.rule, _STATES[each.status], escaped(each.line)) for each in report.outcomes]
    yield from ("", "## The ten duties", "", *table(("Rule", "State", "What was found"), rows))
    if report.resources:
        yield from ("", "## Who touches what", "", escaped(describe(report.resources)), "", *resource_table(report))
    if said.risks:
        yield from ("", "## Risks, the gravest first")
        for risk in said.risks:
            yield from _risk(risk)
        yield from ("", "## The plan", "", "One step for each risk. Names in capitals are for you to fill in.")
        for number, risk in enumerate(said.risks, 1):
            yield from _step(number, risk)
    yield from ("", "## What really happened", "", *_observed(said))
    yield from ("", "## What was not seen", "", *_unseen(said))
    facts = [(name, code(value, in_table=True)) for name, value in said.facts]
    yield from ("", "## About this assessment", "", *table(("", ""), facts))


def _listed(items: Iterable[str]) -> Iterator[str]:
    return (f"- {item}" for item in items)


def _risk(risk: Risk) -> Iterator[str]:
    yield from ("", f"### {risk.severity.upper()}: {risk.rule.id} {escaped(risk.rule.risk)}", "")
    yield from (escaped(risk.line), "", f"> {escaped(risk.story)}", "", escaped(risk.rule.why), "")
    for finding in risk.findings[:_MOST]:
        where = f" — {', '.join(code(place) for place in finding.places)}" if finding.places else ""
        yield f"- {escaped(finding.message)} ({finding.confidence}){where}"
    if len(risk.findings) > _MOST:
        yield f"- … and {len(risk.findings) - _MOST} more"


def _step(number: int, risk: Risk) -> Iterator[str]:
    yield from ("", f"### {number}. {escaped(risk.rule.remedy.capitalize())} ({risk.rule.id})", "")
    fixes = dict.fromkeys(finding.fix for finding in risk.findings) or [risk.rule.fix]
    yield from _listed(escaped(fix) for fix in list(fixes)[:_MOST])
    for name, text in (("toml", risk.snippets.toml), ("python", risk.snippets.python)):
        if text:
            yield from ("", fenced(text, name))


def _observed(said: Assessment) -> Iterator[str]:
    if "log" not in said.report.ways:
        yield "The log of a running system was not read: name its store with `--url`."
    elif not said.report.observed:
        yield "The log could not be read, or is empty; nothing can be said about what has happened."
    yield from _listed(escaped(line) for line in said.report.observed)


def _unseen(said: Assessment) -> Iterator[str]:
    if not said.unchecked and not said.report.unseen:
        yield "All that belongs to the target was looked at."
    yield from _listed(
        f"not checked: {each.rule} {escaped(rule_of(each.rule).subject)}: {escaped(each.line)}"
        for each in said.unchecked
    )
    yield from _listed(f"{code(each.place or each.what)}: {escaped(each.why)}" for each in said.report.unseen)
