"""Bells: lists on the server, one for all threads of a process and one for each of its event loops.

Whoever hands a grant over pushes its owner to the list of the process that waits. A message that is lost costs latency:
the waiter looks by itself after a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
import weakref
from typing import Any, Final

import redis

from clawproof_langgraph.backends.redis.connections import FAULTS, Connections

_MISSED: Final = 1024
"""The most early rings that are remembered."""
_BLOCK: Final = 5.0
"""The most seconds for which a connection waits at a time."""
_LATE: Final = 0.5
"""Seconds after which the server's "nobody rang" is overdue."""
_CONNECTED: Final = 1.0
"""Seconds for a connection to wait on."""


class _Early:
    """Owners whose bell rang before they listened."""

    def __init__(self) -> None:
        self._owners: dict[str, None] = {}

    def add(self, owner: str) -> None:
        self._owners[owner] = None
        if len(self._owners) > _MISSED:
            del self._owners[next(iter(self._owners))]

    def take(self, owner: str) -> bool:
        return self._owners.pop(owner, self) is None


class ThreadsBell:
    """The bell of all threads: one of those that wait listens, for the others, too.

    Nobody else has to be woken first to wake the one whose turn has come, which costs more than the message.
    """

    def __init__(self, connections: Connections, prefix: str) -> None:
        self.address = secrets.token_hex(8)
        self._key = prefix + self.address
        self._connections = connections
        self._client: Any = None
        self._connection: Any = None
        self._lock = threading.Lock()
        self._listening = threading.Lock()
        self._sleepers: dict[str, threading.Event] = {}
        self._called: set[str] = set()
        self._early = _Early()

    def wait(self, owner: str, timeout: float) -> bool:
        """Sleep until the bell rings for `owner`, or `timeout` seconds; tell whether to look now."""
        end = time.monotonic() + timeout
        awake = threading.Event()
        with self._lock:
            if self._early.take(owner):
                return True
            self._sleepers[owner] = awake
        try:
            while (left := end - time.monotonic()) > 0:
                if not self._listening.acquire(blocking=False):
                    awake.wait(left)
                    awake.clear()
                else:
                    try:
                        self._listen(min(left, _BLOCK))
                    finally:
                        self._listening.release()
                if self._is_called(owner):
                    return True
            return False
        finally:
            with self._lock:
                del self._sleepers[owner]
                self._called.discard(owner)
                heir = next(iter(self._sleepers.values()), None)
            if heir is not None:  # somebody has to listen
                heir.set()

    def _is_called(self, owner: str) -> bool:
        with self._lock:
            return owner in self._called

    def _listen(self, timeout: float) -> None:
        try:
            found = self._heard(max(timeout, 0.001))
        except BaseException as exc:
            self._hang_up()  # an answer that is still to come must not be taken for that to another question
            if not isinstance(exc, FAULTS):
                raise
            with self._lock:  # all look by themselves
                self._called.update(self._sleepers)
                for awake in self._sleepers.values():
                    awake.set()
            return
        if found is not None:
            self._call(found[1].decode())

    def _heard(self, timeout: float) -> Any:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.send_command("BLPOP", self._key, timeout)
        # The server ends the wait. One that is gone does not, and must not keep anybody beyond his time.
        if not self._connection.can_read(timeout + _LATE):
            raise redis.TimeoutError("no reply to BLPOP")
        return self._connection.read_response()

    def _connect(self) -> Any:
        client = self._client = self._connections.server.client(_CONNECTED)
        if isinstance(client, redis.RedisCluster):
            node: Any = client.get_node_from_key(self._key)  # type: ignore[no-untyped-call]
            client = client.get_redis_connection(node)
        return client.connection_pool.get_connection()

    def _hang_up(self) -> None:
        client, self._client, self._connection = self._client, None, None
        if client is not None:
            client.close()

    def _call(self, owner: str) -> None:
        with self._lock:
            awake = self._sleepers.get(owner)
            if awake is None:
                self._early.add(owner)
                return
            self._called.add(owner)
        awake.set()

    def close(self) -> None:
        """Let go of the connection."""
        client = self._client
        if client is not None:
            client.close()


class LoopBell:
    """The bell of all waiters of an event loop."""

    def __init__(self, connections: Connections, prefix: str) -> None:
        self.address = secrets.token_hex(8)
        self._key = prefix + self.address
        self._connections = connections
        self._sleepers: dict[str, asyncio.Future[None]] = {}
        self._early = _Early()
        self._listener: asyncio.Task[None] | None = None

    async def wait(self, owner: str, timeout: float) -> bool:
        """Sleep until the bell rings for `owner`, or `timeout` seconds; tell whether to look now."""
        if self._early.take(owner):
            return True
        sleeper = self._sleepers[owner] = asyncio.get_running_loop().create_future()
        if self._listener is None or self._listener.done():
            self._listener = asyncio.ensure_future(self._listen())
        try:
            async with asyncio.timeout(timeout):  # wait_for of Python 3.11 may swallow a cancellation
                await sleeper
        except TimeoutError:
            return False
        else:
            return True
        finally:
            del self._sleepers[owner]

    async def _listen(self) -> None:
        client: Any = self._connections.server.aclient(_BLOCK + _LATE)
        try:
            while self._sleepers:
                found = await client.execute_command("BLPOP", self._key, _BLOCK)
                if found is not None:
                    self._call(found[1].decode())
        except FAULTS:
            for owner in list(self._sleepers):
                self._call(owner)
        finally:
            with contextlib.suppress(Exception):
                await client.aclose()

    def _call(self, owner: str) -> None:
        sleeper = self._sleepers.get(owner)
        if sleeper is None:
            self._early.add(owner)
        elif not sleeper.done():
            sleeper.set_result(None)

    def close(self) -> None:
        """Let go of the connection; those who sleep look by themselves."""
        if self._listener is not None:
            self._listener.cancel()
        for owner in list(self._sleepers):
            self._call(owner)


class RedisBells:
    """The bells of a backend in this process."""

    def __init__(self, connections: Connections, prefix: str) -> None:
        self._connections, self._prefix = connections, prefix
        self.of_threads = ThreadsBell(connections, prefix)
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopBell] = weakref.WeakKeyDictionary()

    def of_loop(self) -> LoopBell:
        """Give the bell of the running event loop."""
        loop = asyncio.get_running_loop()
        bell = self._loops.get(loop)
        if bell is None:
            bell = self._loops[loop] = LoopBell(self._connections, self._prefix)
        return bell

    def ring(self, address: str, owner: str) -> None:
        """Wake a sleeper; never fails."""
        if address:
            with contextlib.suppress(*FAULTS):
                self._connections.command("RPUSH", self._prefix + address, owner)
                self._connections.command("EXPIRE", self._prefix + address, 60)

    def close(self) -> None:
        """Let go of what they hold."""
        self.of_threads.close()
        for loop, bell in list(self._loops.items()):
            with contextlib.suppress(RuntimeError):  # it is closed, and all that it had
                loop.call_soon_threadsafe(bell.close)
