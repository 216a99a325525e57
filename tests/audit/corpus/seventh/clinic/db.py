"""The engine, the sessions and the connections that the tools of the clinic share."""

import os
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import psycopg2
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

DATABASE_URL = os.environ["DATABASE_URL"]

engine = create_engine(DATABASE_URL, pool_pre_ping=True)
SessionLocal = sessionmaker(bind=engine, expire_on_commit=False)

async_engine = create_async_engine(os.environ["ASYNC_DATABASE_URL"])
AsyncSessionLocal = async_sessionmaker(async_engine, expire_on_commit=False)

_pool: asyncpg.Pool | None = None


@contextmanager
def get_db() -> Iterator[Session]:
    db = SessionLocal()
    try:
        yield db
        db.commit()
    except Exception:
        db.rollback()
        raise
    finally:
        db.close()


@asynccontextmanager
async def session_scope():
    async with AsyncSessionLocal() as session, session.begin():
        yield session


async def get_pool() -> asyncpg.Pool:
    global _pool
    if _pool is None:
        _pool = await asyncpg.create_pool(os.environ["PG_DSN"], min_size=1, max_size=5)
    return _pool


@contextmanager
def get_cursor():
    conn = psycopg2.connect(os.environ["PG_DSN"])
    try:
        with conn.cursor() as cur:
            yield cur
        conn.commit()
    finally:
        conn.close()


def with_session(func):
    """Hand a session to the function as its first argument."""

    def inner(*args, **kwargs):
        with SessionLocal() as session:
            result = func(session, *args, **kwargs)
            session.commit()
            return result

    return inner
