"""A fork starts clean: the parent's leases stay the parent's, and the child can use the coordinator at once.

And a process ends in order: a call that still runs is settled first.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clawproof_langgraph import Coordinator
from tests.runtime import forking


@pytest.mark.parametrize(
    "scenario",
    [
        forking.parents_lease_is_untouched,
        forking.child_has_a_session_of_its_own,
        forking.child_is_a_rival,
        forking.child_renews_its_leases,
        forking.child_waits_for_its_turn,
        forking.child_runs_sync_tools_under_a_loop,
        forking.child_leaves_the_block,
        forking.child_leaves_the_call,
    ],
    ids=lambda scenario: scenario.__name__,
)
def test_a_fork_starts_clean(scenario: object, tmp_path: Path) -> None:
    run(scenario, tmp_path / "state.db")


def test_a_call_that_runs_when_its_process_ends_is_settled_first(tmp_path: Path) -> None:
    run(forking.left_running_at_the_end, tmp_path / "state.db")

    with Coordinator.from_url(f"sqlite:///{tmp_path / 'state.db'}") as coordinator:
        assert [event.type for event in coordinator.events(types=["call.done", "call.in_doubt"])] == ["call.done"]
        assert coordinator.snapshot().leases == ()


def run(scenario: object, file: Path) -> None:
    """Run a scenario in an interpreter of its own."""
    name = scenario.__name__  # type: ignore[attr-defined]
    command = [sys.executable, "-m", forking.__name__, name, str(file)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
