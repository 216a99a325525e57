"""A stress harness: users' own agents, run together against their own resources, with kills and pauses."""

from clawproof_langgraph.testing.stress.report import SCHEMA, Finding, StressReport
from clawproof_langgraph.testing.stress.run import run_agents
from clawproof_langgraph.testing.stress.scenario import Broken, Scenario, Seat, Turn

__all__ = ["SCHEMA", "Broken", "Finding", "Scenario", "Seat", "StressReport", "Turn", "run_agents"]
