"""A fork starts clean: the parent's leases stay the parent's, and the child can use the coordinator at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime import forking


@pytest.mark.parametrize(
    "scenario",
    [
        forking.parents_lease_is_untouched,
        forking.child_has_a_session_of_its_own,
        forking.child_is_a_rival,
        forking.child_renews_its_leases,
        forking.child_waits_for_its_turn,
        forking.child_leaves_the_block,
    ],
    ids=lambda scenario: scenario.__name__,
)
def test_a_fork_starts_clean(scenario: object, tmp_path: Path) -> None:
    name = scenario.__name__  # type: ignore[attr-defined]
    command = [sys.executable, forking.__file__, name, str(tmp_path / "state.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
