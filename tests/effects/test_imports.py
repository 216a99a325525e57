"""What importing the helpers costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

DRIVERS = {"psycopg", "sqlalchemy", "httpx", "mcp", "sqlite3", "langchain_core", "langgraph"}


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import clawproof_langgraph.effects", set()),
        ("from clawproof_langgraph.effects import sql", set()),
        ("from clawproof_langgraph.effects import mcp", set()),
        ("from clawproof_langgraph.effects import http", {"httpx"}),
        ("from clawproof_langgraph.effects import sql; import sqlite3; "
         "sql.create_inbox(sqlite3.connect(':memory:'))", {"sqlite3"}),
    ],
    ids=["the package", "sql", "mcp", "http", "a connection of sqlite3"],
)  # fmt: skip
def test_no_driver_is_loaded_that_is_not_used(code: str, needed: set[str]) -> None:
    report = "; import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True, timeout=60)
    assert set(json.loads(done.stdout)) & DRIVERS == needed
