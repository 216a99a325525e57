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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis

from clawproof_langgraph.backends.base import Answered
from clawproof_langgraph.backends.redis.ahead import Ahead
from clawproof_langgraph.backends.redis.connections import FAULTS, Connections
from clawproof_langgraph.backends.redis.encoding import Argument
from clawproof_langgraph.backends.redis.wires import packed
from clawproof_langgraph.model import Begin

_MISSED: Final = 1024
"""The most early rings that are remembered."""
_BLOCK: Final = 5.0
"""The most seconds for which a connection waits at a time."""
_LATE: Final = 0.5
"""Seconds after which the server's "nobody rang" is overdue."""
_HUNG_UP: Final = 0.02
"""Seconds in which a listener finds that its connection was closed."""
_HANG_UPS: Final = 50
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

    def __init__(self, connections: Connections, prefix: str, ahead: Ahead) -> None:
        self.address = secrets.token_hex(8)
        self._key = prefix + self.address
        self._connections, self._ahead = connections, ahead
        self._client: Any = None
        self._connection: Any = None
        self._lock = threading.Lock()
        self._listening = threading.Lock()
        self._sleepers: dict[str, threading.Event] = {}
        self._called: set[str] = set()
        self._early = _Early()
        self._closed = False

    def wait(self, owner: str, timeout: float, ask: Begin | None = None) -> bool | Answered:
        """Sleep until the bell rings for `owner`, or `timeout` seconds; tell whether to look now."""
        end = time.monotonic() + timeout
        awake = threading.Event()
        with self._lock:
            if self._early.take(owner):
                return True
            self._sleepers[owner] = awake
        try:
            while (left := end - time.monotonic()) > 0 and not self._closed:
                if not self._listening.acquire(blocking=False):
                    awake.wait(left)
                    awake.clear()
                else:
                    try:
                        answered = self._listen(min(left, _BLOCK), ask)
                    finally:
                        self._listening.release()
                    if answered is not None:
                        return answered
                if self._is_called(owner) or self._closed:
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

    def _listen(self, timeout: float, ask: Begin | None) -> Answered | None:
        """Wait for the next ring, whoever it is for; who waits alone gets the answer to its request with it."""
        ahead = self._ahead.command(ask) if ask is not None and len(self._sleepers) == 1 else None
        try:
            found, reply = self._heard(max(timeout, 0.001), ahead)
        except BaseException as exc:
            self._hang_up()  # an answer that is still to come must not be taken for that to another question
            # What is closed under a thread may fail in any way.
            if not isinstance(exc, FAULTS) and not (self._closed and isinstance(exc, Exception)):
                raise
            with self._lock:  # all look by themselves
                self._called.update(self._sleepers)
                for awake in self._sleepers.values():
                    awake.set()
            return None
        answered = self._ahead.answered(ask, reply) if ask is not None and ahead is not None else None
        if found is not None and (answered is None or ask is None or found[1].decode() != ask.owner):
            self._call(found[1].decode())
        return answered

    def _heard(self, timeout: float, ahead: Sequence[Argument] | None) -> tuple[Any, Any]:
        if self._connection is None:
            self._connection = self._connect()
        if self._closed:  # while it was connecting
            raise redis.ConnectionError("closed")
        wait = ("BLPOP", self._key, timeout)
        commands = (wait,) if ahead is None else (wait, ahead)
        self._connection.send_packed_command(packed(self._connection, *commands))
        # The server ends the wait. One that is gone does not, and must not keep anybody beyond his time.
        if not self._connection.can_read(timeout + _LATE):
            raise redis.TimeoutError("no reply to BLPOP")
        found = self._connection.read_response()
        return found, None if ahead is None else self._reply()

    def _reply(self) -> Any:
        try:
            return self._connection.read_response()
        except redis.ResponseError as exc:  # such as NOSCRIPT: it is asked anew, where that is taken care of
            return exc

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
        """Let go of the connection; those who sleep look by themselves."""
        self._closed = True
        with self._lock:
            for awake in self._sleepers.values():
                awake.set()
        for _ in range(_HANG_UPS):
            client = self._client
            if client is not None:
                client.close()
            # redis-py connects anew for a listener that was about to look whether there is something to read.
            if self._listening.acquire(timeout=_HUNG_UP):
                self._listening.release()
                return


@dataclass(frozen=True, slots=True)
class _Sleeper:
    """Somebody who waits on an event loop.

    Args:
        rang: gets the answer to its request, or True where it has to ask.
        ask: what it will ask.
        until: when it gives up waiting for the bell, by the clock of its loop.
    """

    rang: asyncio.Future[bool | Answered]
    ask: Begin | None
    until: float


class LoopBell:
    """The bell of all waiters of an event loop."""

    def __init__(self, connections: Connections, prefix: str, ahead: Ahead) -> None:
        self.address = secrets.token_hex(8)
        self._key = prefix + self.address
        self._connections, self._ahead = connections, ahead
        self._connection: Any = None
        self._sleepers: dict[str, _Sleeper] = {}
        self._early = _Early()
        self._listener: asyncio.Task[None] | None = None

    async def wait(self, owner: str, timeout: float, ask: Begin | None = None) -> bool | Answered:
        """Sleep until the bell rings for `owner`, or `timeout` seconds; tell whether to look now."""
        if self._early.take(owner):
            return True
        loop = asyncio.get_running_loop()
        sleeper = self._sleepers[owner] = _Sleeper(loop.create_future(), ask, loop.time() + timeout)
        if self._listener is None or self._listener.done():
            self._listener = loop.create_task(self._listen())
        # Who waits alone has sent his request ahead, and gets its answer a moment after the time is over.
        late = _LATE if len(self._sleepers) == 1 and ask is not None else 0.0
        try:
            async with asyncio.timeout(timeout + late):  # wait_for of Python 3.11 may swallow a cancellation
                return await sleeper.rang
        except TimeoutError:
            return False
        finally:
            del self._sleepers[owner]

    async def _listen(self) -> None:
        try:
            while self._sleepers:
                alone = next(iter(self._sleepers.values())) if len(self._sleepers) == 1 else None
                await self._hear(alone)
        except FAULTS:
            await self._hang_up()
            for owner in list(self._sleepers):  # all look by themselves
                self._call(owner, True)
        except BaseException:
            await self._hang_up()
            raise

    async def _hear(self, alone: _Sleeper | None) -> None:
        """Wait for the next ring, whoever it is for; who waits alone gets the answer to its request with it."""
        ask = alone.ask if alone is not None else None
        if self._connections.server.is_cluster:
            ask = None
        ahead = self._ahead.command(ask) if ask is not None else None
        left = alone.until - asyncio.get_running_loop().time() if alone is not None and ahead is not None else _BLOCK
        found, reply = await self._answers(("BLPOP", self._key, min(max(left, 0.001), _BLOCK)), ahead)
        answered = self._ahead.answered(ask, reply) if ask is not None and ahead is not None else None
        if answered is not None and ask is not None:
            self._call(ask.owner, answered)
        if found is not None and (answered is None or ask is None or found[1].decode() != ask.owner):
            self._call(found[1].decode(), True)

    async def _answers(self, wait: Sequence[Argument], ahead: Sequence[Argument] | None) -> tuple[Any, Any]:
        client = await self._connections.of_loop("bell", lambda: self._connections.server.aclient(_BLOCK + _LATE))
        if self._connections.server.is_cluster:
            return await client.execute_command(*wait), None
        if self._connection is None:
            self._connection = await client.connection_pool.get_connection()
        commands = (wait,) if ahead is None else (wait, ahead)
        await self._connection.send_packed_command(packed(self._connection, *commands), check_health=False)
        found = await self._connection.read_response()
        return found, None if ahead is None else await self._reply()

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response()
        except redis.ResponseError as exc:  # such as NOSCRIPT: it is asked anew, where that is taken care of
            return exc

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*FAULTS):
                await connection.disconnect(nowait=True)

    def _call(self, owner: str, word: bool | Answered) -> None:
        sleeper = self._sleepers.get(owner)
        if sleeper is not None and not sleeper.rang.done():
            sleeper.rang.set_result(word)
        elif sleeper is None:  # an answer that nobody took is in the store: whoever sleeps next for it asks at once
            self._early.add(owner)

    def close(self) -> None:
        """Let go of the connection; those who sleep look by themselves."""
        if self._listener is not None:
            self._listener.cancel()
        for owner in list(self._sleepers):
            self._call(owner, True)


class RedisBells:
    """The bells of a backend in this process."""

    def __init__(self, connections: Connections, prefix: str, ahead: Ahead) -> None:
        self._connections, self._prefix, self._ahead = connections, prefix, ahead
        self.of_threads = ThreadsBell(connections, prefix, ahead)
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopBell] = weakref.WeakKeyDictionary()

    def of_loop(self) -> LoopBell:
        """Give the bell of the running event loop."""
        loop = asyncio.get_running_loop()
        bell = self._loops.get(loop)
        if bell is None:
            bell = self._loops[loop] = LoopBell(self._connections, self._prefix, self._ahead)
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
