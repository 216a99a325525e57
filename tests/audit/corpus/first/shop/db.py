"""How the shop opens its database."""

import os
import sqlite3
from contextlib import contextmanager

import psycopg

DB_PATH = os.environ.get("SHOP_DB", "shop.db")


def get_connection():
    conn = sqlite3.connect(DB_PATH)
    conn.row_factory = sqlite3.Row
    return conn


@contextmanager
def cursor():
    conn = get_connection()
    try:
        yield conn.cursor()
        conn.commit()
    finally:
        conn.close()


def pg() -> psycopg.Connection:
    return psycopg.connect(os.environ["DATABASE_URL"])


def run(sql, *params):
    with cursor() as cur:
        cur.execute(sql, params)
        return cur.rowcount


class OrderRepository:
    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn

    def add(self, order_id: str, total: float) -> None:
        self.conn.execute("INSERT INTO orders (id, total) VALUES (?, ?)", (order_id, total))
        self.conn.commit()

    def set_status(self, order_id: str, status: str) -> None:
        self.conn.execute("UPDATE orders SET status = ? WHERE id = ?", (status, order_id))
        self.conn.commit()

    def find(self, order_id: str):
        return self.conn.execute("SELECT * FROM orders WHERE id = ?", (order_id,)).fetchone()
