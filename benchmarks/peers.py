"""The locks of other libraries for Redis, beside ours: each as its documentation shows it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from typing import Any, Final

import redis
import redis.asyncio

from clawproof_langgraph import Coordinator

OURS: Final = "clawproof"
REDIS_PY: Final = "redis-py"
REDIS_PY_FAST: Final = "redis-py sleep=0.001"
PYTHON_REDIS_LOCK: Final = "python-redis-lock"
POTTERY: Final = "pottery"

PEERS: Final = (REDIS_PY, REDIS_PY_FAST, PYTHON_REDIS_LOCK, POTTERY)
ASYNC_PEERS: Final = (REDIS_PY, POTTERY)

_TTL: Final = 30.0
_WAIT: Final = 600.0

Locks = Callable[[Sequence[str]], AbstractContextManager[Any]]
AsyncLocks = Callable[[Sequence[str]], AbstractAsyncContextManager[Any]]


@contextmanager
def locks_of(library: str, url: str) -> Iterator[Locks]:
    """Open what locks some names for a block: in one step where a library can, else one after the other."""
    if library == OURS:
        with Coordinator.from_url(url) as coordinator:
            yield lambda names: coordinator.lock(*names, agent="contender", ttl=_TTL, wait=_WAIT)
        return
    with redis.Redis.from_url(url) as client:
        one = _one_by_one(library, client)
        yield lambda names: one(names[0]) if len(names) == 1 else _All([one(name) for name in sorted(names)])


def _one_by_one(library: str, client: redis.Redis) -> Callable[[str], AbstractContextManager[Any]]:
    match library:
        case "redis-py":
            return lambda name: client.lock(name, timeout=_TTL)
        case "redis-py sleep=0.001":
            return lambda name: client.lock(name, timeout=_TTL, sleep=0.001)
        case "python-redis-lock":
            import redis_lock

            return lambda name: redis_lock.Lock(client, name, expire=int(_TTL))
        case "pottery":
            import pottery

            return lambda name: pottery.Redlock(key=name, masters={client}, auto_release_time=_TTL)
    raise AssertionError(library)


class _All(ExitStack):
    """Several locks, taken one after the other."""

    def __init__(self, locks: Sequence[AbstractContextManager[Any]]) -> None:
        super().__init__()
        self._locks = locks

    def __enter__(self) -> _All:
        for lock in self._locks:
            self.enter_context(lock)
        return self


@asynccontextmanager
async def async_locks_of(library: str, url: str) -> AsyncIterator[AsyncLocks]:
    """Do what `locks_of` does, for event loops."""
    if library == OURS:
        async with Coordinator.from_url(url) as coordinator:
            yield lambda names: coordinator.lock(*names, agent="contender", ttl=_TTL, wait=_WAIT)
        return
    async with redis.asyncio.Redis.from_url(url) as client:

        def one(name: str) -> AbstractAsyncContextManager[Any]:
            if library == REDIS_PY:
                return client.lock(name, timeout=_TTL)
            import pottery

            return pottery.AIORedlock(key=name, masters={client}, auto_release_time=_TTL)

        yield lambda names: one(names[0]) if len(names) == 1 else _AsyncAll([one(name) for name in sorted(names)])


class _AsyncAll(AsyncExitStack):
    """Several locks, taken one after the other."""

    def __init__(self, locks: Sequence[AbstractAsyncContextManager[Any]]) -> None:
        super().__init__()
        self._locks = locks

    async def __aenter__(self) -> _AsyncAll:
        for lock in self._locks:
            await self.enter_async_context(lock)
        return self
