"""A write by way of `once` when its process is killed with SIGKILL, and when two processes make it at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clawproof_langgraph.effects import sql

from .databases import ROWS
from .victims import opened, statement

DRIVERS = ["sqlite3", "psycopg", "sqlalchemy-sqlite", "sqlalchemy-postgres"]
PROJECT = Path(__file__).parents[2]


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """Name a driver."""
    return request.param


@pytest.fixture
def where(request: pytest.FixtureRequest, driver: str, tmp_path: Path) -> str:
    """Give a fresh database with the tables."""
    made = str(tmp_path / "shop.db") if "sqlite" in driver else request.getfixturevalue("schema")
    with opened(driver, made) as conn:
        sql.create_inbox(conn)
        conn.execute(statement(driver, "CREATE TABLE entries (entry TEXT NOT NULL)"))
        conn.commit()
    return made


def start(driver: str, where: str, dies: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.effects.victims", driver, where, dies]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def entries(driver: str, where: str) -> list[str]:
    with opened(driver, where) as conn:
        return [row[0] for row in conn.execute(statement(driver, "SELECT entry FROM entries ORDER BY entry"))]


def test_a_process_killed_between_the_write_and_the_commit_wrote_nothing_and_its_successor_all(
    driver: str, where: str
) -> None:
    victim = start(driver, where, "before")
    assert victim.wait(60) == -signal.SIGKILL
    assert entries(driver, where) == []

    successor = start(driver, where, "not")
    assert successor.communicate(timeout=60)[0] == f"by {successor.pid}\n"
    assert entries(driver, where) == list(ROWS)


def test_a_process_killed_after_the_commit_is_answered_for_by_its_successor(driver: str, where: str) -> None:
    victim = start(driver, where, "after")
    assert victim.wait(60) == -signal.SIGKILL

    successor = start(driver, where, "not")
    assert successor.communicate(timeout=60)[0] == f"by {victim.pid}\n"
    assert entries(driver, where) == list(ROWS)


def test_two_processes_at_once_make_it_once_and_tell_the_same(driver: str, where: str) -> None:
    both = [start(driver, where, "slowly") for _ in range(2)]
    told = {process.communicate(timeout=60)[0] for process in both}

    assert len(told) == 1
    assert told <= {f"by {process.pid}\n" for process in both}
    assert entries(driver, where) == list(ROWS)
