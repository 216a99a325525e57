"""Sending commands: to a client of this process or of the running event loop, again after a failure that passes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from redis.exceptions import NoScriptError, ReadOnlyError, RedisClusterException, RedisError

from clawproof_langgraph.backends.redis.encoding import Argument
from clawproof_langgraph.backends.redis.faults import is_passing, unavailable, unusable
from clawproof_langgraph.backends.redis.scripts import Script
from clawproof_langgraph.backends.redis.servers import Client, Server
from clawproof_langgraph.errors import BackendUnavailable

T = TypeVar("T")

# A host name that no DNS can hold is a UnicodeError.
FAULTS: Final = (RedisError, RedisClusterException, OSError, UnicodeError)
"""What redis-py raises."""
PATIENCE: Final = 10.0
"""Seconds for which a command is sent again, such as while a replica takes over, if its caller has as many."""
LEAST: Final = 1.0
"""Seconds that a command has in any case: even who does not want to wait survives a lost connection."""
REPLY: Final = 5.0
"""Seconds for a reply, if the caller has as many."""
REPLY_SOON: Final = 0.5
"""Seconds for a reply, if he has not: a connection that has died may be idle, and a new one be alive."""
_OPENING: Final = 3.0
"""Seconds for which a server is tried that was never reached: its URL may well be wrong."""
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5

Again = Callable[[], Sequence[Argument]]
"""Makes the arguments of a command that is sent again; the first time is none of its business."""
Send = Callable[[Client, Sequence[Argument]], T]


def _timeout(within: float) -> float:
    # A reply that does not come must not take the whole time of a caller who has little of it.
    return REPLY if within > REPLY else REPLY_SOON


class _Clients:
    """The clients of one purpose, each made when it is needed first: that of a Cluster asks for its nodes at once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._made: dict[float, Client] = {}
        self._lock = threading.Lock()

    def client(self, within: float) -> Client:
        """Give the client for commands that have so many seconds."""
        timeout = _timeout(within)
        return self._made.get(timeout) or self._make(timeout)

    def _make(self, timeout: float) -> Client:
        with self._lock:
            if timeout not in self._made:
                self._made[timeout] = self._server.client(timeout)
            return self._made[timeout]

    def close(self) -> None:
        """Close them."""
        for client in self._made.values():
            client.close()


class _LoopClients:
    """The clients of an event loop, which are closed with it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._made: dict[float, Client] = {}
        self._living: AsyncIterator[None] | None = None
        self._closing: asyncio.Future[None] | None = None

    async def client(self, within: float) -> Client:
        """Give the client for commands that have so many seconds."""
        timeout = _timeout(within)
        if timeout not in self._made:
            self._made[timeout] = self._server.aclient(timeout)
            if self._living is None:
                self._living = self._as_long_as_the_loop()
                await anext(self._living)
        return self._made[timeout]

    async def _as_long_as_the_loop(self) -> AsyncIterator[None]:
        """Close the clients with the event loop, which ends its async generators before it is closed itself."""
        try:
            yield
        finally:
            await self._close()

    async def _close(self) -> None:
        while self._made:
            _, client = self._made.popitem()
            with contextlib.suppress(*FAULTS):
                await client.aclose()

    def close_soon(self) -> None:
        """Close the clients, on their loop."""
        self._closing = asyncio.ensure_future(self._close())


class Connections:
    """The connections of a backend in this process.

    Args:
        server: where they lead.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._closed = False
        self._kept: tuple[str, bytes] | None = None
        self.start_anew()

    def start_anew(self) -> None:
        """Forget all connections: in a forked child they are the parent's."""
        self._commands, self._renewals = _Clients(self.server), _Clients(self.server)
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopClients] = weakref.WeakKeyDictionary()

    def open(self, check: Callable[[Client], None], key: str, value: bytes) -> None:
        """Reach the server for the first time, and see that a key has a value; `value` where it has none.

        Args:
            check: looks at the server, and raises what is wrong with it.
            key: the key.
            value: what it holds from now on, unless it holds something.
        """

        def first(client: Client, _: Sequence[Argument]) -> None:
            check(client)
            self._kept = _kept_by(client.execute_command, key, value)

        opening = _Clients(self.server)
        try:
            self._patiently(opening, first, (), within=_OPENING)
        finally:
            opening.close()

    @property
    def kept(self) -> bytes:
        """What the key holds that `open` has looked at."""
        assert self._kept is not None
        return self._kept[1]

    # --- commands -----------------------------------------------------------------------------------------------

    def run(
        self,
        script: Script,
        keys: Sequence[str],
        first: Sequence[Argument],
        again: Again | None = None,
        *,
        within: float = PATIENCE,
    ) -> Any:
        """Run a script.

        Args:
            script: which.
            keys: what it works on.
            first: its arguments.
            again: gives its arguments where it may have been run already; None if they are the same.
            within: seconds that the caller has.
        """
        return self._patiently(
            self._commands,
            lambda client, arguments: self._evaluate(client, script, keys, arguments),
            first,
            again,
            within=within,
        )

    def run_beside(self, script: Script, keys: Sequence[str], first: Sequence[Argument], *, within: float) -> Any:
        """Run a script on a connection that the commands of busy threads do not use."""
        return self._patiently(
            self._renewals,
            lambda client, arguments: self._evaluate(client, script, keys, arguments),
            first,
            within=within,
        )

    async def arun(
        self,
        script: Script,
        keys: Sequence[str],
        first: Sequence[Argument],
        again: Again | None = None,
        *,
        within: float = PATIENCE,
    ) -> Any:
        """Do what `run` does, on an event loop."""
        return await self._apatiently(
            lambda client, arguments: self._aevaluate(client, script, keys, arguments), first, again, within=within
        )

    def command(self, *arguments: Argument) -> Any:
        """Send one command that may be carried out twice."""
        return self._patiently(self._commands, _send, arguments)

    async def acommand(self, *arguments: Argument) -> Any:
        """Do what `command` does, on an event loop."""
        return await self._apatiently(_send, arguments)

    def _evaluate(self, client: Client, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        try:
            return client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            # A new server, or one that has forgotten it: perhaps with all that it knew.
            if self._kept is not None:
                self._kept = _kept_by(client.execute_command, *self._kept)
            return client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    async def _aevaluate(
        self, client: Client, script: Script, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> Any:
        try:
            return await client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            if self._kept is not None:
                key, value = self._kept
                if (found := await client.execute_command("GET", key)) is None:
                    await client.execute_command("SET", key, value, "NX")
                    found = await client.execute_command("GET", key)
                self._kept = key, found
            return await client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    def _patiently(
        self,
        clients: _Clients,
        send: Send[T],
        arguments: Sequence[Argument],
        again: Again | None = None,
        *,
        within: float = PATIENCE,
    ) -> T:
        pauses = _pauses(within)
        while True:
            self._check_open()
            client = None
            try:
                client = clients.client(within)
                return send(client, arguments)
            except FAULTS as exc:
                pause = next(pauses) if is_passing(exc) else None
                if pause is None:
                    raise (unavailable if self._kept else unusable)(exc, self.server.name) from exc
                if isinstance(exc, ReadOnlyError) and (pool := getattr(client, "connection_pool", None)):
                    pool.disconnect(inuse_connections=False)  # what answers at the address may be the primary by now
            time.sleep(pause)
            arguments = again() if again else arguments

    async def _apatiently(
        self,
        send: Send[Awaitable[T]],
        arguments: Sequence[Argument],
        again: Again | None = None,
        *,
        within: float = PATIENCE,
    ) -> T:
        pauses = _pauses(within)
        while True:
            self._check_open()
            client = None
            try:
                client = await self._of_loop().client(within)
                return await send(client, arguments)
            except FAULTS as exc:
                pause = next(pauses) if is_passing(exc) else None
                if pause is None:
                    raise unavailable(exc, self.server.name) from exc
                if isinstance(exc, ReadOnlyError) and (pool := getattr(client, "connection_pool", None)):
                    await pool.disconnect(inuse_connections=False)
            await asyncio.sleep(pause)
            arguments = again() if again else arguments

    def _of_loop(self) -> _LoopClients:
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            found = self._loops[loop] = _LoopClients(self.server)
        return found

    def _check_open(self) -> None:
        if self._closed:
            raise BackendUnavailable.after_close(self.server.name)

    def close(self) -> None:
        """Close them all."""
        self._closed = True
        self._commands.close()
        self._renewals.close()
        for loop, clients in list(self._loops.items()):
            with contextlib.suppress(RuntimeError):  # it is closed, and they with it
                loop.call_soon_threadsafe(clients.close_soon)


def _send(client: Client, arguments: Sequence[Argument]) -> Any:
    return client.execute_command(*arguments)


def _kept_by(execute: Callable[..., Any], key: str, value: bytes) -> tuple[str, bytes]:
    if (found := execute("GET", key)) is None:
        execute("SET", key, value, "NX")  # somebody else may have been faster
        found = execute("GET", key)
    return key, found


def _pauses(within: float) -> Iterator[float | None]:
    """Give the seconds to wait before each further attempt, and None once it is in vain, counted from now."""
    return _pauses_until(time.monotonic() + min(max(within, LEAST), PATIENCE))


def _pauses_until(end: float) -> Iterator[float | None]:
    pause = _FIRST_PAUSE
    if time.monotonic() < end:
        yield 0.0  # a connection that was idle may be gone, though the server is not
    while time.monotonic() + pause < end:
        yield random.uniform(pause / 2, pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    yield None
