"""The map: which resources there are, and which agents write and read each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.findings import MappedResource
from clawproof_langgraph.audit.project.model import Agent, Policy, Project, Use
from clawproof_langgraph.model import Mode

_FIELD: Final = re.compile(r"\{[^}]*\}")


def family(template: str) -> str:
    """Give the pattern of what a template names, so that `inventory/{sku}` is what `inventory/{items[*].sku}` is."""
    return _FIELD.sub("*", template)


def uses(project: Project) -> Iterator[tuple[Agent, Use]]:
    """Give each tool of each agent."""
    for agent in project.agents:
        for use in agent.uses:
            yield agent, use


def written(policy: Policy) -> tuple[str, ...]:
    """Give the templates of the resources that calls under a policy have for themselves."""
    return tuple(lock.resource for lock in policy.policy.lock_list() if lock.mode is Mode.EXCLUSIVE)


def read(policy: Policy) -> tuple[str, ...]:
    """Give the templates of the resources that calls under a policy only look at."""
    return tuple(lock.resource for lock in policy.policy.lock_list() if lock.mode is not Mode.EXCLUSIVE)


def mapped(project: Project) -> tuple[MappedResource, ...]:
    """Make the map of all resources that policies name."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    shown: dict[str, str] = {}

    def note(template: str, way: str, agent: str, tool: str) -> None:
        resource = family(template)
        shown.setdefault(resource, template)
        entry = found.setdefault(resource, {"writers": {}, "readers": {}, "writing": {}, "reading": {}})
        agents, tools = ("writers", "writing") if way == "write" else ("readers", "reading")
        if agent:
            entry[agents][agent] = None
        entry[tools][tool] = None

    had = set()
    for agent, use in uses(project):
        if (policy := use.policy) is None:
            continue
        had.add(use.tool.name)
        for template in written(policy):
            note(template, "write", agent.name, use.tool.name)
        for template in read(policy):
            note(template, "read", agent.name, use.tool.name)
    for guard in project.guards:  # policies of tools that no agent was seen to have
        for policy in guard.policies:
            if policy.tool not in had and not any(sign in policy.tool for sign in "*?[{"):
                for template in written(policy):
                    note(template, "write", guard.agent, policy.tool)
                for template in read(policy):
                    note(template, "read", guard.agent, policy.tool)
    return tuple(_mapped(shown[resource], found[resource], project) for resource in sorted(found))


def _mapped(pattern: str, parts: dict[str, dict[str, None]], project: Project) -> MappedResource:
    writers, readers, writing, reading = (tuple(sorted(parts[part])) for part in _PARTS)
    unguarded = _around_guards(project, {*writing, *reading})
    return MappedResource(pattern, writers, readers, writing, reading, unguarded)


def _around_guards(project: Project, tools: set[str]) -> tuple[str, ...]:
    """Give the agents that have one of these tools with no guard around it."""
    return tuple(sorted({agent.name for agent, use in uses(project) if use.guard is None and use.tool.name in tools}))


_PARTS: Final = ("writers", "readers", "writing", "reading")
