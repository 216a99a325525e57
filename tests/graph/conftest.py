"""Every test of this folder runs over each embedded store, and where it asks for a mode, sync and async."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clawproof_langgraph import Coordinator


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a fresh store."""
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'locks.db'}?synchronous=normal"


@pytest.fixture
def coordinator(url: str) -> Iterator[Coordinator]:
    """Give a coordinator over a fresh store, closed after the test."""
    with Coordinator.from_url(url) as made:
        yield made


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    """Say whether the graph or the tool is invoked or ainvoked."""
    return request.param


@pytest.fixture(params=["sync", "async", "thread"])
def face(request: pytest.FixtureRequest) -> str:
    """Say how a tool runs: a sync body invoked, an async body ainvoked, or a sync body ainvoked (on a thread)."""
    return request.param
