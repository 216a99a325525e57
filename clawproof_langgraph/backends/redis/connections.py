"""Sending commands: to a client of this process or of the running event loop, again after a failure that passes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Sequence
from math import inf
from typing import Any, Final

from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from clawproof_langgraph.backends.redis.encoding import Argument
from clawproof_langgraph.backends.redis.faults import is_passing, mapped
from clawproof_langgraph.backends.redis.scripts import Script
from clawproof_langgraph.backends.redis.servers import Client, Server
from clawproof_langgraph.errors import BackendUnavailable

FAULTS: Final = (RedisError, RedisClusterException, OSError)
"""What redis-py raises."""
PATIENCE: Final = 10.0
"""Seconds for which a command is sent again, such as while a replica takes over."""
LONGEST_WAIT: Final = 5.0
"""Seconds for which the server may wait for the log to go on."""
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5

_LoopClients = dict[Hashable, tuple[Client, AsyncIterator[None]]]
"""The clients of an event loop, by what each is for."""

Again = Callable[[], Sequence[Argument]]
"""Makes the arguments of a command that is sent again; the first time is none of its business."""


class _Lazy:
    """A client that is made when it is needed first: that of a Cluster asks for its nodes at once, and may fail."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._made: Client = None
        self._lock = threading.Lock()

    def client(self) -> Client:
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
        return self._made

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


class Connections:
    """The connections of a backend in this process.

    Args:
        server: where they lead.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._closed = False
        self.start_anew()

    def start_anew(self) -> None:
        """Forget all connections: in a forked child they are the parent's."""
        self._commands, self._renewals = _Lazy(self.server.sender), _Lazy(self.server.sender)
        self._whole = _Lazy(self.server.client)
        self._followers = _Lazy(lambda: self.server.client(block=LONGEST_WAIT))
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopClients] = weakref.WeakKeyDictionary()

    def run(self, script: Script, keys: Sequence[str], first: Sequence[Argument], again: Again | None = None) -> Any:
        """Run a script; `again` gives its arguments where it may have been run already."""
        return self.patiently(
            lambda arguments: _evaluate(self._commands.client(), script, keys, arguments), first, again
        )

    def run_beside(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script on a connection that the commands of busy threads do not use."""
        return self.patiently(lambda arguments: _evaluate(self._renewals.client(), script, keys, arguments), arguments)

    async def arun(
        self, script: Script, keys: Sequence[str], first: Sequence[Argument], again: Again | None = None
    ) -> Any:
        """Do what `run` does, on an event loop."""
        return await self.apatiently(lambda arguments: self._aevaluate(script, keys, arguments), first, again)

    def command(self, *arguments: Argument) -> Any:
        """Send one command that may be carried out twice."""
        return self.patiently(lambda arguments: self._commands.client().execute_command(*arguments), arguments)

    async def acommand(self, *arguments: Argument) -> Any:
        """Do what `command` does, on an event loop."""
        return await self.apatiently(self._asend, arguments)

    def follow(self, *arguments: Argument) -> bool:
        """Send a command for which the server waits up to LONGEST_WAIT seconds; tell whether to look, or try again."""
        self._check_open()
        try:
            return bool(self._followers.client().execute_command(*arguments))
        except FAULTS as exc:
            self._check_passing(exc)
        time.sleep(_FIRST_PAUSE)
        return True

    async def afollow(self, *arguments: Argument) -> bool:
        """Do what `follow` does, on an event loop."""
        self._check_open()
        try:
            client = await self.of_loop("follower", lambda: self.server.aclient(block=LONGEST_WAIT))
            return bool(await _or_cancelled(client.execute_command(*arguments)))
        except FAULTS as exc:
            self._check_passing(exc)
        await asyncio.sleep(_FIRST_PAUSE)
        return True

    def _check_passing(self, error: Exception) -> None:
        if not is_passing(error):
            raise mapped(error, self.server.name) from error

    async def _asend(self, arguments: Sequence[Argument]) -> Any:
        return await (await self._sender()).execute_command(*arguments)

    async def _aevaluate(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        execute = (await self._sender()).execute_command
        try:
            return await execute("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await execute("EVAL", script.text, len(keys), *keys, *arguments)

    def patiently(
        self,
        send: Callable[[Sequence[Argument]], Any],
        arguments: Sequence[Argument],
        again: Again | None = None,
        patience: float = inf,
    ) -> Any:
        """Send a command until it succeeds, or fails for good, for at most so many seconds.

        Raises:
            BackendUnavailable, ConfigurationError: what is wrong.
        """
        pauses = _pauses(patience)
        while True:
            self._check_open()
            try:
                return send(arguments)
            except FAULTS as exc:
                pause = next(pauses) if is_passing(exc) else None
                if pause is None:
                    raise mapped(exc, self.server.name) from exc
            time.sleep(pause)
            arguments = again() if again else arguments

    async def apatiently(
        self,
        send: Callable[[Sequence[Argument]], Awaitable[Any]],
        arguments: Sequence[Argument],
        again: Again | None = None,
        patience: float = inf,
    ) -> Any:
        """Do what `patiently` does, on an event loop."""
        pauses = _pauses(patience)
        while True:
            self._check_open()
            try:
                return await send(arguments)
            except FAULTS as exc:
                pause = next(pauses) if is_passing(exc) else None
                if pause is None:
                    raise mapped(exc, self.server.name) from exc
            await asyncio.sleep(pause)
            arguments = again() if again else arguments

    def once(self, ask: Callable[[Client], None]) -> None:
        """Ask something of the server that may be asked twice."""

        def asked(_: Sequence[Argument]) -> None:
            with contextlib.closing(self.server.client()) as client:
                ask(client)

        self.patiently(asked, ())

    def made_once(self, key: str, value: bytes) -> bytes:
        """Write a key that does not exist, and read what it holds."""
        self.command("SET", key, value, "NX")
        found: bytes = self.command("GET", key)
        return found

    def whole_client(self) -> Client:
        """Give a client of all threads that can do more than send one command after another."""
        return self._whole.client()

    async def of_loop(self, which: Hashable, make: Callable[[], Client]) -> Client:
        """Give a client of the running event loop, made where there is none by that name."""
        clients = self._loops.setdefault(asyncio.get_running_loop(), {})
        found = clients.get(which)
        if found is None:
            client = make()
            living = _as_long_as_its_loop(client)
            clients[which] = client, living
            await anext(living)
            return client
        return found[0]

    async def _sender(self) -> Client:
        return await self.of_loop("sender", self.server.asender)

    def _check_open(self) -> None:
        if self._closed:
            raise BackendUnavailable.after_close(self.server.name)

    def close(self) -> None:
        """Close them all."""
        self._closed = True
        for each in (self._commands, self._renewals, self._whole, self._followers):
            each.close()


async def _or_cancelled(command: Awaitable[Any]) -> Any:
    """Wait for a command, but not when cancelled, even where redis-py does not notice that.

    It sends with wait_for, which may swallow a cancellation in Python 3.11.
    """
    task = asyncio.ensure_future(command)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        raise


def _evaluate(client: Client, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
    try:
        return client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
    except NoScriptError:  # a new server, or one that has forgotten it
        return client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)


async def _as_long_as_its_loop(client: Client) -> AsyncIterator[None]:
    """Close a client with its event loop, which ends its async generators before it is closed itself."""
    try:
        yield
    finally:
        await client.aclose()


def _pauses(patience: float) -> Iterator[float | None]:
    """Give the seconds to wait before each further attempt, and None once it is in vain."""
    end, pause = time.monotonic() + min(patience, PATIENCE), _FIRST_PAUSE
    yield 0.0  # a connection that was idle may be gone, though the server is not
    while time.monotonic() + pause < end:
        yield random.uniform(pause / 2, pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    yield None
