"""The Redis backend keeps the contract."""

from __future__ import annotations

import itertools

import pytest

from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.testing.conformance import BackendConformance
from clawproof_langgraph.testing.conformance.suite import MakeBackend
from tests.servers import Server

_numbers = itertools.count()


class TestRedis(BackendConformance):
    """A namespace of a server; whoever opens it in the same test has connections of its own."""

    @pytest.fixture
    def make_backend(self, redis_server: Server) -> MakeBackend:
        namespace = f"conformance-{next(_numbers)}"
        return lambda clock: RedisBackend(redis_server.url, namespace, clock=clock)
