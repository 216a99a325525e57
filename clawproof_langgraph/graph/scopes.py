"""What a scope holds: the resources that its policy names by the input of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

from langgraph.types import Command, interrupt

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import ConfigurationError, UnfitArgument
from clawproof_langgraph.graph.node_calls import values_of
from clawproof_langgraph.graph.references import names_in, reachable
from clawproof_langgraph.graph.runs import Configurable, Graph, agent_in, configurable_of, pulse_of
from clawproof_langgraph.held_lock import HeldRun
from clawproof_langgraph.model import Mode, Want
from clawproof_langgraph.policy import Effect, ToolPolicy
from clawproof_langgraph.templates import Template, agent_name, parse

_MEANT_BY_A_SCOPE = frozenset({"locks", "effect", "ttl", "wait"})
_EFFECTS = (Effect.ONCE, Effect.DELEGATE, Effect.READ)


class Scope:
    """Holds the resources that a policy names for each run of a graph.

    Args:
        coordinator: where.
        policy: which, and for how long.
        agent: the agent's name; empty to find it per run.
        name: of the graph, for humans.

    Raises:
        ConfigurationError: the policy names no resource, or says what only a call can keep.
    """

    def __init__(self, coordinator: Coordinator, policy: ToolPolicy, agent: str, name: str) -> None:
        _check(policy, name)
        self._coordinator, self._policy, self._agent, self._name = coordinator, policy, agent, name
        self._locks: tuple[tuple[Template, Mode], ...] = tuple(
            (parse(lock.resource), lock.mode) for lock in policy.lock_list()
        )
        self._fields = frozenset(root for template, _ in self._locks for root in template.roots)

    def lock(self, graph: Graph, given: Any, config: Any) -> HeldRun:
        """Make the lock of a run that is about to begin.

        Raises:
            ConfigurationError: a field is missing, or the graph could not go on after an interrupt.
        """
        configurable = configurable_of(graph, config)
        self._check_resumable(graph, configurable)
        values = _given(given)
        if self._lacks(values) and _has_history(graph, configurable):
            values = {**values_of(graph.get_state(_address(configurable)).values), **values}
        return self._lock(graph, values, config, configurable)

    async def alock(self, graph: Graph, given: Any, config: Any) -> HeldRun:
        """Do what `lock` does, from an event loop."""
        configurable = configurable_of(graph, config)
        self._check_resumable(graph, configurable)
        values = _given(given)
        if self._lacks(values) and _has_history(graph, configurable):
            values = {**values_of((await graph.aget_state(_address(configurable))).values), **values}
        return self._lock(graph, values, config, configurable)

    def _lacks(self, values: Mapping[str, Any]) -> bool:
        return any(values.get(name) is None for name in self._fields)

    def _lock(self, graph: Graph, values: Mapping[str, Any], config: Any, configurable: Configurable) -> HeldRun:
        agent = self._agent or agent_name(agent_in(graph, config))
        thread = str(configurable.get("thread_id") or "")
        return HeldRun(
            self._coordinator, self._wants(values), agent, self._policy.ttl, self._policy.wait_limit(), thread=thread,
            pulse=pulse_of(configurable),
        )  # fmt: skip

    def _wants(self, values: Mapping[str, Any]) -> tuple[Want, ...]:
        modes: dict[str, Mode] = {}
        for template, mode in self._locks:
            for name in self._rendered(template, values):
                if modes.get(name) is not Mode.EXCLUSIVE:
                    modes[name] = mode
        return tuple(Want(name, modes[name]) for name in sorted(modes))

    def _rendered(self, template: Template, values: Mapping[str, Any]) -> tuple[str, ...]:
        try:
            return template.render(values)
        except ConfigurationError as exc:
            why = f"{exc} A scope reads the input of a run, and what the thread's state has of fields that it lacks."
            raise UnfitArgument(self._name, why, "graph") from exc

    def _check_resumable(self, graph: Graph, configurable: Configurable) -> None:
        if _checkpointer_of(graph, configurable) is None and (node := next(_interrupting(graph), None)):
            raise ConfigurationError(
                f'Graph "{self._name}" was not run. Its node "{node}" may interrupt it, which gives the locks of the '
                f"scope up, and without a checkpointer nobody could go on with it. Compile the graph that is invoked "
                f"with compile(checkpointer=...)."
            )


def _check(policy: ToolPolicy, name: str) -> None:
    if not isinstance(policy, ToolPolicy):
        raise ConfigurationError(f'The policy of graph "{name}" is a {type(policy).__name__}; write ToolPolicy(...).')
    if not policy.locks:
        raise ConfigurationError(
            f'The scope of graph "{name}" holds nothing; write ToolPolicy(locks=["order/{{id}}"]).'
        )
    for lock in policy.lock_list():
        if lock.mode not in (Mode.EXCLUSIVE, Mode.SHARED):
            raise ConfigurationError(
                f'The scope of graph "{name}" has the {lock.mode} lock "{lock.resource}", which holds nothing; give it '
                f"to the nodes and tools in the graph."
            )
    foreign = sorted(policy.model_fields_set - _MEANT_BY_A_SCOPE)
    if foreign or policy.effect not in _EFFECTS:
        said = ", ".join(foreign) if foreign else f'effect="{policy.effect}"'
        raise ConfigurationError(
            f'The scope of graph "{name}" holds locks, and promises nothing of effects: {said} says nothing to it. Say '
            f"it of the nodes and tools in the graph, with guard.node and guard.tool_node; a scope has locks, ttl and "
            f'wait, and effect="read" to share its locks.'
        )


def _given(given: Any) -> Mapping[str, Any]:
    """List the fields of what a run is given; a Command gives what it updates."""
    if not isinstance(given, Command):
        return values_of(given)
    return given.update if isinstance(given.update, Mapping) else {}


def _address(configurable: Configurable) -> Any:
    return {"configurable": dict(configurable)}


def _has_history(graph: Graph, configurable: Configurable) -> bool:
    return bool(configurable.get("thread_id")) and _checkpointer_of(graph, configurable) is not None


def _checkpointer_of(graph: Graph, configurable: Configurable) -> Any:
    if graph.checkpointer is False:
        return None
    return configurable.get("__pregel_checkpointer", graph.checkpointer)


def _interrupting(graph: Graph) -> Iterator[str]:
    """List the nodes that may interrupt a graph, as far as it says so or their code names `interrupt`."""
    for declared in (graph.interrupt_before_nodes, graph.interrupt_after_nodes):
        yield from ["*"] if declared == "*" else declared
    for name, node in graph.nodes.items():
        if any(_interrupts(item) for item in reachable(node.bound)):
            yield name


def _interrupts(item: Any) -> bool:
    named = isinstance(item, FunctionType) and "interrupt" in names_in(item.__code__)
    return named and item.__globals__.get("interrupt") is interrupt
