"""Adding what loaded graphs show to what the source told: what is found in both ways is one thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from clawproof_langgraph.audit.findings import Confidence, Finding, Place
from clawproof_langgraph.audit.loading.model import Loaded, LoadedAgent, LoadedTool, Remark
from clawproof_langgraph.audit.project.model import Agent, GuardSeen, Kind, Policy, Project, Tool, Use, policy_for
from clawproof_langgraph.audit.rules.verdicts import finding
from clawproof_langgraph.audit.source import Function
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.policy import Lock, ToolPolicy

_RULES: Final = {
    "unguarded-tool": "CP002",
    "unmapped-tool": "CP001",
    "local-store": "CP002",
    "retry-policy": "CP008",
    "agent-retried": "CP008",
    "tool-retry-middleware": "CP008",
    "no-checkpoints": "CP008",
}
"""The rule that each kind of remark of `Guard.check` belongs to."""

_ALIKE: Final = 0.5
"""The share of tools in common from which on an agent without a name is taken for the same one."""

_HANDED: Final = ("transfer_to_", "transfer_back_to_")
_OWN: Final = frozenset({"write_todos", "task"})


def merged(project: Project, found: Sequence[Loaded]) -> Project:
    """Add loaded graphs to a project."""
    merge = _Merge(project)
    for each in found:
        for agent in each.agents:
            merge.add(agent, each.file)
    remarks = [_finding(remark, each.file) for each in found for remark in each.remarks if remark.kind in _RULES]
    return replace(
        project,
        tools=tuple(merge.tools),
        agents=tuple(merge.agents),
        guards=(*project.guards, *merge.guards),
        findings=(*project.findings, *dict.fromkeys(remarks)),
    )


def _finding(remark: Remark, file: str) -> Finding:
    message = f"{remark.where}: {remark.what}" if remark.where and remark.where not in remark.what else remark.what
    return finding(
        _RULES[remark.kind], message, Place(file), fix=remark.remedy, confidence=Confidence.CERTAIN
    )  # fmt: skip


class _Merge:
    """A project in the making.

    Args:
        project: what the source told.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._static = len(project.agents)
        self._taken: set[int] = set()
        self.tools = list(project.tools)
        self.agents = list(project.agents)
        self.guards: list[GuardSeen] = []

    def add(self, loaded: LoadedAgent, file: str) -> None:
        """Add an agent of a loaded graph, or to the one that the source has shown."""
        at = self._known(loaded)
        before = self.agents[at] if at is not None else Agent(loaded.name, Place(file))
        guard = self._guard(loaded, before)
        uses = tuple(self._use(tool, loaded, before, guard) for tool in loaded.tools)
        kept = tuple(use for use in before.uses if use.tool.kind is Kind.OWN and use.tool.name not in _names(uses))
        after = replace(before, uses=(*uses, *kept), named=loaded.named or before.named)
        if at is None:
            self.agents.append(after)
        else:
            self._taken.add(at)
            self.agents[at] = after

    def _known(self, loaded: LoadedAgent) -> int | None:
        """Find the agent of the source that this is: by its name, else by its tools."""
        mine = {tool.name for tool in loaded.tools}
        shared = {
            number: len(mine & _names(agent.uses)) / max(len(mine | _names(agent.uses)), 1)
            for number, agent in enumerate(self.agents)
        }
        namesakes = [number for number, agent in enumerate(self.agents) if agent.name == loaded.name]
        if namesakes:
            return max(namesakes, key=lambda number: shared[number])
        free = [number for number in range(self._static) if number not in self._taken and shared[number] >= _ALIKE]
        return max(free, key=lambda number: shared[number], default=None)

    def _guard(self, loaded: LoadedAgent, before: Agent) -> GuardSeen | None:
        """Make of the policies that were found one guard, at the place that the source tells of."""
        if not any(tool.guarded for tool in loaded.tools):
            return None
        known = next((use.guard for use in before.uses if use.guard is not None), None)
        base = known or GuardSeen(before.place, agent=loaded.name if loaded.named else "")
        if known is not None and all(_covers(known, tool) for tool in loaded.tools):
            return known  # with the places of its policies
        policies = tuple(policy for tool in loaded.tools if (policy := _policy(tool, base.place)) is not None)
        guard = replace(base, policies=policies, complete=True, unmapped=loaded.unmapped)
        self.guards.append(guard)
        return guard

    def _use(self, loaded: LoadedTool, agent: LoadedAgent, before: Agent, guard: GuardSeen | None) -> Use:
        known = next((use for use in before.uses if use.tool.name == loaded.name), None)
        tool = known.tool if known is not None else self._tool(loaded, before.place)
        around = guard if loaded.guarded else None
        if around is not None and known is not None and known.guard is not None and _covers(known.guard, loaded):
            around = known.guard
        hooks = agent.hooks if loaded.guarded else "both"
        return Use(tool, around, hooks, known.place if known is not None else before.place)

    def _tool(self, loaded: LoadedTool, place: Place) -> Tool:
        """Find a tool among those of the source, or note it."""
        for tool in self.tools:
            if tool.name == loaded.name and (not loaded.file or tool.place.file == loaded.file):
                return tool
        made = self._made(loaded, place)
        self.tools.append(made)
        return made

    def _made(self, loaded: LoadedTool, place: Place) -> Tool:
        if loaded.name.startswith(_HANDED) or loaded.name in _OWN:
            return Tool(loaded.name, place, Kind.OWN)
        if loaded.mcp:
            said = ", ".join(f"{name}={str(value).lower()}" for name, value in loaded.hints)
            return Tool(loaded.name, place, Kind.MCP, detail=f"a tool of an MCP server{f' ({said})' if said else ''}")
        if loaded.file:
            functions = tuple(self._functions(loaded))
            return Tool(loaded.name, Place(loaded.file, loaded.line), Kind.CODE, functions)
        return Tool(loaded.name, place, Kind.LIBRARY)

    def _functions(self, loaded: LoadedTool) -> Iterable[Function]:
        for module in self._project.tree.modules.values():
            if module.file == loaded.file:
                for function in module.functions:
                    first = min([function.node.lineno, *(each.lineno for each in function.node.decorator_list)])
                    if first <= loaded.line <= function.node.lineno:
                        yield function


def _covers(guard: GuardSeen, loaded: LoadedTool) -> bool:
    """Tell whether the source shows all that a guard says of a tool."""
    return guard.complete and (loaded.policy is None or policy_for(loaded.name, guard) is not None)


def _names(uses: Iterable[Use]) -> set[str]:
    return {use.tool.name for use in uses if use.tool.name}


def _policy(loaded: LoadedTool, place: Place) -> Policy | None:
    if loaded.policy is None:
        return None
    terms: dict[str, Any] = dict(loaded.policy)
    terms["locks"] = [Lock(resource, mode) for resource, mode in terms["locks"]]
    try:
        policy = ToolPolicy(**{name: value for name, value in terms.items() if value is not None})
    except ConfigurationError:  # what cannot be told by itself, such as a probe without its function
        said = {name: terms[name] for name in ("locks", "effect", "ttl")}
        policy = ToolPolicy(**said)
    return Policy(loaded.name, policy, frozenset(loaded.unread), {"": place})
