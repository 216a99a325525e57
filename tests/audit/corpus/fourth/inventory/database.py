"""Database helpers of the inventory service."""
import os
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import psycopg2
import psycopg2.extras
import psycopg2.pool

INSERT_SQL = """INSERT INTO inventory_log (sku, change) VALUES (%s, %s)"""
UPSERT_SQL = """INSERT INTO inventory (sku, quantity) VALUES (%s, %s)
ON CONFLICT (sku) DO UPDATE SET quantity = EXCLUDED.quantity"""

_pool = psycopg2.pool.ThreadedConnectionPool(1, 10, dsn=os.environ.get("DSN", ""))


@contextmanager
def get_cursor(commit=False):
    connection = _pool.getconn()
    try:
        cursor = connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
        try:
            yield cursor
            if commit:
                connection.commit()
        finally:
            cursor.close()
    finally:
        _pool.putconn(connection)


class Database:
    def __init__(self):
        self.pool: asyncpg.Pool | None = None

    async def connect(self):
        self.pool = await asyncpg.create_pool(os.environ["DSN"])

    @asynccontextmanager
    async def transaction(self):
        async with self.pool.acquire() as connection:
            async with connection.transaction():
                yield connection

    async def execute(self, query, *args):
        async with self.pool.acquire() as connection:
            return await connection.execute(query, *args)


database = Database()
