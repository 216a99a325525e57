"""Hearing at once which agents were stopped, or may go on: one reader of a short stream, on a thread of its own.

It is a stream and not a channel: whoever may use the namespace's keys may read it, a Cluster leads to it by its key,
and what was told while a connection was made anew is read afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Iterator
from typing import Any, Final

from clawproof_langgraph.backends.base import Hear
from clawproof_langgraph.backends.redis.connections import FAULTS
from clawproof_langgraph.backends.redis.faults import unusable
from clawproof_langgraph.backends.redis.servers import Client, Server
from clawproof_langgraph.errors import ConfigurationError

_log = logging.getLogger("clawproof_langgraph.redis")

_BLOCK: Final = 10.0
"""The most seconds for which the server lets it wait at a time."""
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0
_CANCEL_AGAIN: Final = 0.05
_END_WITHIN: Final = 2.0
"""Seconds that closing waits for the thread."""


class StopsListener:
    """Listens until it is closed; while the server is away, it comes back now and then.

    Args:
        server: where the namespace lives.
        key: the stream.
        hear: told the name of each agent.

    Raises:
        RuntimeError, OSError: the system gives no thread, or opens no more files.
    """

    def __init__(self, server: Server, key: str, hear: Hear) -> None:
        self._server, self._key, self._hear = server, key, hear
        # A lease that was granted before this could listen may be of an agent that was stopped in the meantime.
        self._last = b"0"
        self._pause = _FIRST_PAUSE
        self._closed, self._task = False, None  # type: bool, asyncio.Task[Any] | None
        # On a loop, a connection, a reply and a pause can be given up at any moment, and nothing is left behind.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="clawproof-listener", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._loop.close()
            raise

    def close(self) -> None:
        """End the thread and its connection."""
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._give_up)
        if self._thread is not threading.current_thread():
            self._thread.join(_END_WITHIN)

    def _give_up(self) -> None:
        self._closed = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
            # redis-py sends with wait_for, which may swallow a cancellation in Python 3.11.
            self._loop.call_later(_CANCEL_AGAIN, self._give_up)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner, contextlib.suppress(asyncio.CancelledError):
            runner.run(self._listen())

    async def _listen(self) -> None:
        self._task = asyncio.current_task()
        while not self._closed:
            try:
                await self._read()
            except FAULTS as exc:
                error = unusable(exc, self._server.name)
                if isinstance(error, ConfigurationError):  # it will not be better the next time
                    _log.warning("an agent that is stopped is told at the next heartbeat, not at once: %s", error)
                    return
                _log.info("stops are not heard for the moment: %s", error)
            await asyncio.sleep(random.uniform(self._pause / 2, self._pause))
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def _read(self) -> None:
        client = self._server.aclient(block=_BLOCK)
        try:
            while True:
                await self._read_on(client)
        finally:
            with contextlib.suppress(*FAULTS):
                await client.aclose()

    async def _read_on(self, client: Client) -> None:
        block = int(_BLOCK * 1000)
        found = await client.execute_command("XREAD", "COUNT", 100, "BLOCK", block, "STREAMS", self._key, self._last)
        self._pause = _FIRST_PAUSE
        for name, agent in _words(found):
            self._last = name
            self._hear(agent)


def _words(found: Any) -> Iterator[tuple[bytes, str]]:
    """Read the entries of one stream as either protocol has them: a list with its name before them, or a mapping."""
    if not found:
        return
    entries = found[0][1] if isinstance(found, list) else next(iter(found.values()))[0]
    for name, fields in entries:
        yield name, fields[b"agent"].decode()
