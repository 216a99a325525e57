from __future__ import annotations

import sqlite3
from typing import Iterator, Protocol

from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from .config import settings
from .tables import Employee

engine = create_engine(settings.dsn)
make_session = sessionmaker(engine)


def get_db() -> Iterator[Session]:
    with make_session() as session:
        yield session


class Repo:
    def __init__(self, session: Session):
        self._session = session

    def save(self, obj):
        self._session.add(obj)
        self._session.commit()

    def by_id(self, ident: int) -> Employee | None:
        return self._session.get(Employee, ident)


class Sqlite:
    path = "ops.db"

    def __enter__(self):
        self.conn = sqlite3.connect(self.path)
        return self.conn

    def __exit__(self, *exc):
        self.conn.close()


def fetch_one(query: str, args=()):
    with Sqlite() as conn:
        return conn.execute(query, args).fetchone()


def execute(query: str, args=()):
    with Sqlite() as conn:
        conn.execute(query, args)
        conn.commit()
