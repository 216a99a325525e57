"""What importing the package gives, what it costs, and who may import whom."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import clawproof_langgraph

PROJECT = Path(__file__).parents[2]
PUBLIC = {
    "Coordinator", "Guard", "ToolPolicy", "Lock", "Retry", "Event", "Lease", "CallContext", "current_call",
    "ClawproofError", "ConfigurationError", "UnmappedTool", "WaitTimeout", "CallInProgress", "LockOrderError",
    "StaleRead", "AgentKilled", "LeaseLost", "FingerprintMismatch", "OutcomeUnknown", "OutcomeUnrecorded",
    "BackendUnavailable", "NotApplied", "Rejected",
}  # fmt: skip
HEAVY = ["redis", "valkey", "langchain", "langchain_core", "langgraph", "sqlite3", "opentelemetry"]


def loaded_after(code: str) -> set[str]:
    """Run code in a new interpreter, and tell which modules it has loaded."""
    report = "; import json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


def test_the_public_names_are_those_of_the_contract() -> None:
    assert set(clawproof_langgraph.__all__) == PUBLIC
    assert len(clawproof_langgraph.__all__) == len(PUBLIC)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_each_public_name_can_be_had_and_says_what_it_is(name: str) -> None:
    assert getattr(clawproof_langgraph, name).__doc__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = clawproof_langgraph.Nothing


@pytest.mark.parametrize(
    "code",
    [
        "import clawproof_langgraph",
        "from clawproof_langgraph import Coordinator; Coordinator.from_url('memory://').lock('a').__enter__()",
    ],
    ids=["import", "a lock in memory"],
)
def test_nothing_heavy_is_loaded_that_is_not_used(code: str) -> None:
    assert not loaded_after(code) & set(HEAVY)


def test_a_lock_in_a_file_loads_sqlite_and_no_langgraph(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    code = f"from clawproof_langgraph import Coordinator; Coordinator.from_url({url!r}).snapshot()"
    assert loaded_after(code) & set(HEAVY) == {"sqlite3"}


def test_dependencies_point_down_only() -> None:
    """The contracts of import-linter, which stand in pyproject.toml."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(
        [*command, "--no-cache"], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
