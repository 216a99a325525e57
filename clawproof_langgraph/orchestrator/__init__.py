"""The orchestrator: a LangGraph graph that has agents do tasks with resources and dependencies.

`build_orchestrator(agents, coordinator)` builds it. docs/orchestrator.md shows it at work, and
docs/decisions tells why it is built as it is.
"""

from clawproof_langgraph.orchestrator.board import OnFailure
from clawproof_langgraph.orchestrator.build import build_orchestrator
from clawproof_langgraph.orchestrator.tasks import (
    OrchestratorInput,
    OrchestratorOutput,
    OrchestratorState,
    Planned,
    Task,
    TaskResult,
)

__all__ = [
    "OnFailure",
    "OrchestratorInput",
    "OrchestratorOutput",
    "OrchestratorState",
    "Planned",
    "Task",
    "TaskResult",
    "build_orchestrator",
]
