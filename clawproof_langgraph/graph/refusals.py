"""Our own answers in place of a tool's: what the model or an operator can act on goes to the model."""

from __future__ import annotations

from langchain_core.messages import ToolMessage

from clawproof_langgraph.errors import (
    AgentKilled,
    ClawproofError,
    FingerprintMismatch,
    OutcomeUnknown,
    StaleRead,
    UndeclaredWrite,
    UnfitArgument,
    WaitTimeout,
)
from clawproof_langgraph.model import Change, Held, Killed, Mismatch, Stale

_FOR_THE_MODEL = (
    StaleRead,
    OutcomeUnknown,
    WaitTimeout,
    AgentKilled,
    FingerprintMismatch,
    UnfitArgument,
    UndeclaredWrite,
)


def error_of(verdict: Held | Killed | Mismatch | Stale) -> ClawproofError:
    """Make the error that a verdict means."""
    match verdict:
        case Held():
            return OutcomeUnknown(verdict.key, verdict.tool, verdict.why)
        case Killed():
            return AgentKilled(verdict.agent, verdict.reason, verdict.by)
        case Mismatch():
            return FingerprintMismatch(verdict.key, verdict.tool)
        case Stale():
            return _stale(*verdict.changes)


def _stale(change: Change, *others: Change) -> StaleRead:
    names = tuple([other.resource for other in others])
    return StaleRead(change.resource, change.seen, change.current, _who(change), change.at, names)


def _who(change: Change) -> str:
    if not change.at:
        return ""
    who = f'agent "{change.agent}"' if change.agent else "somebody without a name"
    return f'{who} with "{change.tool}"' if change.tool else who


def message_of(error: ClawproofError, *, tool: str, tool_call_id: str | None, tell_model: bool) -> ToolMessage:
    """Put a refusal into a message for the model.

    Raises:
        ClawproofError: the error itself, where it is not for the model or there is no tool call to answer.
    """
    if tool_call_id is None or not tell_model or not isinstance(error, _FOR_THE_MODEL):
        raise error
    return ToolMessage(content=str(error), name=tool, tool_call_id=tool_call_id, status="error")
