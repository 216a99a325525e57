"""For tests: fixtures for pytest, the stress harness, and the conformance suite for backends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clawproof_langgraph.testing.stress import Broken, Finding, Scenario, Seat, StressReport, Turn, run_agents

__all__ = ["Broken", "Finding", "Scenario", "Seat", "StressReport", "Turn", "run_agents"]


def __getattr__(name: str) -> Any:
    # Every run of pytest imports this package for its fixtures; few want the harness.
    if name in __all__:
        from clawproof_langgraph.testing import stress

        return getattr(stress, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
