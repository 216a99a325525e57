"""`clawproof demo`, the command; what the demo itself does is in test_demo.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from clawproof_langgraph.cli import demo, main


class Stage:
    """Stands in for the demo: remembers how it was called, prints a word, and ends with a code."""

    def __init__(self) -> None:
        self.code = 0
        self.calls: list[dict[str, Any]] = []

    def __call__(self, console: Console, **how: Any) -> int:
        self.calls.append(how)
        console.print("Act one")
        return self.code


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage()
    monkeypatch.setattr(demo, "run_demo", made)
    return made


def test_the_real_demo_as_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "clawproof_langgraph.cli", "demo", "--format", "json"]
    done = subprocess.run([*command, "--folder", tmp_path / "kept"], capture_output=True, text=True, timeout=100)

    shown = json.loads(done.stdout)
    assert (done.returncode, shown["ok"]) == (0, True), done.stderr
    assert shown["guarded"]["oversold"] == shown["guarded"]["paid_again"] == 0
    assert shown["unguarded"]["paid_again"] == 1
    assert shown["folder"] == str(tmp_path / "kept")
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("code", [0, 1])
def test_the_verdict_is_the_exit_code(stage: Stage, code: int) -> None:
    stage.code = code
    text, document = CliRunner().invoke(main, ["demo"]), CliRunner().invoke(main, ["demo", "--format", "json"])
    assert (text.exit_code, document.exit_code) == (code, code)
    assert "Act one" in text.stdout
    shown = json.loads(document.stdout)
    assert (shown["ok"], shown["guarded"], "Act one" in document.stderr) == (code == 0, None, True)


def test_a_store_from_the_environment_is_spared(stage: Stage, tmp_path: Path) -> None:
    given = f"sqlite:///{tmp_path / 'given.db'}"
    environment = {"CLAWPROOF_URL": f"sqlite:///{tmp_path / 'production.db'}"}
    CliRunner().invoke(main, ["demo"], env=environment)
    CliRunner().invoke(main, ["demo", "--url", given], env=environment)
    assert [how["url"] for how in stage.calls] == [None, given]
    assert not (tmp_path / "production.db").exists()


def test_a_folder_with_an_earlier_demo_is_usage(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "guarded").mkdir()
    result = CliRunner().invoke(main, ["demo", "--folder", str(tmp_path)])
    assert (result.exit_code, stage.calls) == (2, [])
    assert "earlier demo" in result.stderr


def test_a_store_inside_one_process_is_refused() -> None:
    result = CliRunner().invoke(main, ["demo", "--url", "memory://"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
