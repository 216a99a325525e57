"""CP008: writes are idempotent, or made at most once.

What follows from a write and the policy of its tool is a table, `_judged`; docs/audit.md shows it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects import Touch, retries_around, unstable_parts
from clawproof_langgraph.audit.findings import Confidence, Finding, Outcome, Place, Severity
from clawproof_langgraph.audit.project.model import Agent, Kind, Policy, Project, Tool, Use
from clawproof_langgraph.audit.project.resources import uses
from clawproof_langgraph.audit.rules.facts import (
    declared_somewhere,
    done,
    obscure,
    orphans,
    touches,
    unread_policy,
    write_of,
)
from clawproof_langgraph.audit.rules.verdicts import finding, hidden, not_checked, policy_lines, verdict
from clawproof_langgraph.audit.words import counted, quoted
from clawproof_langgraph.policy import Effect

_ID: Final = "CP008"
_READ_ONLY: Final = frozenset({"memory", "http"})
"""Kinds of writes that a tool which changes nothing may have: a cache of its own, a search by POST."""


def check(project: Project) -> Outcome:
    """Check the writes of all tools against what their policies say of them."""
    found = [*_of_tools(project), *_unstable_keys(project), *_retried(project)]
    unseen = list(_unseen(project))
    writing = {use.tool.name for _, use in uses(project) if _writes(use, project)}
    writing |= {tool.name for tool in orphans(project) if write_of(tool, project)}
    if not writing and not found:
        return not_checked(_ID, unseen[0] if unseen else "no tool was seen to write")
    agents = list(dict.fromkeys(each.agent for each in found if each.agent))
    failed = ""
    if len(agents) > 1 and len(agents) == len(found):
        failed = f"Writes of {counted(len(agents), 'agent')} are not idempotent: {quoted(agents)}"
    line = f"Writes idempotent, or made at most once: {counted(len(writing), 'writing tool')}"
    return verdict(_ID, line, found, unseen, failed=failed)


def _writes(use: Use, project: Project) -> bool:
    declared = use.policy is not None and use.policy.policy.effect is not Effect.READ
    return declared or write_of(use.tool, project) is not None


@dataclass(frozen=True, slots=True)
class _Held:
    """A tool, and one way in which it is held."""

    tool: Tool
    policy: Policy | None
    agent: str
    place: Place | None


def _held(project: Project) -> Iterator[_Held]:
    """Give each tool with each policy that applies to it, once."""
    known = set()
    for agent, use in uses(project):
        if unread_policy(use):
            continue
        key = (use.tool.place, use.tool.name, use.policy and use.policy.place())
        if key not in known:
            known.add(key)
            yield _Held(use.tool, use.policy, agent.name, use.place)
    for tool in orphans(project):
        if not declared_somewhere(tool, project):
            yield _Held(tool, None, "", None)
        for guard in project.guards:
            for policy in guard.policies:
                if policy.tool == tool.name:
                    yield _Held(tool, policy, guard.agent, None)


def _of_tools(project: Project) -> Iterator[Finding]:
    for held in _held(project):
        for touch in touches(held.tool, project):
            if touch.writes and touch.confidence is not Confidence.POSSIBLE:
                yield from _judged(held, touch, project)


def _judged(held: _Held, touch: Touch, project: Project) -> Iterator[Finding]:
    """Judge a write by the policy of its tool."""
    effect = held.policy.policy.effect if held.policy is not None and "effect" not in held.policy.unread else None
    if held.policy is not None and effect is None:
        return
    if effect is Effect.READ:
        if touch.kind not in _READ_ONLY:
            yield _declared_read(held, touch)
        return
    if touch.repeatable is not False:
        return
    again = _runs_again(held, project)
    if effect is None:
        yield _broken(held, touch, "", Severity.HIGH if again else Severity.MEDIUM)
    elif effect is Effect.ONCE and again:
        yield _repeated(held, touch, *again)
    elif effect is Effect.ONCE and held.policy is not None and held.policy.policy.on_in_doubt == "rerun":
        yield _broken(held, touch, 'Its policy says on_in_doubt="rerun", so a call in doubt runs again.')
    elif effect in _LETS_RUN_AGAIN:
        yield _broken(held, touch, _LETS_RUN_AGAIN[effect])


_LETS_RUN_AGAIN: Final = {
    Effect.IDEMPOTENT: 'Its policy says effect="idempotent", so a call in doubt runs again.',
    Effect.KEYED: 'Its policy says effect="keyed", and current_call().idempotency_key is not passed on.',
    Effect.TRANSACTIONAL: 'Its policy says effect="transactional", and the write is not inside effects.sql.once.',
    Effect.DELEGATE: 'Its policy says effect="delegate", which promises nothing for writes of its own.',
}
"""The effects under which a call in doubt runs again by itself, and why that is wrong for a write that adds."""


def _broken(held: _Held, touch: Touch, why: str, severity: Severity | None = None) -> Finding:
    who = f'Agent "{held.agent}"' if held.agent else f'Tool "{held.tool.name}"'
    fix = " ".join(filter(None, (why, touch.fix))) or ""
    return finding(
        _ID,
        f"{who} writes are not idempotent — {touch.short or f'{done(touch.what)} each time it runs'}",
        touch.place,
        held.policy.place("effect") if held.policy is not None else held.place,
        *touch.via[:1],
        tool=held.tool.name,
        agent=held.agent,
        resource=touch.resource,
        severity=severity,
        confidence=touch.confidence,
        fix=fix,
        snippet=_declared_once(held),
    )


def _declared_once(held: _Held) -> str:
    """Give the policy that keeps a write from being made twice, as the project writes policies."""
    locks = [lock.resource for lock in held.policy.policy.lock_list()] if held.policy is not None else []
    if held.policy is not None and held.policy.source == "file":
        return policy_lines(held.tool.name, held.policy, effect="once")
    shown = ", ".join(f'"{lock}"' for lock in locks or ["RESOURCE/{ARGUMENT}"])
    return f'"{held.tool.name}": ToolPolicy(locks=[{shown}], effect="once"),'


def _declared_read(held: _Held, touch: Touch) -> Finding:
    return finding(
        _ID,
        f'Tool "{held.tool.name}" is declared effect="read", but {done(touch.what)}',
        touch.place,
        held.policy.place("effect") if held.policy is not None else None,
        tool=held.tool.name,
        agent=held.agent,
        resource=touch.resource,
        confidence=touch.confidence,
        fix="A read is never kept from running twice, and shares its locks: declare what the tool does.",
    )


def _runs_again(held: _Held, project: Project) -> tuple[str, Place] | None:
    """Tell what inside a tool runs its write again, where no guard can see it."""
    for function in held.tool.functions:
        for retrying in retries_around(function, project.tree):
            if retrying.confidence is not Confidence.POSSIBLE:
                return retrying.by, retrying.place
    return None


def _repeated(held: _Held, touch: Touch, by: str, place: Place) -> Finding:
    who = f'Agent "{held.agent}"' if held.agent else f'Tool "{held.tool.name}"'
    return finding(
        _ID,
        f"{who} writes are not idempotent — {touch.short or touch.what}, and {by} inside the tool repeats it",
        touch.place,
        place,
        tool=held.tool.name,
        agent=held.agent,
        resource=touch.resource,
        confidence=touch.confidence,
        fix="Take the retry out of the tool: the guard retries what is safe to repeat, with one key.",
    )


# --- retries around a tool ----------------------------------------------------------------------------------------


def _retried(project: Project) -> Iterator[Finding]:
    for agent in project.agents:
        for use in agent.uses if agent.retried else ():
            yield from _around(agent, use, project)


def _around(agent: Agent, use: Use, project: Project) -> Iterator[Finding]:
    writes = any(touch.writes and touch.repeatable is False for touch in touches(use.tool, project))
    policy = use.policy
    if policy is not None and policy.policy.effect is Effect.ONCE and "effect" not in policy.unread:
        yield finding(
            _ID,
            f'A retry is around "{use.tool.name}" of agent "{agent.name}", which is made at most once: it is refused '
            f"the second time",
            agent.retried[0],
            policy.place("effect"),
            tool=use.tool.name,
            agent=agent.name,
            severity=Severity.LOW,
            fix="Take the tool out of the retry; the guard's own `retry` knows what is safe to repeat.",
        )
    elif use.guard is None and writes:
        yield finding(
            _ID,
            f'A retry is around "{use.tool.name}" of agent "{agent.name}", which adds each time it runs',
            agent.retried[0],
            use.tool.place,
            tool=use.tool.name,
            agent=agent.name,
            severity=Severity.HIGH,
            fix="Put the tool behind a guard, and leave the retrying to its policy.",
        )


# --- keys ---------------------------------------------------------------------------------------------------------


def _unstable_keys(project: Project) -> Iterator[Finding]:
    policies = {(policy.tool, policy.place()): policy for guard in project.guards for policy in guard.policies}
    for policy in policies.values():
        place = policy.place("key")
        module = next((each for each in project.tree.modules.values() if place and each.file == place.file), None)
        if not policy.key_code or module is None:
            continue
        try:
            expression = ast.parse(policy.key_code, mode="eval").body
        except SyntaxError:  # the code of a whole function: it is looked at as one
            definition = ast.parse(policy.key_code).body[0]
            expression = ast.Name(getattr(definition, "name", ""), ast.Load())
        for part in unstable_parts(expression, module, project.tree)[:1]:
            yield finding(
                _ID,
                f'The key of "{policy.tool}" is another one each time: it holds {part.what}',
                place,
                tool=policy.tool,
                fix="Make the key of what the business says is the same: the number of an order, not the time.",
            )


def _unseen(project: Project) -> Iterator[str]:
    yield from hidden(project)
    for agent, use in uses(project):
        what, policy = obscure(use, project, agent.name), use.policy
        if unread_policy(use):
            yield f'the policies of agent "{agent.name}" are made when the program runs'
        elif what and (use.tool.kind is Kind.MCP or policy is None or policy.policy.effect not in _SAFE):
            yield what
        elif policy is None or policy.policy.effect not in _SAFE:
            for touch in touches(use.tool, project):
                if touch.writes and touch.repeatable is None and touch.confidence is not Confidence.POSSIBLE:
                    yield f'whether {touch.what} in "{use.tool.name}" may be repeated cannot be told'


_SAFE: Final = (Effect.ONCE, Effect.READ, Effect.DELEGATE)
"""Effects under which nothing depends on how the write is made."""
