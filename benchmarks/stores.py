"""The stores that are compared, and the least that each of them could do: the floor under its figures."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import redis
import redis.asyncio

from benchmarks.measure import Case, timed, timed_on
from tests.servers import start_server

MEMORY: Final = "memory"
NORMAL: Final = "normal"
FULL: Final = "full"
REDIS: Final = "redis"
STORES: Final = (MEMORY, NORMAL, FULL, REDIS)

RESULT: Final = b'{"v":"' + b"r" * 192 + b'"}'
"""An encoded result of 200 bytes."""


def url_of(store: str, folder: Path, name: str) -> str:
    """Name a store for `Coordinator.from_url`: in memory, or a file of its own in a folder."""
    return "memory://" if store == MEMORY else f"sqlite:///{folder / name}-{store}.db?synchronous={store}"


@contextmanager
def opened(store: str, folder: Path, name: str) -> Iterator[str]:
    """Give the URL of a store, with a server for those that need one."""
    if store == REDIS:
        with pinned_server() as url:
            yield url
    else:
        yield url_of(store, folder, name)


@contextmanager
def pinned_server() -> Iterator[str]:
    """Start a server on one core, and keep this process on another as long as it runs; gives its URL."""
    cores = sorted(os.sched_getaffinity(0))
    try:
        os.sched_setaffinity(0, cores[-1:])
        server = start_server("--appendonly", "no")
        os.sched_setaffinity(0, cores[:1])
        try:
            yield server.url
        finally:
            server.stop()
    finally:
        os.sched_setaffinity(0, cores)


class Transaction:
    """The least that SQLite can do: `BEGIN IMMEDIATE; INSERT; COMMIT` of one result, in WAL mode.

    Args:
        folder: where its file is: the one where the store's file is, too.
        synchronous: `normal` or `full`.
    """

    def __init__(self, folder: Path, synchronous: str) -> None:
        path = folder / f"floor-{synchronous}.db"
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = wal")
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        self._connection.execute("CREATE TABLE IF NOT EXISTS floor (id INTEGER PRIMARY KEY, result BLOB NOT NULL)")

    def transact(self, result: bytes) -> None:
        """Perform one transaction."""
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        run("INSERT INTO floor (result) VALUES (?)", (result,))
        run("COMMIT")

    def case(self) -> Case:
        """Make the case that times it."""
        return Case(_results, timed(self.transact))

    def close(self) -> None:
        """Close its file."""
        self._connection.close()


class Ping:
    """The least that a server can do: answer a bare PING of redis-py.

    Args:
        url: of the server.
        loop: for redis-py's client of event loops; without it, the one of threads.
    """

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop
        kind: Any = redis.asyncio.Redis if loop else redis.Redis
        self._client = kind.from_url(url)

    def case(self) -> Case:
        """Make the case that times it."""

        async def aping(_: bytes) -> None:
            await self._client.ping()

        return Case(_results, timed_on(self._loop, aping) if self._loop else timed(lambda _: self._client.ping()))

    def close(self) -> None:
        """Close its connection."""
        if self._loop:
            self._loop.run_until_complete(self._client.aclose())
        else:
            self._client.close()


@contextmanager
def floor_under(
    store: str, folder: Path, url: str, loop: asyncio.AbstractEventLoop | None = None
) -> Iterator[Transaction | Ping]:
    """Open the floor of a store; `loop` for that of async calls, where it is another one."""
    made = Ping(url, loop) if store == REDIS else Transaction(folder, NORMAL if store == MEMORY else store)
    with closing(made) as floor:
        yield floor


def _results(count: int) -> Sequence[bytes]:
    return [RESULT] * count
