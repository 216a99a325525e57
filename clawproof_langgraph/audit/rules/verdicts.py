"""How a rule comes to its outcome: a breach fails, and what could not be seen keeps it from passing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from clawproof_langgraph.audit.findings import Confidence, Finding, Outcome, Place, Severity, Status
from clawproof_langgraph.audit.project.model import Policy, Project
from clawproof_langgraph.audit.rules.catalog import rule_of
from clawproof_langgraph.config.writing import as_toml


def finding(
    rule: str, message: str, *places: Place | None, severity: Severity | None = None, fix: str = "", **about: Any
) -> Finding:
    """Make a finding; its severity and fix are those of its rule where nothing else is said."""
    entry = rule_of(rule)
    return Finding(
        rule,
        message,
        fix or entry.fix,
        tuple(place for place in places if place is not None),
        severity=severity or entry.severity,
        **about,
    )


def policy_lines(tool: str, policy: Policy | None, **said: object) -> str:
    """Give lines for a policy that is there, in the language in which the project writes it: TOML or Python.

    A table must not stand in a file twice, and one for a tool takes nothing from that of a pattern: so the lines are
    for the table that the policy comes from.
    """
    if policy is not None and policy.source == "file":
        lines = [f"{name} = {as_toml(value, name)}" for name, value in said.items()]
        return "\n".join([f"# in the table at {policy.place()}", *lines])
    fields = ", ".join(f"{name}={_python(value)}" for name, value in said.items())
    return f'"{tool}": ToolPolicy(..., {fields}),'


def _python(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def verdict(
    rule: str, passed: str, findings: Iterable[Finding], unseen: Sequence[str] = (), *, failed: str = ""
) -> Outcome:
    """Give the outcome of a rule.

    Args:
        rule: its id.
        passed: its line where it passed.
        findings: what it found; any of them makes it fail.
        unseen: what could not be looked at, which keeps it from passing.
        failed: its line where it failed; else it is the message of the gravest finding.
    """
    found = sorted(dict.fromkeys(findings), key=_weight)
    if unseen:
        rest = not_checked(rule, unseen[0] + (f" (and {len(unseen) - 1} more)" if len(unseen) > 1 else ""))
    else:
        rest = Outcome(rule, Status.PASSED, passed)
    return Outcome(rule, Status.FAILED, failed or failing(found), tuple(found), rest) if found else rest


def added(outcomes: Iterable[Outcome], findings: Sequence[Finding]) -> tuple[Outcome, ...]:
    """Add findings of further ways to look to the rules that they name, which fail with them."""
    return tuple(_with(outcome, [each for each in findings if each.rule == outcome.rule]) for outcome in outcomes)


def _with(outcome: Outcome, more: Sequence[Finding]) -> Outcome:
    known = {(each.message, each.tool, each.agent) for each in outcome.findings}
    new = [each for each in more if (each.message, each.tool, each.agent) not in known]
    if not new:
        return outcome
    found = sorted([*outcome.findings, *new], key=_weight)
    line = outcome.line if outcome.status is Status.FAILED else failing(found)
    otherwise = outcome.otherwise if outcome.status is Status.FAILED else outcome
    return Outcome(outcome.rule, Status.FAILED, line, tuple(found), otherwise)


def failing(found: Sequence[Finding]) -> str:
    """Word a failure in one line: its gravest finding, and how many more there are."""
    message = found[0].message.removesuffix(".")
    return f"{message} (and {len(found) - 1} more)" if len(found) > 1 else message


def not_checked(rule: str, reason: str) -> Outcome:
    """Give the outcome of a rule that could not look."""
    return Outcome(rule, Status.NOT_CHECKED, f"{rule_of(rule).subject} — {reason}")


def _weight(found: Finding) -> tuple[int, int, str]:
    severities = list(Severity)
    return -severities.index(found.severity), -list(Confidence).index(found.confidence), found.message


def hidden(project: Project) -> tuple[str, ...]:
    """Say which parts of the program could not be read: none of them may be taken for being in order."""
    return tuple(f"{each.place or each.what} could not be read: {each.why}" for each in project.hidden)
