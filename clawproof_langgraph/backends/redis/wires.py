"""Sending one command after another on redis-py's connections, one connection for each command that is under way.

Its clients do more around a command than most commands take: they look whether the connection still lives, count, and
retry. Here a command that finds its connection dead fails, and whoever sends it knows whether it may be sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import ReadOnlyError, ResponseError

_pack: Callable[[Any], bytes] | None = None
with contextlib.suppress(ImportError):  # without it, redis-py packs by itself, only slower
    from hiredis import pack_command

    _pack = pack_command


def packed(connection: Any, *commands: Sequence[Any]) -> list[bytes]:
    """Write commands as they go over a connection of redis-py."""
    if _pack is not None:
        return [_pack(tuple(command)) for command in commands]
    return list(connection.pack_commands(commands))


class Wires:
    """The connections on which the threads of a process send commands.

    Args:
        client: makes them.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._pool: Any = client.connection_pool
        self._idle: list[Any] = []

    def execute_command(self, *command: Any) -> Any:
        """Send a command and give its reply; raises what redis-py raises."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._pool.get_connection()
        try:
            connection.send_packed_command(packed(connection, command))
            reply = connection.read_response()
        except ResponseError as exc:
            if isinstance(exc, ReadOnlyError):  # a master that has become a replica
                self._drop(connection)
            else:
                self._idle.append(connection)
            raise
        except BaseException:  # its reply may still come, and must not be taken for that of another command
            self._drop(connection)
            raise
        self._idle.append(connection)
        return reply

    def _drop(self, connection: Any) -> None:
        """Let go of a connection that failed, and of the idle ones: they led to the same server."""
        while connection is not None:
            connection.disconnect()
            self._pool.release(connection)
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = None

    def close(self) -> None:
        """Close them all."""
        self._client.close()


class AsyncWire:
    """The connection on which all calls of an event loop send their commands, one behind the other.

    The server takes one after the other anyway. A call that is cancelled gets no reply, but its command is over when
    the cancellation goes on: a withdrawal that overtook its begin would leave a grant behind.

    Args:
        client: makes connections, without time-outs of their own: one watch for all replies costs less.
        timeout: seconds for a reply, and for a connection where there is none yet.
    """

    def __init__(self, client: redis.asyncio.Redis, timeout: float) -> None:
        self._client, self._timeout = client, timeout
        self._pool: Any = client.connection_pool
        self._connection: Any = None
        self._transport: Any = None
        self._connecting = asyncio.Lock()
        self._due: deque[_Reply] = deque()
        self._reader: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._late_at = 0.0

    async def execute_command(self, *command: Any) -> Any:
        """Send a command and give its reply; raises what redis-py raises."""
        connection = self._connection or await self._connected()
        reply = _Reply(asyncio.get_running_loop())
        self._due.append(reply)
        # Before it is sent: what is too big for the system to take in at once may never be taken by the other side.
        self._await_replies(connection)
        try:
            # What it writes before it waits for anything keeps the order of the replies.
            await connection.send_packed_command(packed(connection, command), check_health=False)
        except BaseException as exc:
            await self._drop(connection, exc)
            raise
        return await reply.arrival()

    def _await_replies(self, connection: Any) -> None:
        if self._reader is None:
            loop = asyncio.get_running_loop()
            self._late_at = loop.time() + self._timeout
            self._reader = loop.create_task(self._read(connection, self._due))
            self._watch = self._watch or loop.call_later(self._timeout, self._look)

    async def _connected(self) -> Any:
        try:
            # Counted with the wait for those who try before: else the last of many would wait for each of them in turn.
            async with asyncio.timeout(self._timeout), self._connecting:
                if self._connection is None:
                    self._connection = await self._pool.get_connection()
                    self._transport = self._connection._writer.transport
                return self._connection
        except TimeoutError as exc:
            raise redis.TimeoutError(f"no connection within {self._timeout:g} s") from exc

    async def _read(self, connection: Any, due: deque[_Reply]) -> None:
        """Give replies as long as some are due."""
        clock, demoted = asyncio.get_running_loop().time, False
        try:
            while due and not demoted:
                try:
                    answer = await connection.read_response()
                except ResponseError as exc:
                    answer, demoted = exc, isinstance(exc, ReadOnlyError)
                due.popleft().give(answer)
                self._late_at = clock() + self._timeout
        except BaseException as exc:
            await self._drop(connection, exc)
            if not isinstance(exc, Exception | asyncio.CancelledError):
                raise
        else:
            self._reader = None
            if demoted:
                await self._drop(connection, redis.ConnectionError("the master has become a replica"))

    def _look(self) -> None:
        """End the wait for a reply that is late."""
        self._watch = None
        if self._reader is None:
            return
        loop = asyncio.get_running_loop()
        if (left := self._late_at - loop.time()) > 0:
            self._watch = loop.call_later(left, self._look)
        else:
            self._reader.cancel()

    async def _drop(self, connection: Any, error: BaseException) -> None:
        """Let go of a connection that failed; nobody knows what became of the commands that are due."""
        if connection is not self._connection:
            return  # somebody else was faster
        self._connection, self._reader = None, None
        due, self._due = self._due, deque()
        late = isinstance(error, asyncio.CancelledError)
        for reply in due:
            why = f"no reply within {self._timeout:g} s" if late else str(error)
            reply.give(redis.TimeoutError(why) if late else redis.ConnectionError(why))
        self._transport.abort()  # whoever still sends goes on now, not when the other side has taken all of it
        await connection.disconnect(nowait=True)
        await self._pool.release(connection)

    async def aclose(self) -> None:
        """Close it."""
        await self._client.aclose()


class _Reply:
    """A reply that is due."""

    __slots__ = ("_answer", "_given", "_loop", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._waiter = loop, loop.create_future()
        self._answer: Any = None
        self._given = False

    def give(self, answer: Any) -> None:
        """Hand it over: a value, or an error to raise."""
        self._answer, self._given = answer, True
        if not self._waiter.done():
            self._waiter.set_result(None)

    async def arrival(self) -> Any:
        """Wait for it, also when cancelled."""
        cancelled: asyncio.CancelledError | None = None
        while not self._given:
            try:
                await self._waiter
            except asyncio.CancelledError as exc:
                cancelled, self._waiter = exc, self._loop.create_future()
        if cancelled is not None:
            raise cancelled
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer
