"""The sentences that all formats share."""

from __future__ import annotations

from clawproof_langgraph.audit.findings import Finding, Outcome, Report, Severity, Status
from clawproof_langgraph.audit.rules.catalog import RULES, SHOWN, rule_of
from clawproof_langgraph.audit.words import counted, joined


def result(report: Report) -> str:
    """Word how many issues were found, and what to do about them: one for each rule that failed."""
    remedies = [rule_of(outcome.rule).remedy for outcome in as_shown(report) if outcome.status is Status.FAILED]
    unknown = sum(1 for outcome in report.outcomes if outcome.status is Status.NOT_CHECKED)
    rest = f"{counted(unknown, 'duty', 'duties')} not checked" if unknown else ""
    if not remedies:
        return f"no issues found{f', {rest}' if rest else ''}"
    found = f"{counted(len(remedies), 'issue')} found — {joined(remedies)}"
    return f"{found} ({rest})" if rest else found


def as_shown(report: Report) -> tuple[Outcome, ...]:
    """Give the outcomes in the order in which people are told of them."""
    return tuple(sorted(report.outcomes, key=lambda outcome: SHOWN.index(outcome.rule)))


def severity(report: Report) -> str:
    """Word the worst that can happen."""
    worst = report.severity
    if worst is Severity.NONE:
        return "NONE"
    failed = [outcome for outcome in report.failed if _severity_of(outcome) is worst]
    ranks = {rule.id: rank for rank, rule in enumerate(_BY_WEIGHT)}
    gravest = min(failed, key=lambda outcome: ranks[outcome.rule])
    return f"{worst.upper()} — {rule_of(gravest.rule).risk}"


_BY_WEIGHT = sorted(RULES, key=lambda rule: list(Severity).index(rule.severity), reverse=True)
"""The rules, the one whose breach costs most first: which risk is told where several are equally severe."""


def _severity_of(outcome: Outcome) -> Severity:
    counting = [finding.severity for finding in counting_in(outcome)]
    return max(counting, key=list(Severity).index, default=Severity.NONE)


def counting_in(outcome: Outcome) -> tuple[Finding, ...]:
    """Give the findings of a rule that count."""
    return tuple(finding for finding in outcome.findings if not finding.waived)


def said(finding: Finding) -> str:
    """Say what is wrong, and what to do about it."""
    return f"{finding.message.rstrip('.')}. {finding.fix}"
