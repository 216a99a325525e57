"""CP002: state-modifying calls go through one central coordinator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.findings import Confidence, Finding, Outcome, Severity
from clawproof_langgraph.audit.project.model import Agent, Kind, Project, Store, Use
from clawproof_langgraph.audit.project.prompts import coordination_in
from clawproof_langgraph.audit.project.resources import uses
from clawproof_langgraph.audit.rules.facts import (
    coordinated,
    locks_itself,
    obscure,
    ownerless,
    touches,
    write_of,
)
from clawproof_langgraph.audit.rules.verdicts import finding, hidden, not_checked, verdict
from clawproof_langgraph.audit.words import counted, quoted

_ID: Final = "CP002"
_MEMORY: Final = "memory://"
_MESSAGING: Final = re.compile(
    r"^(?:(?:send|post|write|pass)_(?:a_)?message_to|message|ask|tell|notify|ping|inform|consult|negotiate_with|"
    r"coordinate_with|check_with)(?:_\w+)?_(?:agent|agents|peer|peers)$|^(?:ask|tell|notify|message)_(?:the_)?other_\w+$"
)
"""Names of tools by which agents talk to each other."""


def check(project: Project) -> Outcome:
    """Check that every write goes through a guard of one store, and that no prompt asks for coordination."""
    found = [
        *_unguarded(project),
        *_half_hooked(project),
        *_several_stores(project),
        *_prompts(project),
        *_messaging(project),
    ]
    if not found and not coordinated(project) and not any(write_of(tool, project) for tool in project.tools):
        return not_checked(_ID, next(iter(_unseen(project)), "no guard was found, and no tool that was seen to write"))
    if project.orchestrators or project.leaders:
        line = "Orchestrator pattern detected: centralized task coordinator"
    else:
        line = "Central coordinator detected: all state-modifying calls go through one store"
    names = list(dict.fromkeys(each.agent for each in found if each.tool))
    failed = ""
    if len(found) > 1 and len(names) > 1 and all(each.tool for each in found):
        failed = f"{counted(len(names), 'agent')} with calls around the coordinator: {quoted(names)}"
    return verdict(_ID, line, found, list(_unseen(project)), failed=failed)


def _unguarded(project: Project) -> Iterator[Finding]:
    for agent, use in uses(project):
        guard, tool = use.guard, use.tool
        let_through = guard is not None and guard.complete and guard.unmapped == "allow" and use.policy is None
        if (guard is not None and not let_through) or tool.kind is Kind.OWN or locks_itself(tool, project):
            continue
        write = write_of(tool, project)
        if write is None:
            continue
        through = "a guard that lets it through" if let_through else "no guard"
        what = "Node" if tool.kind is Kind.NODE else "Tool"
        whose = "" if tool.kind is Kind.NODE else f' of agent "{agent.name}"'
        yield finding(
            _ID,
            f'{what} "{tool.name}"{whose} {write.what}, and has {through} around it',
            use.place or tool.place,
            write.place,
            agent.place,
            tool=tool.name,
            agent=agent.name,
            confidence=write.confidence,
            fix=_fix(agent, use),
        )


def _fix(agent: Agent, use: Use) -> str:
    if use.tool.kind is Kind.NODE:
        return f'Add it as builder.add_node("{use.tool.name}", guard.node({use.tool.name}, ToolPolicy(...))).'
    return (
        "Give the agent middleware=[CoordinationMiddleware(guard)], make its ToolNode with guard.tool_node(tools), or "
        "wrap the tool with guard.wrap_tool(tool)."
    )


def _half_hooked(project: Project) -> Iterator[Finding]:
    for agent in project.agents:
        half = next((use for use in agent.uses if use.hooks != "both"), None)
        if half is None:
            continue
        other = "awrap_tool_call" if half.hooks == "sync" else "wrap_tool_call"
        then = (
            "under ainvoke() it blocks the event loop, and async tools fail"
            if half.hooks == "sync"
            else "invoke() goes around the guard without a word"
        )
        yield finding(
            _ID,
            f'The ToolNode of agent "{agent.name}" has the {half.hooks} hook of its guard only: {then}',
            agent.place,
            agent=agent.name,
            fix=f"Give it {other}=guard.{other} as well, or make it with guard.tool_node(tools).",
            severity=Severity.HIGH if half.hooks == "async" else Severity.MEDIUM,
        )


def _several_stores(project: Project) -> Iterator[Finding]:
    stores = _distinct([store for store in project.stores if store.url is not None and store.namespace is not None])
    if len(stores) > 1:
        shown = [
            f"{store.url or 'the default store'}{f', namespace {store.namespace}' if store.namespace else ''}"
            for store in stores
        ]
        yield finding(
            _ID,
            f"Agents are coordinated in {len(stores)} stores that know nothing of each other: {quoted(shown)}",
            *(store.place for store in stores),
            fix="Make one Coordinator, and give it to all guards; or give all of them one url and namespace.",
        )


def _distinct(stores: list[Store]) -> list[Store]:
    """Leave out what leads to a store that another one leads to.

    A `memory://` without a name is another store each time; those of one file are taken for one program's, and those of
    different files for those of different programs.
    """
    found: dict[object, Store] = {}
    for store in stores:
        found.setdefault((store.url, store.namespace), store)
    anonymous = [store for store in stores if store.url == _MEMORY]
    by_file: dict[str, list[Store]] = {}
    for store in anonymous:
        by_file.setdefault(store.place.file, []).append(store)
    several = next((those for those in by_file.values() if len(those) > 1), [])
    return [*found.values(), *several[1:]]


def _prompts(project: Project) -> Iterator[Finding]:
    for prompt in project.prompts:
        if passage := coordination_in(prompt.text):
            who = f'The prompt of agent "{prompt.agent}"' if prompt.agent else "A prompt"
            yield finding(
                _ID,
                f'{who} asks the model to coordinate: "{passage}"',
                prompt.place,
                agent=prompt.agent,
                severity=Severity.MEDIUM,
                confidence=Confidence.LIKELY,
                fix="Leave that to the guard: the lock is taken around the call, whatever the model thinks.",
            )


def _messaging(project: Project) -> Iterator[Finding]:
    for agent, use in uses(project):
        tool = use.tool
        if tool.kind is Kind.CODE and _MESSAGING.match(tool.name) and not touches(tool, project):
            yield finding(
                _ID,
                f'Agent "{agent.name}" talks to other agents directly, with "{tool.name}"',
                use.place or tool.place,
                tool.place,
                tool=tool.name,
                agent=agent.name,
                severity=Severity.LOW,
                confidence=Confidence.LIKELY,
                fix="Tell what agents share by events (`emits`, `subscribe`), and let locks decide who may write.",
            )


def _unseen(project: Project) -> Iterator[str]:
    yield from hidden(project)
    for agent, use in uses(project):
        if use.guard is None and (what := obscure(use, project, agent.name)):
            yield f"{what}, and no guard is around it"
        elif use.guard is not None and not use.guard.unmapped and use.policy is None and use.tool.kind is not Kind.OWN:
            yield f'whether the guard of agent "{agent.name}" lets "{use.tool.name}" through is not in the source'
    yield from ownerless(project)
