import json
import sqlite3
from pathlib import Path

import boto3

from app import settings

BUCKET = "acme-documents"
_client = None


def s3():
    global _client
    if _client is None:
        _client = boto3.client("s3")
    return _client


def open_db():
    db = sqlite3.connect(str(settings.DATABASE), isolation_level=None)
    db.execute("PRAGMA foreign_keys = ON")
    return db


def load(path="state.json"):
    with Path(path).open() as fh:
        return json.load(fh)


def save(state, path="state.json"):
    with Path(path).open("w") as fh:
        json.dump(state, fh, indent=2)


def audit(db, action, **details):
    db.execute(
        "INSERT INTO {audit} (action, details) VALUES (?, ?)".format(**settings.TABLES),
        [action, json.dumps(details)],
    )


def upsert(db, table, key, values):
    columns = ", ".join(values)
    marks = ", ".join("?" * len(values))
    updates = ", ".join(f"{c} = excluded.{c}" for c in values)
    db.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {updates}",
        list(values.values()),
    )
