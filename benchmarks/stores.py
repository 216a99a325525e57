"""The stores that are compared, and the bare transaction that is the floor under SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.measure import Case, timed

MEMORY: Final = "memory"
NORMAL: Final = "normal"
FULL: Final = "full"
STORES: Final = (MEMORY, NORMAL, FULL)

RESULT: Final = b'{"v":"' + b"r" * 192 + b'"}'
"""An encoded result of 200 bytes."""


def url_of(store: str, folder: Path, name: str) -> str:
    """Name a store for `Coordinator.from_url`: in memory, or a file of its own in a folder."""
    return "memory://" if store == MEMORY else f"sqlite:///{folder / name}-{store}.db?synchronous={store}"


class Floor:
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


def _results(count: int) -> Sequence[bytes]:
    return [RESULT] * count
