"""A guarded call whose process dies after the commit: the successor runs again, and nothing is paid twice."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from clawproof_langgraph import ConfigurationError, Coordinator, Guard, ToolPolicy, current_call
from clawproof_langgraph.effects import sql

from .paying import pay_in

PROJECT = Path(__file__).parents[2]


def test_a_call_that_died_after_its_commit_runs_again_and_gets_the_result_of_the_first(tmp_path: Path) -> None:
    shop = sqlite3.connect(tmp_path / "shop.db")
    sql.create_inbox(shop)
    shop.execute("CREATE TABLE payments (order_id TEXT)")
    shop.commit()

    victim = subprocess.Popen([sys.executable, "-m", "tests.effects.paying", str(tmp_path)], cwd=PROJECT)
    assert victim.wait(60) == -signal.SIGKILL

    assert pay_in(tmp_path, "7", dies=False) == f"paid by {victim.pid}"
    assert shop.execute("SELECT order_id FROM payments").fetchall() == [("7",)]
    pay_in(tmp_path, "8", dies=False)
    assert shop.execute("SELECT count(*) FROM payments").fetchone() == (2,)


def test_in_a_guarded_read_and_under_a_plain_lock_it_is_refused() -> None:
    shop = sqlite3.connect(":memory:", check_same_thread=False)
    sql.create_inbox(shop)

    def look() -> str:
        """Look."""
        return sql.once(shop, current_call(), lambda conn: "looked")

    with Coordinator.from_url("memory://") as coordinator:
        guard = Guard(coordinator, agent="orders", tools={"look": ToolPolicy(effect="read")})
        with pytest.raises(ConfigurationError, match="it is a read"):
            guard.wrap_tool(look).invoke({})
        with coordinator.lock("a"), pytest.raises(ConfigurationError, match="no guarded call here"):
            look()
