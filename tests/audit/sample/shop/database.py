"""The shop's own database."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """Open a connection for one call, and commit at its end."""
    connection = sqlite3.connect("shop.db", timeout=30)
    try:
        with connection:
            yield connection
    finally:
        connection.close()
