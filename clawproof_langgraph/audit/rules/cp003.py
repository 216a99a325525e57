"""CP003: write locks have a TTL, and the limits for waiting make sense against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.findings import Finding, Outcome, Severity
from clawproof_langgraph.audit.project.model import GuardSeen, Policy, Project
from clawproof_langgraph.audit.project.resources import family, uses, written
from clawproof_langgraph.audit.rules.facts import bare_writers, unread_policy
from clawproof_langgraph.audit.rules.verdicts import finding, hidden, not_checked, verdict
from clawproof_langgraph.audit.words import counted

_ID: Final = "CP003"
_LONG: Final = 300.0
"""Seconds over which those who wait after a crash wait too long."""
_SHORT: Final = 1.0
"""Seconds under which a busy machine may miss to renew a lease."""


def check(project: Project) -> Outcome:
    """Check the times of all policies that lock for a write."""
    locking = list(_locking(project))
    found = [each for guard, policy in locking for each in _of_policy(guard, policy)]
    unseen = list(_unseen(project))
    if bare := bare_writers(project):
        message = f"No lock with a TTL: {counted(len(bare), 'writing tool')} without any guard"
        found.append(finding(_ID, message, *(use.place or use.tool.place for use in bare)))
    elif not locking and not project.orchestrators:
        return not_checked(_ID, unseen[0] if unseen else "no policy was found that locks a resource for a write")
    return verdict(
        _ID, f"Distributed locks with TTL: {_usual(locking)} default, per-resource configurable", found, unseen
    )


def _locking(project: Project) -> Iterator[tuple[GuardSeen, Policy]]:
    """Give the policies that lock for a write: of all guards, and of the tools that fall under a pattern of one."""
    known = set()
    of_tools = [(use.guard, use.policy) for _, use in uses(project) if use.guard is not None]
    of_guards = [(guard, policy) for guard in project.guards for policy in guard.policies]
    for guard, policy in (*of_tools, *of_guards):
        if policy is None or guard is None or not written(policy):
            continue
        key = (policy.tool, policy.place(), policy.policy.ttl, policy.policy.wait)
        if key not in known:
            known.add(key)
            yield guard, policy


def _usual(locking: list[tuple[GuardSeen, Policy]]) -> str:
    ttls = Counter(policy.policy.ttl for _, policy in locking)
    return worded(ttls.most_common(1)[0][0] if ttls else 30.0)


def _of_policy(guard: GuardSeen, policy: Policy) -> Iterator[Finding]:
    said = policy.policy
    if policy.unread & {"ttl", "wait", "expected"}:
        return
    ttl = min([said.ttl, *_terms(guard, policy, "ttl")])
    wait, expected = (
        said.wait_limit(),
        min([*filter(None, [said.expected]), *_terms(guard, policy, "expected")], default=0.0),
    )
    where = policy.place("wait") or policy.place()
    if said.wait and wait < ttl:
        yield finding(
            _ID,
            f'The wait of "{policy.tool}" is {worded(wait)}, less than its ttl of {worded(ttl)}: after a crash all who '
            f"wait give up before the lease ends",
            where,
            tool=policy.tool,
            severity=Severity.LOW,
            fix=f"Say a wait of more than {worded(ttl)}, or leave it out: it is one and a half times the ttl.",
        )
    if said.wait and expected > wait:
        yield finding(
            _ID,
            f'The wait of "{policy.tool}" is {worded(wait)}, less than the {worded(expected)} that it usually takes',
            where,
            tool=policy.tool,
            severity=Severity.LOW,
            fix="Let others wait for longer than a call takes.",
        )
    if ttl > _LONG:
        yield finding(
            _ID,
            f'The ttl of "{policy.tool}" is {worded(ttl)}: after a crash all others wait for that long',
            policy.place("ttl"),
            tool=policy.tool,
            fix="A lease is renewed while its process lives: the ttl need not be as long as the call.",
        )
    if ttl < _SHORT:
        yield finding(
            _ID,
            f'The ttl of "{policy.tool}" is {worded(ttl)}: a busy machine may renew it too late',
            policy.place("ttl"),
            tool=policy.tool,
            severity=Severity.LOW,
            fix="Say a ttl of some seconds; 30s is the default.",
        )


def _terms(guard: GuardSeen, policy: Policy, name: str) -> list[float]:
    """Give what is said of the resources of a policy."""
    from fnmatch import fnmatchcase

    locked = [family(template) for template in written(policy)]
    return [
        terms[name]
        for pattern, terms in guard.resources
        if terms.get(name) and any(fnmatchcase(each, family(pattern)) for each in locked)
    ]


def worded(seconds: float) -> str:
    """Write a duration as policies do: `30s`, `2m`, `500ms`."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    return f"{seconds:g}s" if seconds < 120 or seconds % 60 else f"{seconds / 60:g}m"


def _unseen(project: Project) -> Iterator[str]:
    yield from hidden(project)
    for agent, use in uses(project):
        policy = use.policy
        if unread_policy(use):
            yield f'the policies of agent "{agent.name}" are made when the program runs'
        elif policy is not None and (unread := sorted(policy.unread & {"ttl", "wait", "locks"})):
            yield f'the {unread[0]} of "{policy.tool}" is made when the program runs'
