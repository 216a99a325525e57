"""Sending one command after another on redis-py's connections, one connection for each command that is under way.

Its clients do more around a command than most commands take: they look whether the connection still lives, count, and
retry. Here a command that finds its connection dead fails, and whoever sends it knows whether it may be sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import ReadOnlyError, ResponseError

_pack: Callable[[Any], bytes] | None = None
with contextlib.suppress(ImportError):  # without it, redis-py packs by itself, only slower
    from hiredis import pack_command

    _pack = pack_command


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
            if _pack is None:
                connection.send_command(*command)
            else:
                connection.send_packed_command([_pack(command)])
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


class AsyncWires:
    """The connections on which the calls of an event loop send commands.

    Args:
        client: makes them, without time-outs of their own: one around the whole command costs less.
        timeout: seconds for a reply, and for a connection where there is none yet.
    """

    def __init__(self, client: redis.asyncio.Redis, timeout: float) -> None:
        self._client, self._timeout = client, timeout
        self._pool: Any = client.connection_pool
        self._idle: list[Any] = []

    async def execute_command(self, *command: Any) -> Any:
        """Send a command and give its reply; raises what redis-py raises."""
        connection = self._idle.pop() if self._idle else None
        try:
            async with asyncio.timeout(self._timeout):
                if connection is None:
                    connection = await self._pool.get_connection()
                if _pack is None:
                    await connection.send_command(*command)
                else:
                    await connection.send_packed_command(_pack(command))
                reply = await connection.read_response()
        except ResponseError as exc:
            if isinstance(exc, ReadOnlyError):
                await self._drop(connection)
            elif connection is not None:
                self._idle.append(connection)
            raise
        except TimeoutError as exc:
            await self._drop(connection)
            raise redis.TimeoutError(f"no reply within {self._timeout:g} s") from exc
        except BaseException:  # its reply may still come, and must not be taken for that of another command
            await self._drop(connection)
            raise
        self._idle.append(connection)
        return reply

    async def _drop(self, connection: Any) -> None:
        """Let go of a connection that failed, and of the idle ones: they led to the same server."""
        idle, self._idle = self._idle, []
        for each in (connection, *idle):
            if each is not None:
                await each.disconnect(nowait=True)
                await self._pool.release(each)

    async def aclose(self) -> None:
        """Close them all."""
        await self._client.aclose()
