"""The code of the README runs as it stands, its commands are real, and what it shows is what they print."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from clawproof_langgraph.cli import main
from clawproof_langgraph.cli.demo.report import ROWS
from clawproof_langgraph.cli.demo.workload import PROCESSES, a_day
from clawproof_langgraph.inspection.timeline import BLOCKS
from clawproof_langgraph.policy import Effect

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
OF_THE_AUDIT = ("--check", "rule")
OF_THE_FILE = ("init", "explain", "schema", "alerts")
"""Commands that are about the configuration file."""


def blocks(language: str) -> list[str]:
    """Give the code blocks of a language; those without one are output."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", README.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run the program of the README, and give the URL of the store that it leaves behind."""
    folder = tmp_path_factory.mktemp("readme")
    program = folder / "readme.py"
    program.write_text("\n".join(blocks("python")))
    done = subprocess.run([sys.executable, program], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "charged 30 under order/7" in done.stdout
    return f"sqlite:///{folder / 'clawproof.db'}"


def test_code_blocks_run_in_order(store: str) -> None:
    assert len(blocks("python")) > 1
    assert Path(store.removeprefix("sqlite:///")).exists()


def test_the_commands_run_in_order_over_its_store(store: str) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("clawproof ")]
    assert {line.split()[1] for line in lines} == {*main.commands, "--check"} - {"demo", "check"}
    # The scenario of the one is the reader's own; the others are about a file.
    lines = [line for line in lines if line.split()[1] not in ("stress", *OF_THE_AUDIT, *OF_THE_FILE)]
    for line in lines:
        arguments = shlex.split(line, comments=True)[1:]
        if "--follow" in arguments:
            arguments += ["--limit", "1"]
        for format_ in ("text", "json"):
            result = CliRunner().invoke(main, ["--format", format_, *arguments], env={"CLAWPROOF_URL": store})
            if "KEY" in arguments:
                assert "No call is recorded under key" in result.stderr
            elif arguments[0] != "revive" or format_ == "text":  # it is not killed the second time
                assert result.exit_code == 0, result.output


def test_the_commands_of_the_file_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [file] = blocks("toml")
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("clawproof ")]
    for line in lines:
        if line.split()[1] in OF_THE_FILE:
            result = CliRunner().invoke(main, shlex.split(line, comments=True)[1:])
            assert result.exit_code == 0, result.output
            Path("clawproof.toml").write_text(file)


def test_the_commands_of_the_audit_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "examples")
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("clawproof ")]
    for line in [line for line in lines if line.split()[1] in OF_THE_AUDIT]:
        result = CliRunner().invoke(main, shlex.split(line, comments=True)[1:])
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", ["pip install . && clawproof demo", 'pip install -e ".[test]" && pytest'])
def test_the_two_commands_stand_on_lines_of_their_own(command: str) -> None:
    assert command in README.read_text().splitlines()


def test_the_demo_prints_what_is_shown() -> None:
    shown, _ = blocks("")
    rows = [line.split("│")[1].strip() for line in shown.splitlines() if line.startswith("│")]
    assert rows == [*[name for name, _, _ in ROWS], "seconds of work"]
    assert BLOCKS.legend in shown.splitlines()
    assert (a_day().agents, PROCESSES + 1) == (13, 5)
    assert "Thirteen agents in five processes" in README.read_text()


def test_every_effect_has_its_promise() -> None:
    _, *promised = re.findall(r"^\| `(\w+)`", README.read_text(), flags=re.MULTILINE)
    assert promised == [str(effect) for effect in Effect]


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md"])
def test_what_it_points_to_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    modules = [name.replace(".", "/") + ".py" for name in re.findall(r"python -m ([\w.]+)", text)]
    files = [f"clawproof_langgraph/{path}" for path in re.findall(r"`([\w/]+(?:\.py|\.sql|/))`", text)]
    assert [name for name in [*links, *modules, *files] if not (ROOT / name).exists()] == []
