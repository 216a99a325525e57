"""What a model does that reads in one call, thinks, and writes in another what follows from what it has read.

It knows nothing but its messages: what it is to do, what its tools have answered, and, where its history was
shortened, a summary of both. Where a write is refused, it reads again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any, Final

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolCall, ToolMessage

from clawproof_langgraph.testing import Turn
from tests.testing.books import ACCOUNTS, ARTICLES, REGISTERS

_MOST: Final = 500
"""Attempts after which an agent that always has to read again is taken for one that never ends."""


@dataclass(frozen=True)
class Goal:
    """One thing to do.

    Args:
        name: no other goal of a schedule has it; it is also what a register gets.
        kind: `stock`, `pay` or `register`.
        of: what it reads and writes: an article, two accounts, or a register.
        amount: what is to be added to the stock (less than 0: taken), or paid.
    """

    name: str
    kind: str
    of: tuple[str, ...]
    amount: int = 0


@dataclass
class Known:
    """What the model knows of a goal: of the how manyth attempt, what it has read, and how often it was refused."""

    attempt: int = 0
    values: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    done: bool = False
    forgotten: bool = False


def drawn(turn: Turn) -> list[Goal]:
    """Draw one to three goals."""
    return [_goal(turn.random, f"{turn.agent}-{turn.number}-{number}") for number in range(turn.random.randint(1, 3))]


def _goal(chance: Random, name: str) -> Goal:
    match chance.choice(["stock", "stock", "pay", "register"]):
        case "stock":
            return Goal(name, "stock", (chance.choice(ARTICLES),), chance.choice([-5, -3, -1, 1, 2, 4]))
        case "pay":
            return Goal(name, "pay", tuple(chance.sample(ACCOUNTS, 2)), chance.randint(1, 40))
        case _:
            return Goal(name, "register", (chance.choice(REGISTERS),))


def message_of(goals: Sequence[Goal], memory: dict[str, Known] | None = None) -> HumanMessage:
    """Word goals, and what is known of them, for the model."""
    known = {name: asdict(each) for name, each in (memory or {}).items()}
    return HumanMessage(json.dumps({"goals": [asdict(goal) for goal in goals], "known": known}))


def goals_of(messages: Sequence[AnyMessage]) -> list[Goal]:
    """Read what is to be done."""
    return [Goal(**{**goal, "of": tuple(goal["of"])}) for goal in _task(messages)["goals"]]


def known_of(messages: Sequence[AnyMessage]) -> dict[str, Known]:
    """Read what the messages tell of each goal."""
    task = _task(messages)
    known = {goal["name"]: Known(**task["known"].get(goal["name"], {})) for goal in task["goals"]}
    for message in messages:
        if isinstance(message, ToolMessage):
            name, attempt, part = message.tool_call_id.split("/")
            if name in known:
                _hear(known[name], message, int(attempt), part)
    return known


def _task(messages: Sequence[AnyMessage]) -> Any:
    # The first one: branches of a fan-out have one each, and the graph around them gathers what they did behind it.
    return json.loads(next(message.text for message in messages if isinstance(message, HumanMessage)))


def _hear(known: Known, message: ToolMessage, attempt: int, part: str) -> None:
    is_refused = message.status == "error"
    if part == "write" and is_refused:
        assert "Nothing was run. Read " in message.text, message.text  # it is StaleRead, and no other refusal
        known.attempt, known.values, known.refused = attempt + 1, {}, known.refused + 1
    elif part == "write":
        known.done = True
    else:
        assert not is_refused, message.text
        known.values[part] = message.text


def decide(messages: Sequence[AnyMessage]) -> AIMessage:
    """Ask for all that comes next: reads and writes of all goals in one message; without any, the turn has ended."""
    known = known_of(messages)
    return AIMessage("", tool_calls=[call for goal in goals_of(messages) for call in _next(goal, known[goal.name])])


def _next(goal: Goal, known: Known) -> list[ToolCall]:
    assert known.attempt < _MOST, f"{goal} was refused {known.refused} times"
    if known.done:
        return []
    if missing := [name for name in goal.of if name not in known.values]:
        return [_call(goal, known, name, _READS[goal.kind], {_NAMES[goal.kind]: name}) for name in missing]
    written = _WRITES[goal.kind](goal, known.values)
    return [_call(goal, known, "write", *written)] if written else []


def _call(goal: Goal, known: Known, part: str, tool: str, arguments: dict[str, Any]) -> ToolCall:
    return ToolCall(name=tool, args=arguments, id=f"{goal.name}/{known.attempt}/{part}", type="tool_call")


_READS: Final = {"stock": "count", "pay": "balance", "register": "look"}
_NAMES: Final = {"stock": "article", "pay": "account", "register": "name"}

Written = tuple[str, dict[str, Any]]


def _set_count(goal: Goal, values: dict[str, str]) -> Written | None:
    left = int(values[goal.of[0]]) + goal.amount
    return ("set_count", {"article": goal.of[0], "units": left, "moved": goal.amount}) if left >= 0 else None


def _set_balances(goal: Goal, values: dict[str, str]) -> Written | None:
    source, target = goal.of
    left, gets = int(values[source]) - goal.amount, int(values[target]) + goal.amount
    held = {"source": source, "target": target, "source_has": left, "target_has": gets, "amount": goal.amount}
    return ("set_balances", held) if left >= 0 else None


def _replace(goal: Goal, values: dict[str, str]) -> Written:
    return "replace", {"name": goal.of[0], "seen": values[goal.of[0]], "text": goal.name}


_WRITES: Final[dict[str, Callable[[Goal, dict[str, str]], Written | None]]] = {
    "stock": _set_count,
    "pay": _set_balances,
    "register": _replace,
}


def shortened(messages: Sequence[AnyMessage]) -> HumanMessage | None:
    """Sum up a history, once, when something was read and not yet written: the values stay, their messages do not."""
    known = known_of(messages)
    if any(each.forgotten for each in known.values()):
        return None
    if not any(each.values and not each.done for each in known.values()):
        return None
    for each in known.values():
        each.forgotten = True
    return message_of(goals_of(messages), known)
