"""One node of a graph under one policy: what it reads of the state, and how its calls are named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, is_dataclass
from typing import Any

from clawproof_langgraph import keys
from clawproof_langgraph.codec import NotStorable
from clawproof_langgraph.errors import ConfigurationError, UnfitArgument
from clawproof_langgraph.graph.advice import Finding, of_node
from clawproof_langgraph.graph.body import ToolBody
from clawproof_langgraph.graph.calls import CallNames, GuardedCalls, Values
from clawproof_langgraph.graph.identity import CallSite, lineage_of, number_of
from clawproof_langgraph.graph.surroundings import Place
from clawproof_langgraph.model import Want
from clawproof_langgraph.policy import ToolPolicy
from clawproof_langgraph.runtime.context import current_call
from clawproof_langgraph.runtime.lease import Lease


def values_of(state: object) -> Values:
    """List the fields of a state by name; none of a state that has no fields."""
    if isinstance(state, Mapping):
        return state
    if is_dataclass(state) and not isinstance(state, type):
        return {field.name: getattr(state, field.name) for field in fields(state)}
    declared = getattr(type(state), "model_fields", ())
    return {name: getattr(state, name) for name in declared}


def check_node_policy(node: str, policy: ToolPolicy) -> None:
    """Make sure that a policy can be kept for a node.

    Raises:
        ConfigurationError: it is none, or takes what a model has seen.
    """
    if not isinstance(policy, ToolPolicy):
        raise ConfigurationError(f'The policy of node "{node}" is a {type(policy).__name__}; write ToolPolicy(...).')
    if getattr(policy, "requires_read", False):
        raise ConfigurationError(
            f'The policy of node "{node}" says requires_read, which compares what a model has read: no model calls a '
            f"node. Remove it, and read what the node writes inside the node, under its locks."
        )


class NodeBody(ToolBody):
    """Runs the code of a node, which has its task to itself."""

    def _numbered_apart(self, lease: Lease) -> AbstractContextManager[None]:
        return nullcontext()  # the graphs in it keep the numbers that LangGraph gives them


class NodeCalls(GuardedCalls):
    """Coordinates the calls of one node.

    A node is not called by a model: what it is refused for is raised, and its result is given back as it was.
    """

    noun = "node"
    body = NodeBody
    identity: str = ""
    """What tells the node from any other: business keys of two nodes must not answer each other."""

    def findings(self, place: Place) -> Iterator[Finding]:
        """Judge the place where the node runs."""
        return of_node(place, self._tool, self.policy)

    def _look_around(self, site: CallSite) -> None:
        self.lookout.before_node(site, self._tool, self.policy)

    def _name(self, owner: str, values: Values, wants: tuple[Want, ...], site: CallSite) -> CallNames:
        number = number_of(site, self.identity)
        business = self._business_key(values)
        state = self._state(values) if not business else ""
        said = {"key": business, "locks": [list(want) for want in wants], "fields": self._picked(values)}
        # Without a business key, the step of the graph says all: a resume may bring the state in another form.
        plain = keys.fingerprint(said if business else {}, self.identity)
        fingerprint = keys.sealed(self._coordinator.secret, plain)
        key = business or self._derived_key(owner, site, number, self.identity, state or fingerprint)
        if not site.thread or not (business or state):
            return CallNames(key, fingerprint)
        scope = keys.digest("scope", site.thread, self._tool, state or fingerprint)
        return CallNames(key, fingerprint, scope, lineage_of(site, number, current_call()))

    def _picked(self, values: Values) -> Values:
        return {name: values[name] for name in self.policy.key_fields or () if name in values}

    def _state(self, values: Values) -> str:
        """Hash the state by which an unsettled call is known again after a crash; empty where it has no hash."""
        try:
            plain = keys.fingerprint(self._fingerprinted(values), self.identity)
        except ConfigurationError as exc:
            self._notices.warn(
                ("no hash", self.identity),
                f'The state of node "{self._tool}" has no hash: a call of it that a crash cut short is not known again '
                f"if its checkpoint was lost, too. Name in `key_fields` what makes the call the same. ({exc})",
            )
            return ""
        return keys.sealed(self._coordinator.secret, plain)

    def _unfit(self, why: str) -> UnfitArgument:
        return UnfitArgument(self._tool, f"{why} A node is given the state.", self.noun)

    def _readdressed(self, value: Any, tool_call_id: str | None) -> Any:
        return value

    def _stub(self, key: str, tool_call_id: str | None) -> Any:
        raise NotStorable(
            f'Node "{self._tool}" was already run for this step (key "{key}") and succeeded, but what it returned is '
            f"not known: it was too large, or of a kind that is not stored. It was not run again. Name its types in "
            f"Coordinator(results=[...]), or go on behind the node with graph.update_state(config, values, "
            f'as_node="...").'
        )
