"""Guards and coordinators as they stand in the source."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from clawproof_langgraph.audit.findings import Place, Unseen
from clawproof_langgraph.audit.project.model import GuardSeen, Policy, Store
from clawproof_langgraph.audit.project.names import Expr, Names, argument, called
from clawproof_langgraph.audit.project.policies import policy_of
from clawproof_langgraph.audit.project.values import is_mapping, items, literal, text
from clawproof_langgraph.durations import seconds
from clawproof_langgraph.errors import ConfigurationError

_OPEN: Final = "{...}"
"""What stands in a text for what is filled in when the program runs."""


class FileGuards(Protocol):
    """Gives what configuration files say of tools."""

    def guard(self, file: str, place: Place, agent: str) -> GuardSeen:
        """Give the guard that a file describes; of the project's own file where none is named."""
        ...

    def store(self, place: Place) -> Store | None:
        """Give the coordinator that the project's file names."""
        ...


@dataclass(eq=False)
class Guards:
    """Finds guards, and remembers each.

    Args:
        names: resolves names.
        of_file: gives what a configuration file says, for `Guard.from_file`; None where there is none.
    """

    names: Names
    of_file: FileGuards
    unseen: list[Unseen] = field(default_factory=list)
    seen: dict[tuple[object, ...], GuardSeen] = field(default_factory=dict)

    def of(self, expr: Expr) -> GuardSeen | None:
        """Find the guard that an expression is; None where it is none."""
        found = self.names.follow(expr)
        if isinstance(found.node, ast.Call):
            name = called(found.node)
            if name == "Guard":
                return self._made(found)
            if name == "from_file" and self._is_class(found.node, "Guard"):
                return self._from_file(found)
            for value in self.names.returned(found):
                if (guard := self.of(value)) is not None:
                    return guard
        if self._is_annotated(expr):
            return self._remember(GuardSeen(found.place, complete=False))
        return None

    def around(self, expr: Expr) -> GuardSeen:
        """Give the guard whose method is called; one of which nothing is known, where it cannot be followed."""
        return self.of(expr) or self._remember(GuardSeen(self.names.follow(expr).place, complete=False))

    def of_middleware(self, expr: Expr) -> GuardSeen | None:
        """Find the guard of a `CoordinationMiddleware(...)`; None for another middleware."""
        found = self.names.follow(expr)
        if not isinstance(found.node, ast.Call):
            return None
        if called(found.node) == "CoordinationMiddleware":
            guard = argument(found.node, "guard", 0)
            seen = self.of(found.at(guard)) if guard is not None else None
            return seen or self._remember(GuardSeen(found.place, complete=False))
        if called(found.node) == "from_file" and self._is_class(found.node, "CoordinationMiddleware"):
            return self._from_file(found)
        for value in self.names.returned(found):
            return self.of_middleware(value)
        return None

    def of_node(self, guard: Expr, policy: Expr, name: str) -> GuardSeen:
        """Give the guard around a node, `guard.node(function, policy)`: with this one policy."""
        around = self.around(guard)
        read = policy_of(name, policy, self.names)
        if isinstance(read, ConfigurationError):
            self.unseen.append(Unseen(f"the policy of the node {name}", str(read), policy.place))
        given = (read,) if isinstance(read, Policy) else ()
        return replace(around, policies=given, complete=bool(given))

    def of_hook(self, expr: Expr, hook: str) -> GuardSeen | None:
        """Find the guard of `guard.wrap_tool_call`, as a ToolNode is given it."""
        found = expr if isinstance(expr.node, ast.Attribute) else self.names.follow(expr)
        if isinstance(found.node, ast.Attribute) and found.node.attr == hook:
            return self.around(found.at(found.node.value))
        return None

    def _is_class(self, call: ast.Call, name: str) -> bool:
        return isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value).rpartition(".")[2] == name

    def _is_annotated(self, expr: Expr) -> bool:
        annotation = self.names.annotation(expr)
        return annotation is not None and "Guard" in ast.unparse(annotation.node).replace("|", " ").split()

    def _remember(self, guard: GuardSeen) -> GuardSeen:
        return self.seen.setdefault((guard.place, guard.agent, repr(guard.policies)), guard)

    # --- Guard(...) ---------------------------------------------------------------------------------------------

    def _made(self, expr: Expr) -> GuardSeen:
        call = expr.node
        assert isinstance(call, ast.Call)
        policies, complete = self._policies(expr)
        coordinator = argument(call, "coordinator", 0)
        agent = argument(call, "agent")
        unmapped = argument(call, "unmapped")
        terms = argument(call, "resources")
        return self._remember(
            GuardSeen(
                expr.place,
                policies,
                complete,
                (text(expr.at(agent), self.names) or "") if agent is not None else "",
                self._unmapped(expr, unmapped) if unmapped is not None else "error",
                self._terms(expr.at(terms)) if terms is not None else (),
                self.store(expr.at(coordinator)) if coordinator is not None else None,
            )
        )

    def _policies(self, expr: Expr) -> tuple[tuple[Policy, ...], bool]:
        assert isinstance(expr.node, ast.Call)
        given = argument(expr.node, "tools")
        if given is None:
            return (), not any(keyword.arg is None for keyword in expr.node.keywords)
        tools = self.names.follow(expr.at(given))
        found: list[Policy] = []
        complete = True
        for key, value in self._pairs(tools):
            name = text(key, self.names)
            policy = policy_of(name, value, self.names) if name is not None else None
            if isinstance(policy, ConfigurationError):
                self.unseen.append(Unseen(f"the policy of {name}", str(policy), value.place))
            if isinstance(policy, Policy):
                found = [other for other in found if other.tool != policy.tool] + [policy]
            else:
                complete = False
        listed = isinstance(tools.node, ast.List | ast.Tuple)
        return tuple(found), complete and (listed or is_mapping(tools, self.names))

    def _pairs(self, tools: Expr) -> list[tuple[Expr, Expr]]:
        if isinstance(tools.node, ast.List | ast.Tuple):
            pairs = [elt.elts for elt in tools.node.elts if isinstance(elt, ast.Tuple) and len(elt.elts) == 2]
            return [(tools.at(key), tools.at(value)) for key, value in pairs]
        return list(items(tools, self.names))

    def _terms(self, expr: Expr) -> tuple[tuple[str, dict[str, float]], ...]:
        given = literal(expr, self.names)
        found = []
        for pattern, terms in given.items() if isinstance(given, dict) else ():
            if isinstance(terms, dict):
                found.append((str(pattern), {name: seconds_of(value) for name, value in terms.items()}))
        return tuple(found)

    def _from_file(self, expr: Expr) -> GuardSeen:
        assert isinstance(expr.node, ast.Call)
        path = argument(expr.node, "path", 0)
        agent = argument(expr.node, "agent")
        file = text(expr.at(path), self.names) if path is not None else ""
        name = (text(expr.at(agent), self.names) or "") if agent is not None else ""
        if file is None:  # its name is made when the program runs
            return self._remember(GuardSeen(expr.place, complete=False, agent=name))
        guard = self.of_file.guard(file, expr.place, name)
        own, complete = self._policies(expr)
        coordinator = argument(expr.node, "coordinator")
        store = self.store(expr.at(coordinator)) if coordinator is not None else self._over(expr, guard.store)
        said = argument(expr.node, "unmapped")
        unmapped = self._unmapped(expr, said) if said is not None else guard.unmapped
        whole = guard.complete and complete
        policies = (*own, *guard.policies)
        return self._remember(replace(guard, policies=policies, complete=whole, store=store, unmapped=unmapped))

    def _unmapped(self, expr: Expr, said: ast.expr) -> str:
        """Give what becomes of tools without a policy; empty where that is known only when the program runs."""
        value = literal(expr.at(said), self.names)
        return "error" if value is None else value if isinstance(value, str) and _OPEN not in value else ""

    def _over(self, expr: Expr, filed: Store | None) -> Store | None:
        """Give the store of `from_file(url=..., namespace=...)`: what is not said is as in the file."""
        assert isinstance(expr.node, ast.Call)
        url, namespace = argument(expr.node, "url"), argument(expr.node, "namespace")
        if url is None and namespace is None:
            return filed
        said = [
            self._said(expr, given) if given is not None else known
            for given, known in ((url, filed.url if filed else ""), (namespace, filed.namespace if filed else ""))
        ]
        return Store(said[0], said[1], expr.place)

    # --- coordinators -------------------------------------------------------------------------------------------

    def store(self, expr: Expr) -> Store | None:
        """Find the coordinator that an expression is."""
        found = self.names.follow(expr)
        if not isinstance(found.node, ast.Call):
            return None
        if called(found.node) == "from_url" and self._is_class(found.node, "Coordinator"):
            return self._store(found)
        if called(found.node) == "from_file" and argument(found.node, "coordinator") is None:
            return self._over(found, self.of_file.store(found.place))
        for value in self.names.returned(found):
            if (store := self.store(value)) is not None:
                return store
        return None

    def _store(self, expr: Expr) -> Store:
        assert isinstance(expr.node, ast.Call)
        url, namespace = argument(expr.node, "url", 0), argument(expr.node, "namespace")
        if url is None and (filed := self.of_file.store(expr.place)) is not None:  # as `Coordinator.from_url()` does
            return Store(
                filed.url, self._said(expr, namespace) if namespace is not None else filed.namespace, expr.place
            )
        return Store(self._said(expr, url), self._said(expr, namespace), expr.place)

    def _said(self, expr: Expr, node: ast.expr | None) -> str | None:
        """Give a text as it is written; empty where there is none; None where it is made when the program runs."""
        if node is None:
            return ""
        value = literal(expr.at(node), self.names)
        if value is None:
            return ""
        return value if isinstance(value, str) and _OPEN not in value else None


def seconds_of(value: object) -> float:
    """Convert a duration; nought where it is none."""
    try:
        return seconds(value, "") if isinstance(value, str | int | float) else 0.0
    except ConfigurationError:
        return 0.0
