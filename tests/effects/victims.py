"""Processes that write by way of `once`, and die where they are told to."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from contextlib import closing, suppress
from typing import Any

import psycopg
import sqlalchemy

from clawproof_langgraph.effects import sql

from .calls import attempt_of
from .databases import ROWS


def opened(driver: str, where: str) -> Any:
    """Open a connection; one of psycopg and one of sqlite3 by its own name, others are SQLAlchemy over that."""
    match driver:
        case "sqlite3":
            return closing(sqlite3.connect(where))
        case "psycopg":
            return psycopg.connect(where)
        case "sqlalchemy-sqlite":
            return sqlalchemy.create_engine(f"sqlite:///{where}").connect()
        case _:
            creator = lambda: psycopg.connect(where)  # noqa: E731
            return sqlalchemy.create_engine("postgresql+psycopg://", creator=creator).connect()


def statement(driver: str, text: str) -> Any:
    """Write a statement as the driver takes it."""
    return sqlalchemy.text(text) if driver.startswith("sqlalchemy") else text


def main(driver: str, where: str, dies: str) -> None:
    """Make the write, and die before or after its commit, or not at all."""

    def write(conn: Any) -> str:
        for row in ROWS:
            conn.execute(statement(driver, f"INSERT INTO entries (entry) VALUES ('{row}')"))
        if dies == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.2 if dies == "slowly" else 0)  # so that the other process really meets this one
        return f"by {os.getpid()}"

    with opened(driver, where) as conn:
        print(sql.once(conn, attempt_of("order/7"), write), flush=True)  # noqa: T201 - read by the test
        if dies == "after":
            with suppress(BrokenPipeError):
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
