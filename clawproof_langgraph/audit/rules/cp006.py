"""CP006: alerts for suspected deadlocks are configured, and can fire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.findings import Finding, Outcome
from clawproof_langgraph.audit.project.model import GuardSeen, Policy, Project
from clawproof_langgraph.audit.project.resources import family, uses, written
from clawproof_langgraph.audit.rules.facts import bare_writers, unread_policy
from clawproof_langgraph.audit.rules.verdicts import finding, hidden, not_checked, policy_lines, verdict
from clawproof_langgraph.audit.words import counted, quoted
from clawproof_langgraph.policy import Effect

_ID: Final = "CP006"


def check(project: Project) -> Outcome:
    """Check that somebody is told of a call that hangs, and that it can be told from one that takes its time."""
    writing = list(_writing(project))
    unseen = [*hidden(project), *_unread(project)]
    if (bare := bare_writers(project)) and not writing:
        silent = "Deadlock alerts cannot fire" if project.sinks else "No deadlock detection alerting configured"
        message = f"{silent}: {counted(len(bare), 'writing tool')} without any guard"
        return verdict(_ID, "No alerts", [finding(_ID, message, *(use.place or use.tool.place for use in bare))])
    if not writing and not project.sinks:
        return not_checked(_ID, unseen[0] if unseen else "no policy was found that locks a resource for a write")
    unexpected = [(guard, policy) for guard, policy in writing if not _expected(guard, policy)]
    found: list[Finding] = []
    if not project.sinks:
        found.append(
            finding(
                _ID,
                "No deadlock detection alerting configured — locks can expire but no alert fires",
                *(guard.place for guard in project.guards[:1]),
                fix="Give [alerts] of clawproof.toml sinks, or follow deadlock.suspected: "
                'coordinator.subscribe("alerts", types=["deadlock.suspected"]).',
                snippet='[alerts]\nsinks = ["log"]',
            )
        )
    for guard, policy in unexpected:
        found.append(_cannot_fire(guard, policy))
    failed = ""
    if not project.sinks:
        failed = found[0].message
    elif len(unexpected) > 1:
        tools = quoted(_tools(unexpected))
        failed = f"Deadlock alerts cannot fire for {len(unexpected)} tools: no `expected` for {tools}"
    policies = counted(len(writing), "write policy", "write policies")
    told = "" if project.sinks_told else " (told by the command `clawproof alerts`: no guard reads the file)"
    line = f"Deadlock detection alerting configured: {policies}, {counted(len(project.sinks), 'sink')}{told}"
    return verdict(_ID, line, found, unseen, failed=failed)


def _tools(silent: list[tuple[GuardSeen, Policy]]) -> list[str]:
    return [policy.tool for _, policy in silent]


def _cannot_fire(guard: GuardSeen, policy: Policy) -> Finding:
    return finding(
        _ID,
        f'Deadlock alerts cannot fire for "{policy.tool}": its policy does not say what is `expected`',
        policy.place(),
        tool=policy.tool,
        agent=guard.agent,
        fix="Say the usual duration of a call: an alert is raised at twice it.",
        snippet=policy_lines(policy.tool, policy, expected="2s"),
    )


def _writing(project: Project) -> Iterator[tuple[GuardSeen, Policy]]:
    """Give the policies of writes: once for each tool, however many agents have it."""
    known = set()
    for _, use in uses(project):
        policy = use.policy
        if use.guard is None or policy is None or not written(policy) or policy.policy.effect is Effect.DELEGATE:
            continue
        if (key := (use.tool.name, policy.place())) not in known:
            known.add(key)
            yield use.guard, policy


def _expected(guard: GuardSeen, policy: Policy) -> bool:
    from fnmatch import fnmatchcase

    if policy.policy.expected or "expected" in policy.unread:
        return True
    locked = [family(template) for template in written(policy)]
    return any(
        terms.get("expected") and fnmatchcase(each, family(pattern))
        for pattern, terms in guard.resources
        for each in locked
    )


def _unread(project: Project) -> Iterator[str]:
    for agent, use in uses(project):
        if unread_policy(use):
            yield f'the policies of agent "{agent.name}" are made when the program runs'
