"""A project as an audit sees it: tools, agents, guards and what else bears on coordination. Frozen data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from clawproof_langgraph.audit.findings import Finding, Place, Unseen
from clawproof_langgraph.audit.source import Function, SourceTree
from clawproof_langgraph.config.globs import best
from clawproof_langgraph.policy import ToolPolicy


class Kind(StrEnum):
    """Where a tool comes from, and so how much of it can be seen."""

    CODE = "code"
    """Its body is in the project."""
    NODE = "node"
    """A node of a graph, of which the body is in the project."""
    OWN = "own"
    """LangGraph's own tools for handing over and planning."""
    LIBRARY = "library"
    """It is made by a library."""
    MCP = "mcp"
    """It comes from an MCP server; its name may not be known."""
    UNKNOWN = "unknown"
    """A list that could not be followed to its tools."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of a tool, as far as it can be read.

    Args:
        tool: the name, or glob, under which it is given.
        policy: what could be read of it; a field that could not has its default.
        unread: the fields whose values are made only when the program runs.
        places: where it is given, and where each field comes from, by field; `""` is the whole.
        source: `python`, `file`, or `serialize` for what a guard does with a tool without a policy.
        key_code: the text of a `key` that is a function.
    """

    tool: str
    policy: ToolPolicy
    unread: frozenset[str] = frozenset()
    places: dict[str, Place] = field(default_factory=dict)
    source: str = "python"
    key_code: str = ""

    def place(self, name: str = "") -> Place | None:
        """Give where a field is said, or else the policy."""
        return self.places.get(name) or self.places.get("")


@dataclass(frozen=True, slots=True)
class Store:
    """A coordinator, as it is made.

    Args:
        url: as it is written; empty for the default; None where it is made only when the program runs.
        namespace: the same.
        place: where it is made.
    """

    url: str | None
    namespace: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class GuardSeen:
    """A guard, as it is made.

    Args:
        place: where.
        policies: what it says of tools.
        complete: whether all of its policies could be read.
        agent: the agent that it names, if it does.
        unmapped: `error`, `serialize` or `allow`; empty where the source does not tell.
        resources: terms by pattern of resources: `ttl` and `expected`, in seconds.
        store: its coordinator, where that could be followed.
        file: the configuration file that it reads, if it does.
        lookup: finds the policy of a tool in that file.
        made: whether code makes it; else it is what a file says that nobody was seen to read.
    """

    place: Place
    policies: tuple[Policy, ...] = ()
    complete: bool = True
    agent: str = ""
    unmapped: str = "error"
    resources: tuple[tuple[str, dict[str, float]], ...] = ()
    store: Store | None = None
    file: Path | None = None
    lookup: Callable[[str], Policy | None] | None = field(default=None, compare=False, repr=False)
    made: bool = True


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Args:
        name: what models call it by; empty where that is not known.
        place: where it is defined, or else where it is given to an agent.
        kind: where it comes from.
        functions: what runs when it is called, sync and async.
        detail: for one that cannot be seen: what it is, such as `the tools of an MCP server`.
    """

    name: str
    place: Place
    kind: Kind = Kind.CODE
    functions: tuple[Function, ...] = ()
    detail: str = ""

    @property
    def is_seen(self) -> bool:
        """Whether its body can be looked at."""
        return bool(self.functions)


@dataclass(frozen=True, slots=True)
class Use:
    """A tool in the hands of an agent.

    Args:
        tool: the tool.
        guard: the guard around it, None for none.
        hooks: `both`, or the only one that is given: `sync` or `async`.
        place: where it is given to the agent.
    """

    tool: Tool
    guard: GuardSeen | None = None
    hooks: str = "both"
    place: Place | None = None

    @property
    def policy(self) -> Policy | None:
        """The policy that applies to it: by its name, else by the narrowest glob."""
        return policy_for(self.tool.name, self.guard) if self.guard else None


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent: what has tools and can be told apart from others.

    Args:
        name: its name; where it has none, one made up for the reader.
        place: where it is made.
        uses: its tools.
        named: whether the name is known when it runs, so that it can be killed.
        retried: where it, or its node, is retried by LangGraph or LangChain.
    """

    name: str
    place: Place
    uses: tuple[Use, ...] = ()
    named: bool = True
    retried: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text that is given to a model.

    Args:
        text: it.
        place: where it is written.
        agent: whose it is, if that is known.
    """

    text: str
    place: Place
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Somebody who follows events.

    Args:
        types: of these types; none for all; None where that cannot be told.
        agent: the agent or the name under which it is followed, if it is known.
        place: where.
    """

    types: tuple[str, ...] | None
    agent: str
    place: Place


@dataclass(frozen=True, slots=True)
class StressTest:
    """A test that plays agents together.

    Args:
        place: where.
        agents: how many; None where that cannot be told.
    """

    place: Place
    agents: int | None


@dataclass(frozen=True, slots=True)
class StressRun:
    """What a run of `clawproof stress` left.

    Args:
        file: its report.
        ok: whether nothing broke.
        agents, seconds: what was played.
        started: seconds since the epoch.
        findings: what broke, in words.
        target: the scenario.
    """

    file: str
    ok: bool
    agents: int
    seconds: float
    started: float = 0.0
    findings: tuple[str, ...] = ()
    target: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """How long a resource was waited for, the hottest of a measurement.

    Args:
        resource: its name.
        calls: how many calls wanted it.
        p95: seconds that 95 % of them did not exceed; None where only the longest is known.
        longest: the longest wait in seconds.
        source: what was measured, such as `the log of the last 24 h` or the file of a stress report.
        paused: seconds for which a stress run stopped a process that held leases, at the longest.
        killed: whether it killed some.
    """

    resource: str
    calls: int
    p95: float | None
    longest: float
    source: str
    paused: float = 0.0
    killed: bool = False


@dataclass(frozen=True, slots=True)
class Waiver:
    """Findings that do not count, by the configuration file.

    Args:
        rule: of this rule; empty for all.
        reason: why not.
        tool: only of tools that this pattern names; empty for all.
        agent: only of this agent; empty for all.
        path: only in files that this pattern names, from `Project.folder`; empty for all.
        place: where it is said.
    """

    rule: str
    reason: str
    tool: str = ""
    agent: str = ""
    path: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """All that an audit knows.

    Args:
        root: the folder to which places are relative.
        tree: the files that were read.
        folder: that of the configuration file.
        tools: all tools of the project's code, those that no agent has as well.
        agents: the agents.
        wrapped: the places of tools that are put behind a guard by themselves, whoever has them.
        played: the places of tools that agents of a stress run have.
        guards: the guards, and what the configuration file says of tools.
        stores: the coordinators.
        prompts: texts for models.
        orchestrators: where tasks of agents are coordinated, by `build_orchestrator`.
        leaders: where a model leads agents, as a supervisor or in a swarm, and coordinates nothing.
        published: types of events that code publishes itself.
        subscriptions: who follows events.
        sinks: where alerts of suspected deadlocks go, in words.
        sinks_told: whether code of the project delivers to them; else the command `clawproof alerts` has to.
        stress_tests, stress_run: the concurrency tests, and the last of the runs.
        measured: the hottest resources, the hottest first; None if nothing was measured.
        unread_log: why the log that was asked for tells nothing.
        waivers: what the configuration file says does not count.
        unseen: what could not be looked at.
        hidden: of these, what may hold code of the program, or policies.
        observed: what the run-time log showed, a line each.
        findings: what further ways to look have found, for the rules that they name.
        whole: whether all of the project was read, so that what was not found is not there.
        hot_wait: seconds of waiting from which on a resource is hot.
    """

    root: Path
    tree: SourceTree
    folder: Path = Path()
    tools: tuple[Tool, ...] = ()
    agents: tuple[Agent, ...] = ()
    wrapped: frozenset[Place] = frozenset()
    played: frozenset[Place] = frozenset()
    guards: tuple[GuardSeen, ...] = ()
    stores: tuple[Store, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    orchestrators: tuple[Place, ...] = ()
    leaders: tuple[Place, ...] = ()
    published: frozenset[str] = frozenset()
    subscriptions: tuple[Subscription, ...] = ()
    sinks: tuple[str, ...] = ()
    sinks_told: bool = True
    stress_tests: tuple[StressTest, ...] = ()
    stress_run: StressRun | None = None
    measured: tuple[Measured, ...] | None = None
    unread_log: str = ""
    waivers: tuple[Waiver, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    hidden: tuple[Unseen, ...] = ()
    observed: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    whole: bool = True
    hot_wait: float = 1.0


def policy_for(name: str, guard: GuardSeen) -> Policy | None:
    """Find the policy of a tool in a guard: what Python says, then the file, each its own name before a pattern."""
    from_python = {policy.tool: policy for policy in guard.policies if policy.source == "python"}
    if name in from_python:
        return from_python[name]
    fitting = best(name, from_python) if name else ()
    if fitting:
        return from_python[fitting[0]]
    if guard.lookup is not None and name and (policy := guard.lookup(name)) is not None:
        return policy
    if guard.unmapped == "serialize" and name and guard.complete:
        return Policy(name, ToolPolicy(locks=[name]), places={"": guard.place}, source="serialize")
    return None
