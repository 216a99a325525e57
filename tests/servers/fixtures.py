"""One server for the tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import Server, start_server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    server = start_server()
    yield server
    server.stop()
