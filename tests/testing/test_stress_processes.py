"""The stress harness with agents in several processes, which are killed and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clawproof_langgraph import ConfigurationError
from clawproof_langgraph.testing import Seat, Turn, run_agents
from clawproof_langgraph.testing.stress.chaos import plan_of_blows
from tests.servers import Server
from tests.servers.fixtures import redis_server
from tests.testing.bank import Bank, sound, swallowing
from tests.waiting import wait_until

__all__ = ["redis_server"]

SHORT: Any = {"n": 6, "processes": 3, "seconds": 3, "seed": 3}


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Name a store that processes can share; None is a new file."""
    if request.param == "sqlite":
        return None
    server: Server = request.getfixturevalue("redis_server")
    return server.url


def test_sound_agents_survive_kills_and_pauses(url: str | None, tmp_path: Path) -> None:
    bank = Bank(tmp_path / "bank.db")

    report = run_agents(bank.scenario(sound), kills=2, pauses=2, url=url, folder=tmp_path / "run", **SHORT)

    assert report.ok, report
    assert len(report.kills) == 2
    assert len(report.pauses) == 2
    assert any(pause.outlasted for pause in report.pauses), "a pause is longer than a lease"
    assert report.overlaps == ()
    assert report.turns["resumed"] >= 1
    assert "cut_short" not in report.turns, "every turn that was cut off is taken up from its checkpoint"


def test_a_tool_that_does_not_take_unknown_for_an_answer_is_found(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "bank.db", linger=0.4)

    report = run_agents(bank.scenario(swallowing), kills=4, pauses=0, folder=tmp_path / "run", **SHORT)

    [finding] = report.findings
    assert finding.kind == "invariant", "paid twice, or what was paid in without a lock was overwritten"
    involved = [report.calls[id_] for id_ in finding.calls]
    assert any(call.reason in ("the lease expired", "in doubt") for call in involved), report
    assert "clawproof resolve" in str(report)


def forgetful(seat: Seat) -> Any:
    def play(turn: Turn) -> None:
        with seat.coordinator.lock(f"desk/{seat.name}", agent=seat.name, ttl=1):
            time.sleep(0.2)

    return play


def test_a_turn_without_checkpoints_is_given_up_and_the_agent_goes_on(tmp_path: Path) -> None:
    report = run_agents(forgetful, n=2, processes=2, seconds=2, kills=2, pauses=0, seed=1, folder=tmp_path)

    assert report.ok, report
    assert report.turns["cut_short"] >= 1
    assert report.turns["ended"] > report.turns["cut_short"]


def dies(folder: Path, seat: Seat) -> Any:
    def play(turn: Turn) -> None:
        if seat.number == 1:
            os._exit(7)

    return play


def test_a_process_that_dies_by_itself_is_a_finding(tmp_path: Path) -> None:
    report = run_agents(partial(dies, tmp_path), n=2, processes=2, rounds=1, kills=0, pauses=0, folder=tmp_path)

    assert [finding.kind for finding in report.findings] == ["agent_stuck", "process_died"]
    assert report.findings[1].text == "agent-1: exit code 7"


def cannot(seat: Seat) -> Any:
    raise OSError("no such database")


def test_agents_that_cannot_be_made_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make_agent failed for agent-1: OSError: no such database"):
        run_agents(cannot, n=2, processes=2, folder=tmp_path)


def test_a_script_without_a_guard_around_its_main_part_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from clawproof_langgraph.testing import run_agents\n"
        "def make(seat):\n"
        "    return str\n"
        "run_agents(make, n=2, processes=2, rounds=1, folder='.')\n"
    )

    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert '`if __name__ == "__main__":` around its call of run_agents' in done.stderr


def pids(folder: Path, seat: Seat) -> Any:
    (folder / f"{os.getpid()}.pid").touch()

    def play(turn: Turn) -> None:
        signal.pause()

    return play


def test_no_process_outlives_a_run_that_is_broken_off(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text(
        "from functools import partial\nfrom pathlib import Path\n"
        "from clawproof_langgraph.testing import Scenario\nfrom tests.testing.test_stress_processes import pids\n"
        f"scenario = Scenario(make_agent=partial(pids, Path({str(tmp_path)!r})))\n"
    )
    command = [sys.executable, "-m", "clawproof_langgraph.cli", "stress", "agents:scenario", "--agents", "2"]
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2, within=60)

    run.send_signal(signal.SIGINT)
    run.wait(timeout=30)

    wait_until(lambda: not any(_lives(int(file.stem)) for file in tmp_path.glob("*.pid")))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_blows_are_drawn_from_the_seed() -> None:
    drawn = plan_of_blows(7, seconds=20.0, kills=3, pauses=2)

    assert drawn == plan_of_blows(7, seconds=20.0, kills=3, pauses=2)
    assert drawn != plan_of_blows(8, seconds=20.0, kills=3, pauses=2)
    assert sorted(blow.kind for blow in drawn) == ["kill"] * 3 + ["pause"] * 2
    assert all(2.0 <= blow.at <= 18.0 for blow in drawn) and drawn == sorted(drawn)


def test_the_command_prints_what_broke_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "shop.py").write_text(
        "from pathlib import Path\nfrom tests.testing.bank import Bank, unguarded\n"
        "def scenario():\n    return Bank(Path('bank.db').absolute()).scenario(unguarded)\n"
    )
    words = ["stress", "shop:scenario", "--agents", "4", "--processes", "2", "--rounds", "5", "--seed", "4"]
    command = [sys.executable, "-m", "clawproof_langgraph.cli", *words, "--kills", "1", "--pauses", "0"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=90)

    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("4 agents in 2 processes for 20.0 s, seed 4 ...")
    assert "BROKEN, invariant" in done.stdout and done.stdout.endswith("Something broke.\n")
    [file] = (tmp_path / ".clawproof" / "stress").glob("*/report.json")
    assert json.loads(file.read_text())["target"] == "shop:scenario"
