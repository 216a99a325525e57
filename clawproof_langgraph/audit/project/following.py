"""Who follows events, which events code publishes, and where alerts of suspected deadlocks go."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Final

from clawproof_langgraph.audit.findings import Place
from clawproof_langgraph.audit.project.guards import Guards
from clawproof_langgraph.audit.project.model import Subscription
from clawproof_langgraph.audit.project.names import Expr, Names, argument, called
from clawproof_langgraph.audit.project.values import UNREAD, literal, text
from clawproof_langgraph.events import DEADLOCK_SUSPECTED

_FOLLOWING: Final = frozenset({"subscribe", "event_inbox", "View", "events", "aevents"})
_LOOKING: Final = frozenset({"events", "aevents"})
"""They read the log when they are called: whoever looks for alerts so is told of them, but follows nothing."""


@dataclass(eq=False)
class Following:
    """Finds who follows events.

    Args:
        names, guards: find the rest.
    """

    names: Names
    guards: Guards
    subscriptions: list[Subscription] = field(default_factory=list)
    published: set[str] = field(default_factory=set)
    alerted: list[Place] = field(default_factory=list)

    def find(self) -> None:
        """Find all in the program."""
        for module, call, around in list(self.names.calls()):
            if called(call) in _FOLLOWING or called(call) in ("publish", "apublish"):
                self.names.look_at(self._look, module, call, around)

    def _look(self, expr: Expr) -> None:
        call = expr.node
        assert isinstance(call, ast.Call)
        name = called(call)
        if not self._is_ours(expr, call):
            return
        if name.endswith("publish"):
            kind = argument(call, "type", 0)
            if (said := text(expr.at(kind), self.names) if kind is not None else None) is not None:
                self.published.add(said)
            return
        types = self._types(expr, argument(call, "types", 0 if name == "event_inbox" else None))
        if types is not None and DEADLOCK_SUSPECTED in types:
            self.alerted.append(expr.place)
        if name not in _LOOKING:
            self.subscriptions.append(Subscription(types, self._who(expr, call), expr.place))

    def _is_ours(self, expr: Expr, call: ast.Call) -> bool:
        """Tell the methods of a coordinator or guard from those of other libraries."""
        if not isinstance(call.func, ast.Attribute):
            return called(call) == "View" and "clawproof" in self.names.dotted(expr.at(call.func))
        receiver = expr.at(call.func.value)
        if called(call) in ("event_inbox", "View"):
            return True
        if self.guards.store(receiver) is not None:
            return True
        shown = ast.unparse(call.func.value).lower()
        annotation = self.names.annotation(receiver)
        return "coordinator" in shown or (annotation is not None and "Coordinator" in ast.unparse(annotation.node))

    def _types(self, expr: Expr, node: ast.expr | None) -> tuple[str, ...] | None:
        if node is None:
            return ()
        value = literal(expr.at(node), self.names)
        if isinstance(value, str):
            return (value,)
        if value is UNREAD or not isinstance(value, list | tuple):
            return None
        return tuple(str(each) for each in value)

    def _who(self, expr: Expr, call: ast.Call) -> str:
        if called(call) == "event_inbox" and isinstance(call.func, ast.Attribute):
            return self.guards.around(expr.at(call.func.value)).agent
        if called(call) == "subscribe":
            name = argument(call, "name", 0)
            return (text(expr.at(name), self.names) or "") if name is not None else ""
        return ""
