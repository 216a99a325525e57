"""Backends through random commands, beside the reference model and on their own.

A failure prints the shortest sequence of commands that Hypothesis found, and a blob that repeats it.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.backends.memory import MemoryBackend
from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.backends.sqlite import SqliteBackend
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.faces import AsyncFace, Face, SyncFace
from clawproof_langgraph.testing.log_machine import log_machine
from clawproof_langgraph.testing.machine import granting_machine
from clawproof_langgraph.testing.safety import safety_machine
from tests.servers import Server

# A slow machine is no failure, and neither is a rule that is seldom in force.
PATIENT = settings(stateful_step_count=50, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))


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


class RedisInNamespace(RedisBackend):
    """A backend in a namespace of its own on the worker's server."""

    server: ClassVar[Server]
    _numbers = itertools.count()

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(self.server.url, f"machine-{next(self._numbers)}", clock=clock)


@pytest.fixture(autouse=True, scope="module")
def server(redis_server: Server) -> None:
    RedisInNamespace.server = redis_server


BACKENDS = pytest.mark.parametrize(
    ("make_backend", "face", "examples"),
    [
        (memory, SyncFace, 300),
        (memory, AsyncFace, 50),
        (SqliteInFolder, SyncFace, 80),
        (SqliteInFolder, AsyncFace, 20),
        (RedisInNamespace, SyncFace, 80),
        (RedisInNamespace, AsyncFace, 20),
    ],
    ids=["memory", "memory async", "sqlite", "sqlite async", "redis", "redis async"],
)
MakeBackend = Callable[[ManualClock], Backend]


@BACKENDS
def test_the_backend_does_what_the_reference_does(make_backend: MakeBackend, face: type[Face], examples: int) -> None:
    run_state_machine_as_test(granting_machine(make_backend, face), settings=settings(PATIENT, max_examples=examples))


@BACKENDS
def test_holders_can_rely_on_what_they_were_told(make_backend: MakeBackend, face: type[Face], examples: int) -> None:
    run_state_machine_as_test(safety_machine(make_backend, face), settings=settings(PATIENT, max_examples=examples))


@BACKENDS
def test_nobody_misses_an_event_unawares(make_backend: MakeBackend, face: type[Face], examples: int) -> None:
    run_state_machine_as_test(log_machine(make_backend, face), settings=settings(PATIENT, max_examples=examples))
