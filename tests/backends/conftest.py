"""What the tests of the Redis backend share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.servers import Server, start_server
from tests.servers.fixtures import redis_server
from tests.servers.proxy import Proxy, proxy_to

__all__ = ["redis_server"]

_numbers = itertools.count()


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[Proxy]:
    """Give a proxy before the server of the worker."""
    with proxy_to(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def namespace() -> str:
    """Name a namespace that no other test uses."""
    return f"test-{next(_numbers)}"


@pytest.fixture
def own_server() -> Iterator[Server]:
    """Give a server that the test may ill-treat."""
    server = start_server()
    yield server
    server.stop()
