"""Waiting for the write lock of the file, which another process has for less than a millisecond at a time."""

from __future__ import annotations

import random
import sqlite3
import time
from typing import Final

PATIENCE: Final = 10.0
"""Seconds after which something is wrong."""
_YIELDS: Final = 25
"""How often to look without a pause."""
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def patiently(connection: sqlite3.Connection, statement: str) -> None:
    """Execute a statement that takes a lock, again and again while another process has it.

    SQLite's own busy handler pauses for too long and cannot be interrupted, and some statements never ask it.

    Raises:
        sqlite3.OperationalError: the lock did not come in time, or something else is wrong.
    """
    give_up, tries = time.monotonic() + PATIENCE, 0
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as exc:
            if (exc.sqlite_errorcode & 0xFF) not in _BUSY or time.monotonic() > give_up:
                raise
        else:
            return
        tries += 1
        time.sleep(_pause(tries, random.random()))


def _pause(tries: int, chance: float) -> float:
    """Tell how many seconds to pause: at first only to yield, since a step takes less time than a timer needs."""
    if tries <= _YIELDS:
        return 0.0
    return min(20e-6 * 1.5 ** min(tries - _YIELDS, 12), 2e-3) * (0.5 + chance / 2)
