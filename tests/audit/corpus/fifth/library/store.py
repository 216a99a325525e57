import sqlite3
from contextlib import contextmanager

DB_PATH = "library.db"


@contextmanager
def cursor():
    conn = sqlite3.connect(DB_PATH, timeout=10)
    conn.row_factory = sqlite3.Row
    try:
        yield conn.cursor()
        conn.commit()
    finally:
        conn.close()


def insert_row(table: str, **values) -> int:
    cols = ", ".join(values)
    marks = ", ".join("?" for _ in values)
    with cursor() as cur:
        cur.execute(f"INSERT INTO {table} ({cols}) VALUES ({marks})", tuple(values.values()))
        return cur.lastrowid


def upsert_row(table: str, key: str, **values) -> None:
    cols = ", ".join(values)
    marks = ", ".join("?" for _ in values)
    changes = ", ".join(f"{c} = excluded.{c}" for c in values if c != key)
    sql = f"INSERT INTO {table} ({cols}) VALUES ({marks}) ON CONFLICT({key}) DO UPDATE SET {changes}"
    with cursor() as cur:
        cur.execute(sql, list(values.values()))
