"""Every test of this folder runs over each embedded store, and where it asks for a mode, sync and async."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clawproof_langgraph import Coordinator

from .comparing import Ground


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a fresh store."""
    return _url(request.param, tmp_path)


@pytest.fixture(params=["hooks-sqlite", "copies-memory"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """Give a way to guard a ToolNode and a store: for what has nothing to do with the store, one of each is enough."""
    surface, store = request.param.split("-")
    with Coordinator.from_url(_url(store, tmp_path)) as made:
        yield Ground(surface, made)


def _url(store: str, folder: Path) -> str:
    return "memory://" if store == "memory" else f"sqlite:///{folder / 'locks.db'}?synchronous=normal"


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
