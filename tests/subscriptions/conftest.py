"""Coordinators over each of the stores."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clawproof_langgraph import Coordinator
from tests.servers import Server
from tests.servers.fixtures import redis_server

__all__ = ["redis_server"]

_numbers = itertools.count()

Open = Callable[[], Coordinator]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a fresh store."""
    if request.param == "memory":
        return f"memory://subscriptions-{next(_numbers)}"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}?synchronous=normal"
    server: Server = request.getfixturevalue("redis_server")
    return server.url


@pytest.fixture
def open_store(url: str) -> Iterator[Open]:
    """Give a function that opens one more coordinator over the store, as another process would."""
    opened: list[Coordinator] = []
    namespace = f"subscriptions-{next(_numbers)}"

    def open_one() -> Coordinator:
        opened.append(Coordinator.from_url(url, namespace=namespace))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def coordinator(open_store: Open) -> Coordinator:
    """Give a coordinator."""
    return open_store()
