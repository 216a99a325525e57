"""Connections to a server: for commands of threads, for those of each event loop, and for those who wait."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from typing import Any, Final

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from clawproof_langgraph.backends.redis.encoding import Argument
from clawproof_langgraph.backends.redis.scripts import Script

_OPTIONS: Final[dict[str, Any]] = {
    # A command that was sent twice behind our back might be carried out twice; ours are repeated by their owner.
    "retry_on_error": [],
    "socket_connect_timeout": 5.0,
    "socket_timeout": 5.0,
    "health_check_interval": 0,
}


class Connections:
    """The connections of a backend in this process.

    Args:
        url: where the server is.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.name = url
        self._client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **_OPTIONS)
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script."""
        execute = self._client.execute_command
        try:
            return execute("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return execute("EVAL", script.text, len(keys), *keys, *arguments)

    async def arun(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Run a script from an event loop."""
        execute = self._of_loop().execute_command
        try:
            return await execute("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await execute("EVAL", script.text, len(keys), *keys, *arguments)

    def command(self, *arguments: Argument) -> Any:
        """Send one command."""
        return self._client.execute_command(*arguments)

    async def acommand(self, *arguments: Argument) -> Any:
        """Send one command from an event loop."""
        return await self._of_loop().execute_command(*arguments)

    def made_once(self, key: str, value: bytes) -> bytes:
        """Write a key that does not exist, and read what it holds."""
        self._client.execute_command("SET", key, value, "NX")
        found: bytes = self._client.execute_command("GET", key)
        return found

    def waiting_client(self) -> redis.Redis:
        """Open a connection that waits as long as it is told to."""
        options = {**_OPTIONS, "socket_timeout": None}
        return redis.Redis.from_url(self._url, retry=Retry(NoBackoff(), 0), single_connection_client=True, **options)

    def waiting_client_of_loop(self) -> Any:
        """Open a connection of an event loop that waits as long as it is told to."""
        options = {**_OPTIONS, "socket_timeout": None}
        return redis.asyncio.Redis.from_url(self._url, retry=_aretry(), single_connection_client=True, **options)

    def _of_loop(self) -> Any:
        loop = asyncio.get_running_loop()
        client = self._loops.get(loop)
        if client is None:
            client = self._loops[loop] = redis.asyncio.Redis.from_url(self._url, retry=_aretry(), **_OPTIONS)
        return client

    def close(self) -> None:
        """Close them all."""
        self._client.close()


def _aretry() -> Any:
    from redis.asyncio.retry import Retry as AsyncRetry

    return AsyncRetry(NoBackoff(), 0)
