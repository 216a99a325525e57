"""What really happened: a way to look that reads the event log and a snapshot of a store, and writes nothing.

A file is read through a copy that SQLite makes of it, so that a file of a running system is neither changed nor kept
from its writers. A store or namespace that does not exist is not made.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from clawproof_langgraph import events as log
from clawproof_langgraph.audit.findings import Confidence, Finding, Severity, Unseen
from clawproof_langgraph.audit.project.model import Measured, Project
from clawproof_langgraph.audit.rules.verdicts import finding
from clawproof_langgraph.audit.words import counted, quoted
from clawproof_langgraph.backends.presence import missing, open_read_only, sqlite_file
from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import ClawproofError
from clawproof_langgraph.events import Event
from clawproof_langgraph.inspection.calls import calls_of
from clawproof_langgraph.inspection.contention import contention_of
from clawproof_langgraph.model import Snapshot

_PAGE: Final = 5000
_HOTTEST: Final = 10
"""The most resources that are told of."""

_COUNTED: Final = {
    log.DEADLOCK_SUSPECTED: ("suspected deadlock", ""),
    log.DEADLOCK_PREVENTED: ("deadlock prevented", "deadlocks prevented"),
    log.LOCK_EXPIRED: ("lease that ran out under its holder", "leases that ran out under their holders"),
    log.LEASE_LOST: ("lease lost while its tool ran", "leases lost while their tools ran"),
    log.AGENT_KILLED: ("agent killed", "agents killed"),
    log.CALL_STALE: ("stale read", ""),
    log.CALL_UNDECLARED: ("undeclared write refused", "undeclared writes refused"),
}
"""The events that are counted, each with its noun."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a log shows.

    Args:
        store: where it is, in words.
        first, last: the times of its first and last event, in seconds since the epoch.
        events, calls: how many there are.
        agents, resources, tools: the names that occur.
        measured: how long resources were waited for, the hottest first.
        counted: how often what deserves attention happened, by type of event.
        suspected: the resources of suspected deadlocks.
        unguarded: how often each agent called each tool around its guard: `((agent, tool), times)`.
        undeclared: resources that agents changed outside of their declaration: `((agent, resource), times)`.
        in_doubt: the tools of calls that are in doubt now.
        stopped: the agents that are stopped now.
        truncated: whether older events were deleted.
    """

    store: str
    first: float = 0.0
    last: float = 0.0
    events: int = 0
    calls: int = 0
    agents: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()
    counted: tuple[tuple[str, int], ...] = ()
    suspected: tuple[str, ...] = ()
    unguarded: tuple[tuple[tuple[str, str], int], ...] = ()
    undeclared: tuple[tuple[tuple[str, str], int], ...] = ()
    in_doubt: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    truncated: bool = False


class Log:
    """The way to look that reads a log.

    Args:
        url: the store; None for `CLAWPROOF_URL`, else the project's own file.
        namespace: in the store; None for `CLAWPROOF_NAMESPACE`, else `default`.
    """

    name = "log"

    def __init__(self, url: str | None = None, namespace: str | None = None) -> None:
        self._url = url or os.environ.get("CLAWPROOF_URL") or None
        self._namespace = namespace or os.environ.get("CLAWPROOF_NAMESPACE") or "default"

    def look(self, project: Project) -> Project:
        """Add what the log shows; where it cannot be read, what was not seen is told, and nothing else changes."""
        seen = observe(self._url, self._namespace)
        if isinstance(seen, Unseen):
            return replace(project, unseen=(*project.unseen, seen), unread_log=f"{seen.what}: {seen.why}")
        strange = _strange_tools(seen, project)
        return replace(
            project,
            measured=seen.measured if seen.measured or project.measured is None else project.measured,
            observed=(*project.observed, *lines(seen, project)),
            findings=(*project.findings, *findings(seen)),
            unseen=(*project.unseen, *strange),
        )


def observe(url: str | None, namespace: str) -> Observed | Unseen:
    """Read a log.

    Args:
        url: the store; None for the project's own file.
        namespace: in the store.
    """
    shown = _shown(url)
    try:
        if gone := missing(url, namespace):
            return Unseen(shown, f"{gone}; nothing was made")
        with _opened(url, namespace) as coordinator:
            seen = _read(coordinator, shown, namespace)
    except (ClawproofError, sqlite3.DatabaseError, OSError, ValueError) as exc:
        return Unseen(shown, str(exc))
    if not seen.calls:
        return Unseen(shown, f'the log of namespace "{namespace}" tells of no call, so nothing was measured')
    return seen


def _shown(url: str | None) -> str:
    """Word where the log is, without credentials."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return "the store"
    if not url or (parts.scheme == "sqlite" and not parts.netloc):
        return f"sqlite:///{sqlite_file(url).absolute()}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextmanager
def _opened(url: str | None, namespace: str) -> Iterator[Coordinator]:
    """Open a store that exists: a file as a copy of it."""
    if url and urlsplit(url).scheme != "sqlite":
        with Coordinator.from_url(url, namespace=namespace) as coordinator:
            yield coordinator
        return
    with tempfile.TemporaryDirectory(prefix="clawproof-") as folder:
        copy = Path(folder, "state.db")
        with closing(open_read_only(sqlite_file(url))) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        with Coordinator.from_url(f"sqlite:///{quote(str(copy))}", namespace=namespace) as coordinator:
            yield coordinator


# --- reading ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Notes:
    """What is noted of events as they pass."""

    events: int = 0
    first: float = 0.0
    last: float = 0.0
    agents: set[str] = field(default_factory=set)
    resources: set[str] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)
    counted: Counter[str] = field(default_factory=Counter)
    suspected: set[str] = field(default_factory=set)
    unguarded: Counter[tuple[str, str]] = field(default_factory=Counter)
    undeclared: Counter[tuple[str, str]] = field(default_factory=Counter)
    truncated: bool = False

    def noting(self, events: Iterable[Event]) -> Iterator[Event]:
        """Note events, and pass them on."""
        for event in events:
            self._note(event)
            yield event

    def _note(self, event: Event) -> None:
        self.events += 1
        self.first, self.last = self.first or event.time, event.time
        self.agents.add(event.agent)
        self.resources.update(event.resources)
        tool = event.data.get("tool")
        if event.type in log.BUILT_IN and isinstance(tool, str):
            self.tools.add(tool)
        match event.type:
            case log.LOG_TRUNCATED:
                self.truncated = True
            case log.CALL_UNGUARDED:
                self.unguarded[event.agent, str(tool or "")] += 1
            case log.CALL_UNDECLARED as kind:
                if event.data.get("refused"):
                    self.counted[kind] += 1
                else:
                    self.undeclared.update((event.agent, resource) for resource in event.resources)
            case kind if kind in _COUNTED:
                self.counted[kind] += 1
                if kind == log.DEADLOCK_SUSPECTED:
                    self.suspected.update(event.resources)


def _read(coordinator: Coordinator, shown: str, namespace: str) -> Observed:
    notes = _Notes()
    calls = calls_of(notes.noting(_events(coordinator)))
    snapshot: Snapshot = coordinator.snapshot()
    source = f"the log of {shown}"
    measured = [
        Measured(each.resource, each.calls, each.p95, each.longest, source)
        for each in contention_of(calls, limit=len(notes.resources) or 1)
    ]
    measured.sort(key=lambda each: (-(each.p95 or 0.0), -each.calls, each.resource))
    return Observed(
        store=f'{shown}, namespace "{namespace}"',
        first=notes.first,
        last=notes.last,
        events=notes.events,
        calls=len(calls) + notes.unguarded.total(),
        agents=tuple(sorted(notes.agents - {""})),
        resources=tuple(sorted(notes.resources)),
        tools=tuple(sorted(notes.tools - {""})),
        measured=tuple(measured[:_HOTTEST]),
        counted=tuple((kind, notes.counted[kind]) for kind in _COUNTED if notes.counted[kind]),
        suspected=tuple(sorted(notes.suspected)),
        unguarded=tuple(notes.unguarded.most_common()),
        undeclared=tuple(notes.undeclared.most_common()),
        in_doubt=tuple(entry.tool for entry in snapshot.in_doubt),
        stopped=tuple(killed.agent for killed in snapshot.killed),
        truncated=notes.truncated,
    )


def _events(coordinator: Coordinator) -> Iterator[Event]:
    after = 0
    while page := coordinator.events(after=after, limit=_PAGE):
        yield from page
        after = page[-1].cursor


# --- telling ------------------------------------------------------------------------------------------------------


def lines(seen: Observed, project: Project | None = None) -> Iterator[str]:
    """Word what a log shows, a line each."""
    span = f"{_moment(seen.first)} to {_moment(seen.last)}"
    yield f"{counted(seen.events, 'event')} of {counted(seen.calls, 'call')} in {seen.store}, {span}"
    if seen.truncated:
        yield "Older events were deleted; what they told is not counted"
    yield f"{counted(len(seen.agents), 'agent')} seen: {quoted(seen.agents, 8) or 'none with a name'}"
    yield f"{counted(len(seen.resources), 'resource')} seen: {quoted(seen.resources, 8) or 'none'}"
    for measured in seen.measured[:1]:
        yield (
            f'Hottest resource "{measured.resource}": {counted(measured.calls, "call")}, '
            f"p95 wait {_duration(measured.p95 or 0.0)}, longest {_duration(measured.longest)}"
        )
    for (agent, tool), times in seen.unguarded:
        yield f'Without a guard: "{tool}"{_of(agent)}, {counted(times, "time")}'
    for (agent, resource), times in seen.undeclared:
        yield f'Outside of its declaration: "{agent}" changed "{resource}", {counted(times, "time")}'
    for kind, number in seen.counted:
        rest = f", on {quoted(seen.suspected, 5)}" if kind == log.DEADLOCK_SUSPECTED and seen.suspected else ""
        yield f"{counted(number, *_COUNTED[kind])}{rest}"
    if seen.in_doubt:
        yield f"{counted(len(seen.in_doubt), 'call')} in doubt now, of {quoted(seen.in_doubt, 5)}: `clawproof locks`"
    if seen.stopped:
        yield f"Stopped now: {quoted(seen.stopped, 8)}"
    if project is not None and (strange := _strange(seen, project)):
        yield f"Called, but not found in the source: {quoted(strange, 8)}"


def findings(seen: Observed) -> Iterator[Finding]:
    """Give what a log shows that breaks a rule; what is hot is the business of CP009 itself."""
    for (agent, tool), times in seen.unguarded:
        yield finding(
            "CP002", f'Tool "{tool}"{_of(agent)} ran {counted(times, "time")} without a guard, by the log',
            tool=tool, agent=agent, severity=Severity.HIGH, confidence=Confidence.CERTAIN,
            fix='Give it a policy; a guard with unmapped="allow" lets through what has none.',
        )  # fmt: skip
    for (agent, resource), times in seen.undeclared:
        yield finding(
            "CP001", f'Agent "{agent}" changed "{resource}" {counted(times, "time")}, which its `writes` do not have',
            agent=agent, resource=resource, confidence=Confidence.CERTAIN,
            fix="Add the resource to the `writes` of the agent, or take the tool away from it; with `enforce = true` "
            "such calls are refused.",
        )  # fmt: skip


def _strange_tools(seen: Observed, project: Project) -> Iterator[Unseen]:
    if strange := _strange(seen, project):
        what = counted(len(strange), "tool that was called", "tools that were called")
        yield Unseen(what, f"the source that was read does not have {quoted(strange, 8)}")


def _strange(seen: Observed, project: Project) -> tuple[str, ...]:
    known = {tool.name for tool in project.tools} | {use.tool.name for agent in project.agents for use in agent.uses}
    return tuple(tool for tool in seen.tools if tool not in known)


def _of(agent: str) -> str:
    return f' of agent "{agent}"' if agent else ""


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
