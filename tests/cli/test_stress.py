"""`clawproof stress`: options, formats and exit codes; what it runs is tested with the harness."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clawproof_langgraph.cli import main
from clawproof_langgraph.testing import Scenario

QUICK = ("--agents", "2", "--rounds", "1", "--url", "memory://")


def holds() -> Scenario:
    return Scenario(make_agent=lambda seat: str, invariant=lambda: None)


def breaks() -> Scenario:
    return Scenario(make_agent=lambda seat: str, invariant=lambda: "it is odd")


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["stress", *arguments])


@pytest.mark.parametrize(("target", "code", "said"), [("holds", 0, "Nothing broke."), ("breaks", 1, "it is odd")])
def test_the_exit_code_is_the_verdict(target: str, code: int, said: str) -> None:
    result = run(f"{__name__}:{target}", *QUICK)

    assert result.exit_code == code, result.output
    assert said in result.stdout


def test_the_report_is_printed_as_json(tmp_path: Path) -> None:
    result = run(f"{__name__}:breaks", *QUICK, "--format", "json", "--seed", "5", "--namespace", "mine")

    told = json.loads(result.stdout)
    [file] = (tmp_path / ".clawproof" / "stress").glob("*/report.json")
    assert told == json.loads(file.read_text())
    assert (told["seed"], told["namespace"], told["processes"], told["ok"]) == (5, "mine", 1, False)
    assert [finding["text"] for finding in told["findings"]] == ["it is odd"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "not of the form module:factory"),
        (("no_such:thing",), "neither in"),
        ((f"{__name__}:holds", "--url", "memory://", "--processes", "2"), "2 processes cannot share memory://"),
        ((f"{__name__}:holds", "--url", "memory://", "--kills", "1"), "nobody can be killed"),
        ((f"{__name__}:holds", "--url", "ftp://x", "--processes", "1"), "is not known"),
        ((f"{__name__}:holds", "--seconds", "soon"), "is not a duration"),
        ((f"{__name__}:holds", "--agents", "0"), "--agents"),
        ((), "Missing argument 'TARGET'"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 2, result.output
    assert said in result.stderr


@pytest.mark.parametrize("said", ["3", "3s", "0.05m"])
def test_seconds_may_have_a_unit(said: str) -> None:
    assert "for 3.0 s" in run(f"{__name__}:holds", *QUICK, "--seconds", said).stderr
