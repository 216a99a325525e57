"""The part of the map that no policy tells of: who touches what around every guard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from clawproof_langgraph.audit.findings import Confidence, MappedResource
from clawproof_langgraph.audit.project.model import Kind, Project, Use, policy_for
from clawproof_langgraph.audit.project.resources import family, read, uses, written
from clawproof_langgraph.audit.rules.facts import SHARED, locks_itself, touches


@dataclass(frozen=True, slots=True)
class _Access:
    """That an agent touches a resource without a guard."""

    resource: str
    agent: str
    tool: str
    writes: bool


def with_bare(resources: Sequence[MappedResource], project: Project) -> tuple[MappedResource, ...]:
    """Add to the map who goes around every guard.

    What such a call touches is told by the policy that its tool has elsewhere, or by what its body does. A read counts
    where the resource is on the map: what nobody writes needs no guard.
    """
    found: defaultdict[str, list[_Access]] = defaultdict(list)
    for access in _accesses(project):
        found[family(access.resource)].append(access)
    known = {family(each.pattern) for each in resources}
    mapped = [_joined(each, found[family(each.pattern)]) for each in resources]
    new = [
        _joined(MappedResource(those[0].resource), those)
        for name, those in sorted(found.items())
        if name not in known and any(access.writes for access in those)
    ]
    return (*mapped, *new)


def _joined(resource: MappedResource, accesses: Sequence[_Access]) -> MappedResource:
    if not accesses:
        return resource
    writing = [access for access in accesses if access.writes]
    reading = [access for access in accesses if not access.writes]
    return replace(
        resource,
        writers=_merged(resource.writers, [access.agent for access in writing]),
        readers=_merged(resource.readers, [access.agent for access in reading]),
        writing=_merged(resource.writing, [access.tool for access in writing]),
        reading=_merged(resource.reading, [access.tool for access in reading]),
        unguarded=_merged(resource.unguarded, [access.agent for access in accesses]),
    )


def _merged(names: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({*names, *more} - {""}))


def _accesses(project: Project) -> Iterator[_Access]:
    for agent, use in uses(project):
        if _is_bare(use) and not locks_itself(use.tool, project):
            for resource, writes in _touched(use, project):
                yield _Access(resource, agent.name, use.tool.name, writes)


def _is_bare(use: Use) -> bool:
    if use.tool.kind is Kind.OWN:
        return False
    guard = use.guard
    return guard is None or (guard.complete and guard.unmapped == "allow" and use.policy is None)


def _touched(use: Use, project: Project) -> Iterator[tuple[str, bool]]:
    declared = [policy for guard in project.guards if (policy := policy_for(use.tool.name, guard)) is not None]
    if declared:
        yield from ((template, True) for template in written(declared[0]))
        yield from ((template, False) for template in read(declared[0]))
        return
    for touch in touches(use.tool, project):
        if touch.resource and touch.kind in SHARED and touch.confidence is not Confidence.POSSIBLE:
            yield touch.resource, touch.writes
