"""The memory backend keeps the contract."""

from __future__ import annotations

import pytest

from clawproof_langgraph.backends.memory import MemoryBackend
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance import BackendConformance
from clawproof_langgraph.testing.conformance.suite import MakeBackend


class TestMemory(BackendConformance):
    """One store for all who open it in the same test, as in one process."""

    @pytest.fixture
    def make_backend(self) -> MakeBackend:
        made: list[MemoryBackend] = []

        def make(clock: ManualClock) -> MemoryBackend:
            if not made:
                made.append(MemoryBackend(clock=clock))
            return made[0]

        return make
