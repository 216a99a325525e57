"""Counts what a store is asked: as the server sees it, or as SQLite does."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import redis

from tests.waiting import wait_until


class Counter(NamedTuple):
    """How to count what a store is asked.

    Args:
        count: tells how much it was so far.
        wait_for_listener: waits until the listener of a coordinator that has held leases of agents is asleep, and
            asks nothing any more.
    """

    count: Callable[[], int]
    wait_for_listener: Callable[[], object] = lambda: None


@contextmanager
def round_trips(url: str) -> Iterator[Counter]:
    """Count how often a Redis server has read from a connection."""
    asked = 0
    with redis.Redis.from_url(url) as client:

        def count() -> int:
            nonlocal asked
            asked += 1  # each look is one itself
            reads: int = client.info("stats")["total_reads_processed"]
            return reads - asked

        def wait_for_listener() -> None:
            def sleeps() -> bool:
                nonlocal asked
                asked += 1
                return int(client.info("clients")["blocked_clients"]) > 0

            wait_until(sleeps)

        yield Counter(count, wait_for_listener)


@contextmanager
def transactions() -> Iterator[Counter]:
    """Count the transactions on all SQLite files that are opened inside, the reading ones too."""
    begun = 0
    connect = sqlite3.connect

    def note(statement: str) -> None:
        nonlocal begun
        begun += statement.startswith("BEGIN")

    def opened(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(note)
        return connection

    with mock.patch.object(sqlite3, "connect", opened):
        yield Counter(lambda: begun)
