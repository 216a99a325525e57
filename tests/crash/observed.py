"""What came of a cell: the facts that the matrix is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from langchain_core.messages import BaseMessage, ToolMessage

from tests.crash.world import RESULT


class Told(StrEnum):
    """What the caller was told in the end."""

    RESULT = "result"
    UNKNOWN = "unknown"  # the model, by a ToolMessage that names the key and says not to repeat it
    RAISED = "raised"  # the same, as OutcomeUnknown to the caller of invoke


@dataclass(frozen=True)
class Observed:
    """What came of one cell.

    Args:
        effects: how often the effect happened, counted in its own database.
        runs: how often the tool's code came to its effect.
        keys: under how many idempotency keys.
        told: what the caller was told; a sentence where it is none of the known answers.
        doubts: how many calls are listed as in doubt.
        questions: how many a human was asked.
    """

    effects: int
    runs: int
    keys: int
    told: Told | str
    doubts: int
    questions: int = 0


def told_by(messages: Sequence[BaseMessage], tool: str, doubts: Sequence[str]) -> Told | str:
    """Read from the messages at the end of a run what the model was told of a tool's call."""
    answers = [message for message in messages if isinstance(message, ToolMessage)]
    of_tool = [answer for answer in answers if answer.name == tool]
    if len(of_tool) != 1:
        return f"{len(of_tool)} answers"
    if any(answer.name != tool and not _is_result(answer) for answer in answers):
        return f"of its sibling: {answers}"
    if _is_result(of_tool[0]):
        return Told.RESULT
    text = of_tool[0].text
    return Told.UNKNOWN if is_honest(text, doubts) else f"{of_tool[0].status}: {text}"


def _is_result(answer: ToolMessage) -> bool:
    return answer.text == RESULT and answer.status == "success"


def is_honest(text: str, doubts: Sequence[str]) -> bool:
    """Tell whether a refusal says what is not known, that it must not be repeated, and how it can be resolved."""
    said = "unknown" in text and "must not be repeated" in text
    return said and bool(doubts) and all(key in text for key in doubts)
