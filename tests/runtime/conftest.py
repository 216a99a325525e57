"""A store in memory that can be made to fail, and coordinators over it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clawproof_langgraph import Coordinator
from tests.runtime.stores import MODES, FlakyStore


@pytest.fixture
def store() -> FlakyStore:
    """Give a store."""
    return FlakyStore()


@pytest.fixture
def coordinator(store: FlakyStore) -> Iterator[Coordinator]:
    """Give a coordinator over the store."""
    with Coordinator(store) as made:
        yield made


@pytest.fixture
def other(store: FlakyStore) -> Iterator[Coordinator]:
    """Give a second coordinator over the same store, as another process would have."""
    made = Coordinator(store)
    yield made
    made._heartbeat.stop()


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Say how a program is driven."""
    return request.param


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> str:
    """Say whether a lock is taken with `with` or `async with`."""
    return request.param
