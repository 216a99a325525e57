"""What a call is called after its process was killed in the middle of it."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver

from .crashing import GO, Payments
from .scripted import thread

ROOT = Path(__file__).parents[2]


def paid_around_a_crash(directory: Path, durability: str) -> list[dict[str, Any]]:
    """Let one process be killed after its payment, go on in this one, and tell what both payments were called."""
    command = [sys.executable, "-m", "tests.langgraph.crashing", str(directory), durability]
    crashed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert crashed.returncode == -signal.SIGKILL, crashed.stderr

    payments = Payments(directory, crash=False)
    with SqliteSaver.from_conn_string(str(directory / "checkpoints.sqlite")) as saver:
        saved = bool(payments.agent(saver).get_state(thread()).next)
        # A caller can only go on from what was saved; where nothing was, it sends its message again.
        payments.agent(saver, has_called=saved).invoke(None if saved else GO, thread(), durability=durability)
    return payments.noted()


def test_after_a_crash_a_call_that_was_saved_first_is_made_again_under_the_same_identity(tmp_path: Path) -> None:
    before, after = paid_around_a_crash(tmp_path, "sync")

    assert before == after


def test_after_a_crash_a_call_that_was_not_saved_is_made_again_under_a_new_identity(tmp_path: Path) -> None:
    before, after = paid_around_a_crash(tmp_path, "exit")

    assert before["thread_id"] == after["thread_id"]
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"tool_call_id", "message_id", "human", "task_id", "checkpoint_id", "checkpoint_ns"}
