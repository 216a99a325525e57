"""Sending commands: to a client of this process or of the running event loop, again after a failure that passes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Sequence
from typing import Any, Final, TypeVar

from redis.exceptions import NoScriptError, RedisClusterException, RedisError

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
REPLY_SOON: Final = 0.5
"""Seconds for a reply, where the caller has few: a connection that has died may be idle, and a new one be alive."""
_OPENING: Final = 3.0
"""Seconds for which a server is tried that was never reached: its URL may well be wrong."""
LONGEST_WAIT: Final = 5.0
"""Seconds for which the server may wait for the log to go on."""
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5

Again = Callable[[], Sequence[Argument]]
"""Makes the arguments of a command that is sent again; the first time is none of its business."""
Send = Callable[[Sequence[Argument]], T]


class _Clients:
    """The clients of one purpose, each made when it is needed first: that of a Cluster asks for its nodes at once.

    Args:
        make: makes one, given its seconds for a reply.
    """

    def __init__(self, make: Callable[[float], Client]) -> None:
        self._make = make
        self._made: dict[float, Client] = {}
        self._lock = threading.Lock()

    def client(self, timeout: float) -> Client:
        """Give the client that waits so many seconds for a reply."""
        return self._made.get(timeout) or self._new(timeout)

    def _new(self, timeout: float) -> Client:
        with self._lock:
            if timeout not in self._made:
                self._made[timeout] = self._make(timeout)
            return self._made[timeout]

    def close(self) -> None:
        """Close them."""
        for client in self._made.values():
            client.close()


class _LoopClients:
    """The clients of an event loop, by what each is for; they are closed with it."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Client] = {}
        self._living: AsyncIterator[None] | None = None
        self._closing: asyncio.Future[None] | None = None

    def known(self, which: Hashable) -> Client | None:
        """Give a client, if there is one by that name."""
        return self._made.get(which)

    async def client(self, which: Hashable, make: Callable[[], Client]) -> Client:
        """Give a client, made where there is none by that name."""
        found = self._made.get(which)
        if found is None:
            found = self._made[which] = make()
            if self._living is None:
                self._living = self._as_long_as_the_loop()
                await anext(self._living)
        return found

    async def _as_long_as_the_loop(self) -> AsyncIterator[None]:
        """Close the clients with the event loop, which ends its async generators before it is closed itself."""
        try:
            yield
        finally:
            self.close_soon()
            if self._closing is not None:
                await asyncio.wait([self._closing])

    async def _close(self) -> None:
        while self._made:
            which, client = next(iter(self._made.items()))
            with contextlib.suppress(*FAULTS):
                await client.aclose()
            self._made.pop(which, None)  # not before: a loop that ends cancels this, and begins it anew

    def close_soon(self) -> None:
        """Close the clients, on their loop; one that ends meanwhile waits for that."""
        if self._made and (self._closing is None or self._closing.done()):
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
        self._commands, self._renewals = _Clients(self.server.sender), _Clients(self.server.sender)
        self._whole = _Clients(self.server.client)
        self._followers = _Clients(lambda timeout: self.server.client(timeout, block=LONGEST_WAIT))
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopClients] = weakref.WeakKeyDictionary()

    def open(self, check: Callable[[Client], None], key: str, value: bytes) -> None:
        """Reach the server for the first time, and see that a key has a value; `value` where it has none.

        Args:
            check: looks at the server, and raises what is wrong with it.
            key: the key.
            value: what it holds from now on, unless it holds something.
        """

        def first(_: Sequence[Argument]) -> None:
            with contextlib.closing(self.server.client(self._timeout(_OPENING))) as client:
                check(client)
                self._kept = _kept_by(client.execute_command, key, value)

        self.patiently(first, (), within=_OPENING)

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
        within = max(within, LEAST)
        timeout = self._timeout(within)
        return self.patiently(
            lambda arguments: self._evaluate(self._commands.client(timeout), script, keys, arguments),
            first,
            again,
            within=within,
        )

    def run_beside(self, script: Script, keys: Sequence[str], first: Sequence[Argument], *, within: float) -> Any:
        """Run a script on a connection that the commands of busy threads do not use."""
        within = max(within, LEAST)
        timeout = self._timeout(within)
        return self.patiently(
            lambda arguments: self._evaluate(self._renewals.client(timeout), script, keys, arguments),
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
        within = max(within, LEAST)
        timeout = self._timeout(within)

        return await self.apatiently(
            lambda arguments: self._aevaluate(timeout, script, keys, arguments), first, again, within=within
        )

    def command(self, *arguments: Argument) -> Any:
        """Send one command that may be carried out twice."""
        timeout = self._timeout(PATIENCE)
        return self.patiently(lambda each: self._commands.client(timeout).execute_command(*each), arguments)

    async def acommand(self, *arguments: Argument) -> Any:
        """Do what `command` does, on an event loop."""
        timeout = self._timeout(PATIENCE)

        async def send(each: Sequence[Argument]) -> Any:
            return await (await self._sender(timeout)).execute_command(*each)

        return await self.apatiently(send, arguments)

    def follow(self, *arguments: Argument) -> bool:
        """Send a command for which the server waits up to LONGEST_WAIT seconds; tell whether to look, or try again."""
        self._check_open()
        try:
            return bool(self._followers.client(self.server.timeout).execute_command(*arguments))
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
            raise unavailable(error, self.server.name) from error

    def _evaluate(self, client: Client, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        try:
            return client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            # A new server, or one that has forgotten it: perhaps with all that it knew.
            if self._kept is not None:
                self._kept = _kept_by(client.execute_command, *self._kept)
            return client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    async def _aevaluate(
        self, timeout: float, script: Script, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> Any:
        client = self._known_sender(timeout) or await self._sender(timeout)
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

    def patiently(
        self,
        send: Send[T],
        arguments: Sequence[Argument],
        again: Again | None = None,
        *,
        within: float = PATIENCE,
    ) -> T:
        """Send a command until it succeeds, or fails for good, for at most so many seconds.

        Raises:
            BackendUnavailable: what is wrong; ConfigurationError where that is, before the server was ever reached.
        """
        pauses = _pauses(within)
        while True:
            self._check_open()
            try:
                return send(arguments)
            except FAULTS as exc:
                pause = next(pauses) if is_passing(exc) else None
                if pause is None:
                    raise (unavailable if self._kept else unusable)(exc, self.server.name) from exc
            except Exception:
                self._check_open()  # what is closed under a thread may fail in any way
                raise
            time.sleep(pause)
            arguments = again() if again else arguments

    async def apatiently(
        self,
        send: Send[Awaitable[T]],
        arguments: Sequence[Argument],
        again: Again | None = None,
        *,
        within: float = PATIENCE,
    ) -> T:
        """Do what `patiently` does, on an event loop."""
        pauses = _pauses(within)
        while True:
            self._check_open()
            try:
                return await send(arguments)
            except FAULTS as exc:
                pause = next(pauses) if is_passing(exc) else None
                if pause is None:
                    raise unavailable(exc, self.server.name) from exc
            await asyncio.sleep(pause)
            arguments = again() if again else arguments

    def whole_client(self) -> Client:
        """Give a client of all threads that can do more than send one command after another."""
        return self._whole.client(self.server.timeout)

    async def of_loop(self, which: Hashable, make: Callable[[], Client]) -> Client:
        """Give a client of the running event loop, made where there is none by that name."""
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            found = self._loops[loop] = _LoopClients()
        return await found.client(which, make)

    async def _sender(self, timeout: float) -> Client:
        return await self.of_loop(("sender", timeout), lambda: self.server.asender(timeout))

    def _known_sender(self, timeout: float) -> Client | None:
        """Give the sender of the running event loop, if it has one: that takes no turn of the loop."""
        found = self._loops.get(asyncio.get_running_loop())
        return found.known(("sender", timeout)) if found else None

    def _timeout(self, within: float) -> float:
        """Tell for how many seconds a reply is waited for, if its caller has so many seconds in all."""
        whole = self.server.timeout
        # A reply that does not come must not take the whole time of a caller who has little of it.
        return whole if within > whole else min(whole, REPLY_SOON)

    def _check_open(self) -> None:
        if self._closed:
            raise BackendUnavailable.after_close(self.server.name)

    def close(self) -> None:
        """Close them all."""
        self._closed = True
        for each in (self._commands, self._renewals, self._whole, self._followers):
            each.close()
        for loop, clients in list(self._loops.items()):
            with contextlib.suppress(RuntimeError):  # it is closed, and they with it
                loop.call_soon_threadsafe(clients.close_soon)


def _kept_by(execute: Callable[..., Any], key: str, value: bytes) -> tuple[str, bytes]:
    if (found := execute("GET", key)) is None:
        execute("SET", key, value, "NX")  # somebody else may have been faster
        found = execute("GET", key)
    return key, found


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


def _pauses(within: float) -> Iterator[float | None]:
    """Give the seconds to wait before each further attempt, and None once it is in vain, counted from now."""
    return _pauses_until(time.monotonic() + min(within, PATIENCE))


def _pauses_until(end: float) -> Iterator[float | None]:
    pause = _FIRST_PAUSE
    # At least once: a connection that was idle may be gone, though the server is not. And an event loop that was
    # blocked is told that the time is over before it reads the reply.
    yield 0.0
    while time.monotonic() + pause < end:
        yield random.uniform(pause / 2, pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    yield None
