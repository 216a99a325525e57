"""A guard's look at a compiled graph, before anything runs: what is around its tools, and which of them it guards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from langchain_core.tools import BaseTool

from clawproof_langgraph.config.configuration import is_langgraphs_own
from clawproof_langgraph.graph.advice import Finding, of_place, unguarded, unmapped
from clawproof_langgraph.graph.lookout import Lookout
from clawproof_langgraph.graph.nodes import calls_of_node
from clawproof_langgraph.graph.policies import Policies
from clawproof_langgraph.graph.structure import Room, nodes_of, rooms_of
from clawproof_langgraph.graph.surroundings import Place
from clawproof_langgraph.graph.tools import calls_of, is_guarded
from clawproof_langgraph.policy import ToolPolicy


@dataclass(frozen=True, slots=True)
class Check:
    """What a guard looks for.

    Args:
        guard: which guard; its hooks are known by it.
        kind: the type of all guards.
        lookout: of the guard; its calls are known by it.
        policies: of the guard.
        policy_of: gives the policy of a tool, one that `unmapped` makes up included.
        strict: whether the guard refuses a tool without a policy.
    """

    guard: object
    kind: type
    lookout: Lookout
    policies: Policies
    policy_of: Callable[[BaseTool], ToolPolicy | None]
    strict: bool

    def findings(self, graph: Any) -> list[Finding]:
        """Look at a compiled graph, and at those in it."""
        found = [
            *self.lookout.of_process(),
            *(finding for room in rooms_of(graph) for finding in self._room(room)),
            *(finding for place, node in nodes_of(graph) for finding in self._node(place, node)),
        ]
        return list(dict.fromkeys(found))  # a graph may be reached in two ways

    def _node(self, place: Place, node: Any) -> Iterable[Finding]:
        calls = calls_of_node(node)
        return calls.findings(place) if calls is not None and calls.lookout is self.lookout else ()

    def _room(self, room: Room) -> Iterator[Finding]:
        hooks = room.place.around_tools()
        for tool in room.tools:
            policy = self.policy_of(tool)
            if self._guards(tool, hooks):
                if policy is not None:
                    yield from of_place(room.place, tool.name, policy)
                elif self.strict and not is_langgraphs_own(tool.name):
                    yield unmapped(room.place.name, tool.name)
            elif self.policies.of(tool.name) is not None and not self._is_guarded_by_any(tool, hooks):
                yield unguarded(room.place.name, tool.name)

    def _guards(self, tool: BaseTool, hooks: Iterable[Any]) -> bool:
        calls = calls_of(tool)
        return calls.lookout is self.lookout if calls else any(item is self.guard for item in hooks)

    def _is_guarded_by_any(self, tool: BaseTool, hooks: Iterable[Any]) -> bool:
        return is_guarded(tool) or any(isinstance(item, self.kind) for item in hooks)
