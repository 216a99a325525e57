"""A guard's look at what is around its tools, before they run: once for each place, a warning for each finding."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from langgraph.config import get_config

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.graph import advice
from clawproof_langgraph.graph.advice import Finding
from clawproof_langgraph.graph.identity import CallSite, named_by_outer
from clawproof_langgraph.graph.notices import Notices
from clawproof_langgraph.graph.surroundings import (
    Configurable,
    checkpointer_of,
    in_server_process,
    lags_behind,
    node_of,
    on_server,
    places_ahead,
    running_place,
)
from clawproof_langgraph.policy import ToolPolicy
from clawproof_langgraph.runtime.context import current_call

_log = logging.getLogger("clawproof_langgraph")

Tools = Sequence[tuple[str, ToolPolicy]]


class Lookout:
    """Warns of what weakens the promises of a guard.

    Args:
        coordinator: the guard's.
        notices: the guard's: each finding is told once.
    """

    def __init__(self, coordinator: Coordinator, notices: Notices) -> None:
        self._store, self._reach, self._notices = coordinator.store, coordinator.reach, notices
        # What was looked at, by the running node: it lives as long as its graph.
        self._seen: WeakKeyDictionary[Any, set[tuple[str, ...]]] = WeakKeyDictionary()

    def at_construction(self) -> None:
        """Warn of what is known when the guard is made."""
        self._warn(self.of_process())

    def before_model(self, tools: Tools) -> None:
        """Warn before the model of the running agent is offered tools."""
        self._warn(_attempt(lambda: self._of_model(get_config()["configurable"], tools)))

    def before_call(self, site: CallSite, tool: str, policy: ToolPolicy) -> None:
        """Warn before a call runs."""
        if site.configurable:  # else it is made outside of any graph
            self._warn(_attempt(self._of_call, site, tool, policy))

    def before_node(self, site: CallSite, node: str, policy: ToolPolicy) -> None:
        """Warn before a guarded node runs."""
        if site.configurable:
            self._warn(_attempt(self._of_node, site, node, policy))

    def of_process(self) -> list[Finding]:
        """Find what is wrong in this process, whatever runs in it."""
        return [advice.local_store(self._store, self._reach)] if self._reach and in_server_process() else []

    def _warn(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._notices.warn((finding.kind, finding.where), str(finding))

    def _of_model(self, configurable: Configurable, tools: Tools) -> Iterator[Finding]:
        kept = checkpointer_of(configurable) is not None
        outer = current_call()
        named = outer is not None and bool(outer.idempotency_key) and not kept
        for tool, policy in tools if not named else ():
            yield from self._of_durability(configurable, tool, policy)
        yield from self._of_server(configurable)
        if self._is_new(configurable, "a model"):
            for place in places_ahead(configurable):
                for tool, policy in tools:
                    yield from advice.of_place(place, tool, policy, named_by_outer=named)

    def _of_call(self, site: CallSite, tool: str, policy: ToolPolicy) -> list[Finding]:
        named = named_by_outer(site, current_call())
        found = [] if named else self._of_durability(site.configurable, tool, policy)
        found += self._of_server(site.configurable)
        if self._is_new(site.configurable, tool):
            place = running_place(site.configurable)
            asked_here = place.tool_node is None and bool(site.tool_call_id)
            found += advice.of_place(place, tool, policy, named_by_outer=named, asked_here=asked_here)
        return found

    def _of_node(self, site: CallSite, node: str, policy: ToolPolicy) -> list[Finding]:
        found = self._of_server(site.configurable)
        if advice.hangs_on_the_message(policy) and not named_by_outer(site, current_call()):
            mode = lags_behind(site.configurable)
            found += [advice.durability(mode, node, is_node=True)] if mode else []
        if self._is_new(site.configurable, node):
            found += advice.of_node(running_place(site.configurable), node, policy)
        return found

    def _of_durability(self, configurable: Configurable, tool: str, policy: ToolPolicy) -> list[Finding]:
        # At every call, for each run has a durability of its own.
        mode = lags_behind(configurable) if advice.hangs_on_the_message(policy) else ""
        return [advice.durability(mode, tool)] if mode else []

    def _of_server(self, configurable: Configurable) -> list[Finding]:
        return [advice.local_store(self._store, self._reach)] if self._reach and on_server(configurable) else []

    def _is_new(self, configurable: Configurable, about: str) -> bool:
        """Tell whether something was not looked at before in this place."""
        found = node_of(configurable)
        if found is None:
            return False
        node, around = found
        seen = self._seen.setdefault(node, set())
        before = len(seen)
        seen.add((about, *around))
        return len(seen) > before


def _attempt(look: Callable[..., Iterable[Finding]], *about: Any) -> list[Finding]:
    """Look, and find nothing where LangGraph is built in another way than expected: no call may fail for that."""
    try:
        return list(look(*about))
    except Exception:  # noqa: BLE001 - as said
        _log.debug("what is around a guarded tool cannot be read", exc_info=True)
        return []
