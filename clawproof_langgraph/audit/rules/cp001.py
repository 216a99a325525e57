"""CP001: every shared resource is mapped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.findings import Finding, Outcome, Severity
from clawproof_langgraph.audit.project.model import Agent, Kind, Project, Use
from clawproof_langgraph.audit.project.resources import mapped, uses
from clawproof_langgraph.audit.rules.facts import (
    SHARED,
    declared_somewhere,
    locks_itself,
    obscure,
    orphans,
    strangers,
    touches,
    unread_policy,
    write_of,
)
from clawproof_langgraph.audit.rules.verdicts import finding, hidden, not_checked, verdict
from clawproof_langgraph.audit.words import counted, quoted
from clawproof_langgraph.policy import Effect

_ID: Final = "CP001"
_NO_LOCKS: Final = (Effect.DELEGATE, Effect.TRANSACTIONAL)
"""Their resources are mapped elsewhere: by the tools of the agent inside, by the database."""


def check(project: Project) -> Outcome:
    """Check that policies name what tools touch."""
    found = list(_findings(project))
    missing = [each.tool for each in found if each.tool]
    resources = mapped(project)
    writers = {agent for resource in resources for agent in resource.writers}
    agents = f"{counted(len(writers), 'agent')} with write access"
    line = f"Shared resources mapped: {counted(len(resources), 'resource')}, {agents}"
    unseen = list(_unseen(project))
    if not found and not resources and not any(True for _ in uses(project)):
        return not_checked(_ID, unseen[0] if unseen else "no agent was found")
    failed = ""
    if len(set(missing)) > 1:
        failed = f"{counted(len(set(missing)), 'tool')} not mapped to the resources that they touch: {quoted(missing)}"
    return verdict(_ID, line, found, unseen, failed=failed)


def _findings(project: Project) -> Iterator[Finding]:
    for agent, use in uses(project):
        if use.tool.kind is not Kind.OWN:
            yield from _of_use(agent, use, project)
    for tool in orphans(project):
        write = write_of(tool, project)
        if write and write.touch and not declared_somewhere(tool, project) and not locks_itself(tool, project):
            message = f'Tool "{tool.name}" has no policy, though it {write.what}; no agent was seen to have it'
            yield _missing(message, tool.name, "", tool.place, write.place, confidence=write.confidence)


def _of_use(agent: Agent, use: Use, project: Project) -> Iterator[Finding]:
    tool, policy = use.tool, use.policy
    write = write_of(tool, project)
    places = (use.place or tool.place, write.place if write else None, agent.place)
    if policy is not None:
        if strange := strangers(tool, policy):
            names = f"{quoted(strange)}, which {'is' if len(strange) == 1 else 'are'} no argument of the tool"
            message = f'The policy of "{tool.name}" names {names}: its guard refuses the tool'
            yield finding(
                _ID, message, policy.place("locks"), tool.place, agent.place, tool=tool.name, agent=agent.name
            )
        if write and write.touch and not policy.policy.locks and "locks" not in policy.unread:
            if policy.policy.effect in _NO_LOCKS or write.touch.kind not in SHARED:
                return
            message = f'The policy of "{tool.name}" names no resource, though the tool {write.what}'
            yield _missing(message, tool.name, agent.name, policy.place(), write.place, confidence=write.confidence)
    elif use.guard is not None:
        if use.guard.complete and use.guard.unmapped == "error" and tool.name:
            message = f'Tool "{tool.name}" of agent "{agent.name}" has no policy: its guard refuses it'
            yield _missing(message, tool.name, agent.name, *places)
    elif write and not locks_itself(tool, project) and (declared := declared_somewhere(tool, project)) is not None:
        yield finding(
            _ID,
            f'Tool "{tool.name}" of agent "{agent.name}" {write.what}, and no guard around it reads the policy that it '
            f"has at {declared.place() or 'another guard'}",
            *places,
            declared.place(),
            tool=tool.name,
            agent=agent.name,
            confidence=write.confidence,
            fix="Put the tool behind the guard that has the policy; Guard.from_file() makes the one of clawproof.toml.",
        )
    elif write and not locks_itself(tool, project):
        message = f'Tool "{tool.name}" of agent "{agent.name}" has no policy, though it {write.what}'
        yield _missing(message, tool.name, agent.name, *places, confidence=write.confidence)
    elif reads := _shared_reads(use, project):
        message = (
            f'Tool "{tool.name}" of agent "{agent.name}" has no policy, and reads {quoted(reads)}, which others write'
        )
        yield _missing(message, tool.name, agent.name, *places, severity=Severity.LOW)


def _missing(message: str, tool: str, agent: str, *places: object, **more: object) -> Finding:
    snippet = f'"{tool}": ToolPolicy(locks=["RESOURCE/{{ARGUMENT}}"]),'
    return finding(_ID, message, *places, tool=tool, agent=agent, snippet=snippet, **more)  # type: ignore[arg-type]


def _shared_reads(use: Use, project: Project) -> list[str]:
    """Give what a tool reads that a tool of the project writes."""
    written = {touch.resource for tool in project.tools for touch in touches(tool, project) if touch.writes}
    mine = {touch.resource for touch in touches(use.tool, project) if not touch.writes and touch.kind in SHARED}
    return sorted((written & mine) - {""})


def _unseen(project: Project) -> Iterator[str]:
    yield from hidden(project)
    for agent, use in uses(project):
        if unread_policy(use):
            yield f'the policies of agent "{agent.name}" are made when the program runs'
        elif use.guard is None and (what := obscure(use, project, agent.name)):
            yield what
