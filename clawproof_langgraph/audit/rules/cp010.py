"""CP010: each agent can be killed by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.findings import Confidence, Finding, Outcome, Severity
from clawproof_langgraph.audit.project.model import Agent, Kind, Project, Use, policy_for
from clawproof_langgraph.audit.rules.facts import coordinated, locks_itself, obscure, ownerless, write_of
from clawproof_langgraph.audit.rules.verdicts import finding, hidden, not_checked, verdict
from clawproof_langgraph.audit.words import counted, quoted

_ID: Final = "CP010"


def check(project: Project) -> Outcome:
    """Check that each agent that does something has a name of its own, and a guard that asks whether it is killed."""
    acting = [agent for agent in project.agents if agent.uses or project.orchestrators]
    found = [*_out_of_reach(project), *_nameless(project), *_alike(project)]
    unseen = list(_unseen(project))
    if not acting:
        return not_checked(_ID, unseen[0] if unseen else "no agent was found")
    if not found and not coordinated(project):
        return not_checked(_ID, unseen[0] if unseen else "no guard was found, and no agent that was seen to write")
    names = [each.agent for each in found]
    failed = f"{counted(len(names), 'agent')} cannot be killed by themselves: {quoted(names)}" if len(names) > 1 else ""
    return verdict(_ID, "Kill switch available per agent via orchestrator admin API", found, unseen, failed=failed)


def _out_of_reach(project: Project) -> Iterator[Finding]:
    """Find agents that write with no guard at all, or past the one that they have, so that no kill reaches that."""
    for agent in project.agents:
        past = [use for use in agent.uses if _is_let_through(use)]
        if not past and any(use.guard is not None for use in agent.uses):
            continue
        outside = past or agent.uses
        writing = [use for use in outside if use.tool.kind is not Kind.OWN and write_of(use.tool, project)]
        writing = [use for use in writing if not locks_itself(use.tool, project)]
        if writing:
            yield finding(
                _ID,
                f'Agent "{agent.name}" cannot be killed: it writes with "{writing[0].tool.name}", and no guard asks',
                agent.place,
                agent=agent.name,
            )


def _is_let_through(use: Use) -> bool:
    """Tell whether the guard of a tool has no policy for it and lets it through: it asks nobody."""
    guard = use.guard
    return guard is not None and guard.unmapped == "allow" and guard.complete and not policy_for(use.tool.name, guard)


def _nameless(project: Project) -> Iterator[Finding]:
    for agent in project.agents:
        if not agent.named and any(use.guard is not None for use in agent.uses):
            yield finding(
                _ID,
                f'Agent "{agent.name}" has no name, and so cannot be killed by itself',
                agent.place,
                agent=agent.name,
                fix='Give it one: create_agent(..., name="orders") or Guard(..., agent="orders").',
            )


def _alike(project: Project) -> Iterator[Finding]:
    """Find agents of one name that have different tools."""
    by_name: defaultdict[str, list[Agent]] = defaultdict(list)
    for agent in project.agents:
        if agent.uses and agent.named and not any(use.tool.kind is Kind.NODE for use in agent.uses):
            by_name[agent.name].append(agent)
    for name, agents in by_name.items():
        tools = {frozenset(use.tool.name for use in agent.uses) for agent in agents}
        files = {agent.place.file for agent in agents}
        if len(agents) > 1 and len(tools) > 1 and len(files) > 1:
            yield finding(
                _ID,
                f'{len(agents)} agents have the name "{name}": killing one kills all of them',
                *(agent.place for agent in agents),
                agent=name,
                severity=Severity.LOW,
                confidence=Confidence.LIKELY,
                fix="Give each a name of its own.",
            )


def _unseen(project: Project) -> Iterator[str]:
    yield from hidden(project)
    for agent in project.agents:
        for use in agent.uses:
            if use.guard is None and (what := obscure(use, project, agent.name)):
                yield f"{what}, and no guard is around it"
    yield from ownerless(project)
