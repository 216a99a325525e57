"""CP004: all locks are taken in one global order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects import ForeignLock, locks_in
from clawproof_langgraph.audit.findings import Confidence, Finding, Outcome, Severity
from clawproof_langgraph.audit.project.model import Project, Tool, Use
from clawproof_langgraph.audit.project.resources import uses
from clawproof_langgraph.audit.rules.facts import bare_writers, coordinated, obscure, orphans, unread_policy
from clawproof_langgraph.audit.rules.verdicts import finding, hidden, not_checked, verdict
from clawproof_langgraph.audit.words import counted

_ID: Final = "CP004"
_LINE: Final = "Global lock ordering enforced (alphabetical resource-ID)"


def check(project: Project) -> Outcome:
    """Check that no tool takes a lock of its own beside those of the coordinator."""
    found = list(_findings(project))
    unseen = list(_unseen(project))
    if bare := bare_writers(project):
        message = f"No lock order: {counted(len(bare), 'writing tool')} without any guard"
        found.append(finding(_ID, message, *(use.place or use.tool.place for use in bare)))
    if found or coordinated(project):
        return verdict(_ID, _LINE, found, unseen)
    return not_checked(_ID, unseen[0] if unseen else "no guard was found, and no tool that was seen to write")


def _findings(project: Project) -> Iterator[Finding]:
    seen = set()
    for agent, use in uses(project):
        for each in _of_tool(use.tool, use, agent.name, project):
            if (each.tool, each.places) not in seen:
                seen.add((each.tool, each.places))
                yield each
    for tool in orphans(project):
        yield from _of_tool(tool, None, "", project)


def _of_tool(tool: Tool, use: Use | None, agent: str, project: Project) -> Iterator[Finding]:
    locks = [lock for function in tool.functions for lock in locks_in(function, project.tree)]
    rows = [lock for lock in locks if lock.library == "database"]
    for lock in dict.fromkeys(locks):
        if lock.confidence is Confidence.POSSIBLE or not _matters(lock, rows, use):
            continue
        nested = bool(lock.inside)
        beside = f", while it holds {lock.inside[0]}" if nested else ""
        kind = (
            "a further lock of the coordinator" if lock.library == "coordinator" else "a lock outside the global order"
        )
        yield finding(
            _ID,
            f'Tool "{tool.name}" takes {kind}: {lock.what}{beside}',
            lock.place,
            *lock.via[:1],
            tool=tool.name,
            agent=agent,
            severity=Severity.MEDIUM if nested else Severity.LOW,
            confidence=lock.confidence,
        )


def _matters(lock: ForeignLock, rows: list[ForeignLock], use: Use | None) -> bool:
    """Tell whether a lock can be part of a circle.

    Locks of rows that one statement takes are sorted out by the database. A lock of the coordinator is the coordination
    itself, unless the guard around the tool holds some already.
    """
    if lock.library == "database":
        return bool(lock.inside) or len(rows) > 1
    if lock.library == "coordinator":
        guarded = use is not None and use.policy is not None and bool(use.policy.policy.locks)
        return bool(lock.inside) or guarded
    return True


def _unseen(project: Project) -> Iterator[str]:
    yield from hidden(project)
    for agent, use in uses(project):
        if unread_policy(use):
            yield f'the policies of agent "{agent.name}" are made when the program runs'
        elif use.guard is None and (what := obscure(use, project, agent.name)):
            yield what
