"""Backends and reference model, side by side through random commands.

A failure prints the shortest sequence of commands that Hypothesis found, and a blob that repeats it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.backends.memory import MemoryBackend
from clawproof_langgraph.backends.sqlite import SqliteBackend
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.faces import AsyncFace, SyncFace
from clawproof_langgraph.testing.machine import granting_machine

ANY_MACHINE = settings(stateful_step_count=40, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))


def memory(clock: ManualClock) -> Backend:
    return MemoryBackend(clock=clock)


class SqliteInFolder(SqliteBackend):
    """A backend whose file goes away with it."""

    def __init__(self, clock: ManualClock) -> None:
        self._folder = tempfile.TemporaryDirectory()
        super().__init__(Path(self._folder.name) / "state.db", synchronous="normal", clock=clock)

    def close(self) -> None:
        super().close()
        self._folder.cleanup()


@pytest.mark.parametrize(
    ("make_backend", "face", "examples"),
    [(memory, SyncFace, 150), (memory, AsyncFace, 30), (SqliteInFolder, SyncFace, 50), (SqliteInFolder, AsyncFace, 15)],
)
def test_the_backend_does_what_the_reference_does(make_backend: Any, face: Any, examples: int) -> None:
    machine = granting_machine(make_backend, face)
    run_state_machine_as_test(machine, settings=settings(ANY_MACHINE, max_examples=examples))
