"""Coordination for LangGraph agents that write to the same things, in deterministic code outside the LLM."""

from typing import TYPE_CHECKING, Any

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import (
    AgentKilled,
    BackendUnavailable,
    CallInProgress,
    ClawproofError,
    ConfigurationError,
    FingerprintMismatch,
    LeaseLost,
    LockOrderError,
    NotApplied,
    OutcomeUnknown,
    OutcomeUnrecorded,
    Rejected,
    StaleRead,
    UnmappedTool,
    WaitTimeout,
)
from clawproof_langgraph.events import Event
from clawproof_langgraph.policy import Lock, Retry, ToolPolicy
from clawproof_langgraph.runtime.context import CallContext, current_call
from clawproof_langgraph.runtime.lease import Lease

if TYPE_CHECKING:
    from clawproof_langgraph.guard import Guard

__all__ = [
    "AgentKilled",
    "BackendUnavailable",
    "CallContext",
    "CallInProgress",
    "ClawproofError",
    "ConfigurationError",
    "Coordinator",
    "Event",
    "FingerprintMismatch",
    "Guard",
    "Lease",
    "LeaseLost",
    "Lock",
    "LockOrderError",
    "NotApplied",
    "OutcomeUnknown",
    "OutcomeUnrecorded",
    "Rejected",
    "Retry",
    "StaleRead",
    "ToolPolicy",
    "UnmappedTool",
    "WaitTimeout",
    "current_call",
]


def __getattr__(name: str) -> Any:
    # The guard needs LangGraph, which takes a second to import; `clawproof locks` does not.
    if name == "Guard":
        from clawproof_langgraph.guard import Guard

        return Guard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
