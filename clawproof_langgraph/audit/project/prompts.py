"""Texts for models, and what in them asks a model to coordinate."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import Final

from clawproof_langgraph.audit.project.model import Prompt
from clawproof_langgraph.audit.project.names import Expr, Names, Scope, argument, called
from clawproof_langgraph.audit.project.texts import text_of_file
from clawproof_langgraph.audit.project.values import literal

_MESSAGES: Final = frozenset({"SystemMessage", "SystemMessagePromptTemplate"})
_ROLES: Final = frozenset({"system", "developer"})


@dataclass(eq=False)
class Prompts:
    """Finds prompts.

    Args:
        names: resolves names.
    """

    names: Names
    found: dict[tuple[str, int, int], Prompt] = field(default_factory=dict)

    def add(self, expr: Expr, agent: str = "") -> None:
        """Note what is given to a model as its prompt."""
        target = self.names.follow(expr)
        if isinstance(target.node, ast.Call) and called(target.node) in _MESSAGES:
            content = argument(target.node, "content", 0)
            if content is not None:
                self.add(target.at(content), agent)
            return
        value, place = literal(target, self.names), target.place
        if (read := text_of_file(target, self.names)) is not None:
            value, place = read
        if isinstance(value, str):
            self.found.setdefault((place.file, place.line, place.column), Prompt(value, place, agent))

    def find(self) -> None:
        """Note the system messages that code makes itself: `SystemMessage(...)`, `("system", ...)`."""
        for module, call, around in self.names.calls():
            scope = Scope(module, around)
            if called(call) in _MESSAGES:
                self.add(scope.expr(call))
            for arg in call.args:
                for pair in arg.elts if isinstance(arg, ast.List) else (arg,):
                    match pair:
                        case ast.Tuple(elts=[ast.Constant(value=role), content]) if role in _ROLES:
                            self.add(scope.expr(content))


_OTHERS: Final = r"(?:an|any|some)?(?:other|another)\s+(?:\w+\s+)?agents?|anyone else|somebody else|someone else"
_WRITES: Final = r"(?:writ|updat|modif|edit|chang|touch|us|access|process|work)\w*"
_ASKED: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        rf"\b(?:check|verify|make sure|ensure|be sure|confirm|ask)\b[^.!?\n]{{0,60}}\b(?:no\s+)?(?:{_OTHERS})\b"
        rf"[^.!?\n]{{0,40}}\b{_WRITES}",
        rf"\b(?:wait|hold)\b[^.!?\n]{{0,40}}\b(?:until|till|for)\b[^.!?\n]{{0,30}}\b(?:{_OTHERS})\b"
        rf"[^.!?\n]{{0,40}}\b(?:finish|done|complete|release|writ|updat)\w*",
        rf"\b(?:if|while|when|unless)\b[^.!?\n]{{0,30}}\b(?:{_OTHERS})\b[^.!?\n]{{0,30}}\b(?:is|are|has|have)\b"
        rf"[^.!?\n]{{0,20}}\b(?:{_WRITES}|lock\w*|busy)",
        r"\b(?:acquire|take|hold|release|check)\b[^.!?\n]{0,20}\b(?:a|the)\s+(?:lock|mutex|semaphore)\b",
        r"\btake turns\b[^.!?\n]{0,40}\bagents?\b|\bagents?\b[^.!?\n]{0,30}\btake turns\b",
        r"\b(?:coordinate|synchroni[sz]e|agree)\b[^.!?\n]{0,30}\bwith\b[^.!?\n]{0,20}\b(?:the other|other|another)\b"
        r"[^.!?\n]{0,20}\bagents?\b",
        r"\b(?:do not|don't|never|avoid)\b[^.!?\n]{0,60}\b(?:at the same time|simultaneously|concurrently)\b",
        r"\bonly one agent\b[^.!?\n]{0,40}\b(?:at a time|at once)\b",
        r"\b(?:do not|don't|never)\s+(?:pay|charge|refund|book|write|insert|create|submit|transfer|order|ship)\w*\b"
        r"[^.!?\n]{0,40}\b(?:twice|more than once|a second time)\b",
    )
)
"""What asks a model to do mutual exclusion, or to see to it that something happens once."""


def coordination_in(text: str) -> str:
    """Give the passage of a prompt that asks the model to coordinate; empty where there is none."""
    for pattern in _ASKED:
        if (match := pattern.search(text)) is not None:
            return " ".join(match.group().split())
    return ""
