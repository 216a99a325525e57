"""Asking a human what became of a call in doubt, through LangGraph's own `interrupt()`.

A question suspends the graph. LangGraph runs its task again with the answer, which may be

    "applied", "not_applied", or {"outcome": "applied", "result": ..., "by": ...}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.config import get_config
from langgraph.types import interrupt

from clawproof_langgraph.coordinator import resolution
from clawproof_langgraph.core.steps import Finding
from clawproof_langgraph.errors import ClawproofError
from clawproof_langgraph.graph.arguments import shown
from clawproof_langgraph.model import Held

_ANSWERS = ("applied", "not_applied")
_FIELDS = frozenset({"outcome", "result", "by"})


class Human:
    """Whoever answers the interrupts of a graph, for one call.

    Args:
        tool: the tool that was called.
        arguments: with what.
    """

    def __init__(self, tool: str, arguments: Mapping[str, Any]) -> None:
        self._tool, self._arguments = tool, arguments
        self._taken = 0
        self._not_understood: str | None = None

    def ask(self, held: Held, *, counts: bool) -> Finding:
        """Ask what became of a call.

        Args:
            held: the call.
            counts: whether an answer that is there already is meant for this question.

        Raises:
            GraphInterrupt: there is no answer yet.
        """
        answer = interrupt(self._question(held))
        self._taken += 1
        if not counts:
            return Finding(None, why="the answer was given to another question")
        finding = _read(held.key, answer)
        self._not_understood = finding.why or None
        return finding

    def pass_over(self, answers: int) -> None:
        """Take so many answers out of the way, as far as there are any: nobody is asked a question that is moot."""
        for _ in range(answers):
            if not self._has_answer():
                return
            interrupt(None)
            self._taken += 1

    def _has_answer(self) -> bool:
        scratchpad = get_config()["configurable"].get("__pregel_scratchpad")
        given = len(getattr(scratchpad, "resume", ()))
        return given > self._taken or getattr(scratchpad, "get_null_resume", lambda _: None)(False) is not None

    def _question(self, held: Held) -> dict[str, Any]:
        question = {
            "type": "clawproof.in_doubt",
            "tool": self._tool,
            "arguments": {name: shown(value) for name, value in self._arguments.items()},
            "key": held.key,
            "question": f'The outcome of "{self._tool}" is unknown: it may have taken effect. Did it?',
            "answers": [*_ANSWERS, {"outcome": "applied", "result": "what the tool would have returned"}],
        }
        if held.why:
            question["found"] = held.why
        if self._not_understood:
            question["not_understood"] = self._not_understood
        return question


def _read(key: str, answer: Any) -> Finding:
    told = answer if isinstance(answer, Mapping) else {"outcome": answer}
    outcome = told.get("outcome")
    if unknown := set(told) - _FIELDS:
        return Finding(None, why=f"{answer!r} has {', '.join(sorted(map(str, unknown)))}, which means nothing here")
    if outcome not in _ANSWERS:
        return Finding(None, why=f'{answer!r} is neither "applied" nor "not_applied"')
    try:
        resolved = resolution(key, outcome, told.get("result"), str(told.get("by") or "human"))
    except ClawproofError as exc:
        return Finding(None, why=str(exc))
    return Finding(resolved.applied, resolved.result, resolved.by)
