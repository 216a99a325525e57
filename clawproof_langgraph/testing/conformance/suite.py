"""What every topic of the suite starts from: a clock, a backend, and the face through which it is spoken to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.faces import AsyncFace, Face, SyncFace

MakeBackend = Callable[[ManualClock], Backend]


class Suite:
    """The fixtures of all topics."""

    @pytest.fixture
    def make_backend(self) -> MakeBackend:
        """Give the function that opens the backend under test; a subclass must say how."""
        raise NotImplementedError("override the fixture `make_backend` in your subclass of BackendConformance")

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Give the clock that the backend goes by."""
        return ManualClock()

    @pytest.fixture
    def backend(self, make_backend: MakeBackend, clock: ManualClock) -> Iterator[Backend]:
        """Open the backend, and close it in the end."""
        backend = make_backend(clock)
        yield backend
        backend.close()

    @pytest.fixture(params=[SyncFace, AsyncFace], ids=["sync", "async"])
    def store(self, request: pytest.FixtureRequest, backend: Backend) -> Iterator[Face]:
        """Give both faces of the backend, one after the other."""
        face: Face = request.param(backend)
        yield face
        face.close()
