"""What was found in loaded graphs. Frozen data, as it travels from one process to the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LoadedTool:
    """A tool of a loaded graph.

    Args:
        name: what models call it by.
        file, line: where its function is defined; empty for one that has none.
        guarded: whether a guard coordinates its calls.
        policy: the terms of its policy that can be written as JSON; None where it has no policy.
        unread: the fields of the policy that cannot.
        mcp: whether it calls an MCP server.
        hints: the annotations that its server gives, such as `readOnlyHint`.
    """

    name: str
    file: str = ""
    line: int = 0
    guarded: bool = False
    policy: Mapping[str, Any] | None = None
    unread: tuple[str, ...] = ()
    mcp: bool = False
    hints: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedAgent:
    """A place in a loaded graph where tools run.

    Args:
        name: the agent's; where it has none, one made up for the reader.
        named: whether the name is known when it runs.
        where: the nodes, from that of the outermost graph on.
        tools: its tools.
        hooks: `both`, or the only one of a guard that is given: `sync` or `async`.
        unmapped: what its guard does with a tool without a policy.
        store: the coordination store of its guard, without credentials; empty where it has none.
    """

    name: str
    named: bool
    where: str
    tools: tuple[LoadedTool, ...]
    hooks: str = "both"
    unmapped: str = "error"
    store: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """What a guard says of a graph: `Guard.check`."""

    kind: str
    where: str
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Failure:
    """That something could not be loaded.

    Args:
        what: the graph, or the file.
        why: the reason, in one line.
        file, line: where in the project it came from, if that is known.
    """

    what: str
    why: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of loading a file.

    Args:
        file: it, relative to the project.
        agents: of all of its graphs.
        remarks: of the guards in them.
        failures: what could not be loaded.
    """

    file: str
    agents: tuple[LoadedAgent, ...] = ()
    remarks: tuple[Remark, ...] = ()
    failures: tuple[Failure, ...] = ()


def loaded(said: Mapping[str, Any]) -> Loaded:
    """Make of JSON what `dataclasses.asdict` made it of; raises KeyError, TypeError or ValueError for anything else."""
    return Loaded(
        said["file"],
        tuple(_agent(each) for each in said["agents"]),
        tuple(Remark(**each) for each in said["remarks"]),
        tuple(Failure(**each) for each in said["failures"]),
    )


def _agent(said: Mapping[str, Any]) -> LoadedAgent:
    return LoadedAgent(**{**said, "tools": tuple(_tool(each) for each in said["tools"])})


def _tool(said: Mapping[str, Any]) -> LoadedTool:
    hints = tuple((str(name), bool(value)) for name, value in said["hints"])
    return LoadedTool(**{**said, "unread": tuple(said["unread"]), "hints": hints})
