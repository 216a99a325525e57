"""What users write passes their type checker, and what cannot work does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

from clawproof_langgraph.model import Mode
from clawproof_langgraph.policy import Effect, EffectName, ModeName

PROJECT = Path(__file__).parents[2]
USER = """
from datetime import timedelta
from typing import assert_type

from clawproof_langgraph import Lock, Retry, ToolPolicy
from clawproof_langgraph.policy import Effect

locks = ["inventory/{sku}"]
table = {
    "look": ToolPolicy(effect="read", locks=locks, expected=2, log_fields=["sku"]),
    "reserve": ToolPolicy(locks=["a", Lock("b", mode="shared")], ttl="30s", wait=1.5, emits="InventoryUpdated"),
    "order": ToolPolicy(effect="keyed", key="order/{id}", key_window="1h", retry=Retry(max_retries=4, deadline="1m")),
    "ship": ToolPolicy(effect=Effect.IDEMPOTENT, key=lambda values: str(values["id"]), retry=False, key_fields=("id",)),
    "pay": ToolPolicy(on_in_doubt="rerun", on_refusal="raise", not_applied_on=ValueError, wait=None),
    "ask": ToolPolicy(not_applied_on=(ValueError, KeyError), retry=Retry(retry_on=OSError, initial_delay="100ms")),
    "say": ToolPolicy(retry=Retry(retry_on=lambda error: "429" in str(error), max_delay=5, jitter=False)),
}
policy = ToolPolicy(effect="keyed", ttl="30s")
assert_type(policy.effect, Effect)
assert_type(policy.ttl, float)
assert_type(policy.wait, float | None)
assert_type(policy.retry.max_retries if policy.retry else 0, int)

ToolPolicy(effect="keyd")  # refused
ToolPolicy(lock=["a"])  # refused
ToolPolicy(retry=3)  # refused
ToolPolicy(ttl=timedelta(seconds=1))  # refused
ToolPolicy(on_in_doubt="maybe")  # refused
ToolPolicy(not_applied_on=("x",))  # refused
Lock("a", mode="alone")  # refused
Retry(max_retries="x")  # refused
"""


def test_a_users_strict_mypy_takes_what_works_and_refuses_what_does_not(tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    file.write_text(USER)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent"]
    command += [f"--cache-dir={PROJECT / '.mypy_cache' / 'users'}", "--hide-error-context", "--no-error-summary"]

    done = subprocess.run(
        [*command, str(file)],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    told = [line.split(":")[1] for line in done.stdout.splitlines() if ": error: " in line]
    refused = [str(number) for number, line in enumerate(USER.splitlines(), 1) if line.endswith("# refused")]
    assert told == refused, done.stdout + done.stderr


def test_the_names_that_a_type_checker_knows_are_those_that_there_are() -> None:
    assert get_args(EffectName) == tuple(Effect)
    assert get_args(ModeName) == tuple(Mode)
