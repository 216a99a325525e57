"""`clawproof demo`, the command; what the demo itself does is in test_demo.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from clawproof_langgraph.cli import demo, main
from clawproof_langgraph.cli.demo.acts import run_act
from clawproof_langgraph.cli.demo.folder import RunFolder
from clawproof_langgraph.cli.demo.store import Store
from tests.cli.conftest import pasted

DEMO = [sys.executable, "-m", "clawproof_langgraph.cli", "demo"]


class Stage:
    """Stands in for the demo: remembers how it was called, prints a word, and ends with a code."""

    def __init__(self) -> None:
        self.code = 0
        self.calls: list[dict[str, Any]] = []

    def __call__(self, console: Console, folder: RunFolder, **how: Any) -> demo.Played:
        self.calls.append(how)
        console.print("Act one")
        return demo.Played(self.code, folder.keep(), Store("sqlite:///demo.db"))


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a new folder for temporary files, with a short name: a socket goes there."""
    with tempfile.TemporaryDirectory(prefix="a %41 ") as folder:  # which must be quoted in a URL, and in a shell
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)


@pytest.fixture
def stage(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage()
    monkeypatch.setattr(demo, "run_demo", made)
    return made


# --- real runs ----------------------------------------------------------------------------------------------------


def test_a_run_leaves_one_folder_and_the_commands_to_look_into_it(temporary: Path) -> None:
    done = subprocess.run([*DEMO, "--format", "json"], capture_output=True, text=True, timeout=100)

    shown = json.loads(done.stdout)
    assert (done.returncode, shown["ok"]) == (0, True), done.stderr
    assert shown["guarded"]["oversold"] == shown["guarded"]["paid_again"] == 0
    assert shown["unguarded"]["paid_again"] == 1
    assert "\x1b" not in done.stderr
    [left] = temporary.iterdir()
    assert (left.name, sorted(os.listdir(left))) == (f"clawproof-demo-{os.getuid()}", ["guarded", "unguarded"])
    assert shown["folder"] == str(left)
    hints = [line for line in done.stderr.splitlines() if line.startswith("  clawproof ")]
    assert [pasted(hint).exit_code for hint in hints] == [0, 0, 0]


@pytest.mark.parametrize(("number", "to_all"), [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False)])
@pytest.mark.parametrize("moment", ["13 LangGraph agents", "Act one", "Act two"])
def test_an_interrupted_run_leaves_nothing(temporary: Path, moment: str, number: int, to_all: bool) -> None:
    with subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith(moment):
            assert process.poll() is None
        (os.killpg if to_all else os.kill)(process.pid, number)
        code = process.wait(timeout=30)
        _, errors = process.communicate(timeout=10)  # ends when nobody is left who could write

    assert (code, errors) == (1, "\nAborted!\n")
    assert list(temporary.iterdir()) == []


def test_an_act_two_without_its_guard_ends_with_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "run_act", lambda folder, work, store, progress: run_act(folder, work, None, progress))
    result = CliRunner().invoke(main, ["demo", "--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "Act one, without the guard ...\nAct two, with the guard ...\n" in result.stdout
    assert "paid once" not in result.stdout


# --- the folder ---------------------------------------------------------------------------------------------------


def a_run(chosen: Path | None, word: str) -> Path:
    with RunFolder(chosen) as folder:
        (folder.path / "guarded").mkdir()
        (folder.path / "guarded" / "word").write_text(word)
        return folder.keep()


def test_a_run_replaces_the_one_before(temporary: Path) -> None:
    first, second = a_run(None, "first"), a_run(None, "second")
    assert first == second
    assert (second / "guarded" / "word").read_text() == "second"
    assert list(temporary.iterdir()) == [second]


def test_what_somebody_else_has_put_in_its_place_is_left_alone(temporary: Path, tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "gold").touch()
    place = temporary / f"clawproof-demo-{os.getuid()}"
    place.symlink_to(treasure)

    kept = a_run(None, "word")

    assert (kept / "guarded" / "word").exists()
    assert kept != place
    assert (list(treasure.iterdir()), place.is_symlink()) == ([treasure / "gold"], True)


@pytest.mark.parametrize("exists", [False, True])
def test_a_chosen_folder_gets_the_acts_and_no_more(temporary: Path, tmp_path: Path, exists: bool) -> None:
    chosen = tmp_path / "a" / "b"
    if exists:
        chosen.mkdir(parents=True)
    assert a_run(chosen, "word") == chosen
    assert os.listdir(chosen) == ["guarded"]
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("exists", [False, True])
def test_a_chosen_folder_is_as_before_if_the_run_breaks_off(tmp_path: Path, exists: bool) -> None:
    chosen = tmp_path / "a" / "b"
    if exists:
        chosen.mkdir(parents=True)
    with RunFolder(chosen) as folder:
        (folder.path / "guarded").mkdir()
    assert list(chosen.parent.glob("**/*")) == ([chosen] if exists else [])
    assert chosen.parent.exists() == exists


def test_a_chosen_folder_that_cannot_be_used_is_usage(stage: Stage) -> None:
    result = CliRunner().invoke(main, ["demo", "--folder", "/dev/null/x"])
    assert (result.exit_code, stage.calls) == (2, [])
    assert "--folder" in result.stderr


# --- the command --------------------------------------------------------------------------------------------------


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


def test_a_namespace_would_be_ignored_and_is_usage(stage: Stage) -> None:
    result = CliRunner().invoke(main, ["demo", "--namespace", "shop"])
    assert (result.exit_code, stage.calls) == (2, [])


def test_a_store_inside_one_process_is_refused() -> None:
    result = CliRunner().invoke(main, ["demo", "--url", "memory://"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
