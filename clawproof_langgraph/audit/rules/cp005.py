"""CP005: agents follow the events of what they read, instead of polling it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects import polling_in
from clawproof_langgraph.audit.findings import Confidence, Finding, MappedResource, Outcome, Severity
from clawproof_langgraph.audit.project.model import Policy, Project, Tool
from clawproof_langgraph.audit.project.resources import family, mapped, read, uses, written
from clawproof_langgraph.audit.rules.facts import obscure, orphans, unread_policy
from clawproof_langgraph.audit.rules.verdicts import finding, hidden, not_checked, policy_lines, verdict
from clawproof_langgraph.audit.words import counted
from clawproof_langgraph.errors import meant
from clawproof_langgraph.events import BUILT_IN
from clawproof_langgraph.policy import Effect

_ID: Final = "CP005"


def check(project: Project) -> Outcome:
    """Check that nobody polls, and that who reads what another one writes hears of it, or is checked when it writes."""
    emitted = _emitted(project)
    found = [*_polling(project), *_misspelt(project, emitted), *_out_of_date(project)]
    unseen = list(_unseen(project))
    if not found and not project.guards and not emitted:
        return not_checked(_ID, unseen[0] if unseen else "no policy tells who reads and who writes what")
    return verdict(_ID, _line(project, emitted), found, unseen)


def _line(project: Project, emitted: frozenset[str]) -> str:
    readers = [agent.name for agent in project.agents if agent.uses]
    following = [name for name in readers if _follows(project, name, emitted)]
    if not emitted or not following:
        return "Event-driven sync: nobody polls, shared state is read on demand under its locks"
    channels = f"Event-driven sync: {counted(len(emitted), 'event channel')}"
    if len(following) == len(readers):
        return f"{channels}, all agents subscribed"
    return f"{channels}, {len(following)} of {counted(len(readers), 'agent')} subscribed, the others read under locks"


def _emitted(project: Project) -> frozenset[str]:
    policies = [policy for guard in project.guards for policy in guard.policies]
    policies += [use.policy for _, use in uses(project) if use.policy is not None]
    return project.published | {policy.policy.emits for policy in policies if policy.policy.emits}


def _follows(project: Project, agent: str, kinds: frozenset[str]) -> bool:
    """Tell whether an agent hears of any of these types; who follows for nobody in particular follows for all."""
    for subscription in project.subscriptions:
        known = {other.name for other in project.agents}
        if subscription.agent in known and subscription.agent != agent:
            continue
        if subscription.types is None or not subscription.types or kinds & set(subscription.types):
            return True
    return False


# --- polling ------------------------------------------------------------------------------------------------------


def _polling(project: Project) -> Iterator[Finding]:
    had: dict[int, str] = {}
    tools: dict[int, Tool] = {}
    for agent, use in uses(project):
        tools[id(use.tool)] = use.tool
        had.setdefault(id(use.tool), agent.name)
    tools |= {id(tool): tool for tool in orphans(project)}
    for key, tool in tools.items():
        for function in tool.functions:
            for loop in polling_in(function, project.tree):
                if loop.confidence is Confidence.POSSIBLE:
                    continue
                yield finding(
                    _ID,
                    f'Tool "{tool.name}" polls: it repeats {loop.what} with a pause between',
                    loop.place,
                    tool=tool.name,
                    agent=had.get(key, ""),
                    resource=loop.resource,
                    severity=Severity.MEDIUM,
                    confidence=loop.confidence,
                    fix="Let the writer's policy say `emits`, and wait for the event: coordinator.subscribe(...).",
                )


# --- subscriptions ------------------------------------------------------------------------------------------------


def _misspelt(project: Project, emitted: frozenset[str]) -> Iterator[Finding]:
    if any(not guard.complete for guard in project.guards) or project.hidden or not project.whole:
        return
    for subscription in project.subscriptions:
        for kind in subscription.types or ():
            if kind not in emitted and kind not in BUILT_IN:
                hint = f"; {meant(kind, sorted(emitted))}" if emitted else ""
                yield finding(
                    _ID,
                    f'"{kind}" is followed, and nothing emits it{hint}',
                    subscription.place,
                    agent=subscription.agent,
                    fix="Write the type as the policy's `emits` has it.",
                )


# --- what is read and written by different agents -----------------------------------------------------------------


def _out_of_date(project: Project) -> Iterator[Finding]:
    for resource in mapped(project):
        for reader in resource.readers:
            others = [agent for agent in resource.writers if agent != reader]
            if others and not _follows(project, reader, _told_of(project, resource)):
                yield from _unchecked(project, resource, reader, others)


def _told_of(project: Project, resource: MappedResource) -> frozenset[str]:
    """Give the types of events that tell of a change of a resource."""
    policies = [use.policy for _, use in uses(project) if use.policy is not None]
    told = {policy.policy.emits for policy in policies if policy.policy.emits and _writes(policy, resource)}
    return frozenset(told) | project.published


def _writes(policy: Policy, resource: MappedResource) -> bool:
    return family(resource.pattern) in map(family, written(policy))


def _unchecked(project: Project, resource: MappedResource, reader: str, others: list[str]) -> Iterator[Finding]:
    """Find the writes of an agent that follow from what it read, and are not compared with what is there by then."""
    mine = [use for agent, use in uses(project) if agent.name == reader and use.policy is not None]
    for use in mine:
        policy = use.policy
        if policy is None or policy.policy.effect is Effect.READ or not _writes(policy, resource):
            continue
        if (
            policy.policy.requires_read
            or "requires_read" in policy.unread
            or family(resource.pattern) in map(family, read(policy))
        ):
            continue
        yield finding(
            _ID,
            f'Agent "{reader}" reads "{resource.pattern}" and writes it with "{use.tool.name}", and does not hear of '
            f'what "{others[0]}" writes meanwhile',
            use.place,
            policy.place(),
            tool=use.tool.name,
            agent=reader,
            resource=resource.pattern,
            confidence=Confidence.LIKELY,
            fix=f'Say requires_read=True for "{use.tool.name}", or let "{reader}" follow what the writers emit.',
            snippet=policy_lines(use.tool.name, policy, requires_read=True, emits=_event(resource)),
        )


def _event(resource: MappedResource) -> str:
    word = family(resource.pattern).strip("*/").replace("/", " ").replace("-", " ").title().replace(" ", "")
    return f"{word or 'Resource'}Updated"


def _unseen(project: Project) -> Iterator[str]:
    yield from hidden(project)
    for agent, use in uses(project):
        if unread_policy(use):
            yield f'the policies of agent "{agent.name}" are made when the program runs'
        elif use.guard is None and (what := obscure(use, project, agent.name)):
            yield what
