"""The stores and the two modes over which the tests of this folder run."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawproof_langgraph import Coordinator
from tests.servers import Server
from tests.servers.fixtures import redis_server

__all__ = ["redis_server"]

_numbers = itertools.count()


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    """Say whether the graph is invoked or ainvoked."""
    return request.param


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a fresh store."""
    if request.param == "redis":
        server: Server = request.getfixturevalue("redis_server")
        return server.url
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'locks.db'}?synchronous=normal"


@pytest.fixture
def namespace() -> str:
    """Name a namespace that nobody else uses."""
    return f"orchestrator-{next(_numbers)}"


@pytest.fixture
def coordinator(url: str, namespace: str) -> Iterator[Coordinator]:
    """Give a coordinator over a fresh store, closed after the test."""
    with Coordinator.from_url(url, namespace=namespace) as made:
        yield made


@pytest.fixture
def local() -> Iterator[Coordinator]:
    """Give a coordinator in memory, for what has nothing to do with the store."""
    with Coordinator.from_url("memory://") as made:
        yield made
