"""What all commands have in common: options, exit codes, the store that is not there, pipes, and a fast start."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from clawproof_langgraph import Coordinator
from clawproof_langgraph.cli import main
from clawproof_langgraph.cli.settings import Settings
from clawproof_langgraph.cli.store import default_file
from clawproof_langgraph.model import Note
from tests.cli.conftest import PAID, Store, pasted

COMMANDS = (
    "demo", "trace", "locks", "events", "kill", "revive", "resolve", "alerts", "stress", "check", "rule", "init",
    "explain", "schema",
)  # fmt: skip
WITH_A_STORE = [("trace",), ("locks",), ("events",), ("kill", "a"), ("revive", "a"), ("resolve", "k", "applied")]
MODULE = [sys.executable, "-m", "clawproof_langgraph.cli"]


def test_help_lists_the_commands_with_a_sentence_each() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    listed = [line.split()[0] for line in text.partition("Commands:")[2].splitlines() if line]
    assert tuple(listed) == COMMANDS
    assert all(word in text for word in ("CLAWPROOF_URL", "CLAWPROOF_NAMESPACE", "Exit codes"))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_the_common_options(command: str) -> None:
    text = CliRunner().invoke(main, [command, "--help"]).output
    assert all(option in text for option in ("--url", "--namespace", "--format"))


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.output) == (0, f"clawproof, version {version('clawproof-langgraph')}\n")


def test_a_command_that_does_not_exist_is_usage() -> None:
    assert CliRunner().invoke(main, ["frobnicate"]).exit_code == 2


# --- options ------------------------------------------------------------------------------------------------------


def test_the_options_stand_before_or_after_the_command(busy: Store) -> None:
    options = ["--url", busy.url, "--namespace", "default", "--format", "json"]
    before = CliRunner().invoke(main, [*options, "events"])
    after = CliRunner().invoke(main, ["events", *options])
    assert before.exit_code == after.exit_code == 0
    assert before.stdout == after.stdout != ""


def test_what_stands_nearer_to_the_command_wins(busy: Store) -> None:
    arguments = ["--namespace", "other", "--url", "sqlite:///nowhere.db", "locks", "--format", "json"]
    result = CliRunner().invoke(main, [*arguments, "--url", busy.url, "--namespace", "default"])
    assert len(json.loads(result.stdout)["leases"]) == 1


def test_the_environment_names_the_store(busy: Store) -> None:
    environment = {"CLAWPROOF_URL": busy.url, "CLAWPROOF_NAMESPACE": "shop"}
    result = CliRunner().invoke(main, ["locks", "--format", "json"], env=environment)
    shown = json.loads(result.stdout)
    assert (shown["store"], shown["namespace"], shown["leases"]) == (busy.url, "shop", [])


def test_without_a_name_it_is_the_store_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    missing = CliRunner().invoke(main, ["locks"])
    made_by_looking = (tmp_path / ".clawproof").exists()
    with Coordinator.from_url() as coordinator:
        assert coordinator.store == f"sqlite:///{default_file()}"
    found = CliRunner().invoke(main, ["locks"])

    assert (missing.exit_code, made_by_looking, found.exit_code) == (1, False, 0)
    assert str(tmp_path / ".clawproof" / "state.db") in missing.stderr


@pytest.mark.parametrize("option", ["--url", "--namespace"])
@pytest.mark.parametrize("arguments", [*WITH_A_STORE, ("demo",)])
def test_an_empty_option_is_not_taken_for_none(busy: Store, option: str, arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*arguments, option, ""], env={"CLAWPROOF_URL": busy.url})
    assert result.exit_code == 2
    assert "it is empty" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("kill", "x\udcff"), ("events", "--type", "x\udcff"), ("kill", "x", "--by", "\udcff")]
)
def test_what_is_no_text_is_usage(empty: Store, arguments: tuple[str, ...]) -> None:
    result = empty.run(*arguments)
    assert result.exit_code == 2
    assert "not valid UTF-8" in result.stderr


# --- hints --------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path) -> list[str]:
    """Give the options of a store that needs quotes, with a killed agent in it."""
    url, namespace = f"sqlite:///{tmp_path / 'my shop.db'}", "the shop"
    with Coordinator.from_url(url, namespace=namespace) as coordinator:
        coordinator.kill("orders")
    return ["--url", url, "--namespace", namespace]


@pytest.mark.parametrize("command", [["kill", "orders"], ["locks"]])
@pytest.mark.parametrize("before", [False, True])
def test_a_hint_leads_to_the_same_store(elsewhere: list[str], command: list[str], before: bool) -> None:
    arguments = [*elsewhere, *command] if before else [*command, *elsewhere]
    done = pasted(CliRunner().invoke(main, arguments).stdout)
    assert (done.exit_code, done.stdout) == (0, 'Revived "orders": its tools run again.\n')


def test_a_hint_of_the_library_leads_to_the_same_store_too(elsewhere: list[str]) -> None:
    result = CliRunner().invoke(main, ["resolve", "nokey", "applied", *elsewhere])
    hint = result.stderr.split("`")[1]
    done = pasted(hint)
    assert (result.exit_code, done.exit_code) == (1, 0)
    assert "my shop.db, namespace the shop" in done.stdout


def test_what_the_environment_says_need_not_be_repeated(busy: Store) -> None:
    result = CliRunner().invoke(main, ["kill", "orders"], env={"CLAWPROOF_URL": busy.url})
    assert result.stdout.endswith("clawproof revive orders\n")


def test_a_hint_tells_no_password() -> None:
    hint = Settings(url="redis://ops:pa55@host:6379/0").hint("revive", "orders")
    assert hint == "clawproof revive orders --url redis://ops:PASSWORD@host:6379/0"


# --- the store that is not there ----------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", WITH_A_STORE)
def test_a_file_that_does_not_exist_is_not_made(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*arguments, "--url", f"sqlite:///{tmp_path / 'typo.db'}"])
    assert result.exit_code == 1
    assert "There is no coordination store" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "new.db").touch()
    result = CliRunner().invoke(main, ["locks", "--url", f"sqlite:///{tmp_path / 'new.db'}"])
    assert (result.exit_code, (tmp_path / "new.db").stat().st_size) == (1, 0)


@pytest.mark.parametrize("arguments", WITH_A_STORE)
@pytest.mark.parametrize("url", ["memory://", "memory://shop"])
def test_a_store_in_memory_cannot_be_seen_from_outside(url: str, arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*arguments, "--url", url])
    assert result.exit_code == 1
    assert "lives inside one process" in result.stderr


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite:", "sqlite://host/file.db", "clawproof.db", "http://["])
@pytest.mark.parametrize("arguments", [*WITH_A_STORE, ("demo",)])
def test_a_wrong_url_is_usage(url: str, arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*arguments, "--url", url])
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "letter.txt"
    other.write_text("Dear Sir or Madam, " * 100)
    result = CliRunner().invoke(main, ["locks", "--url", f"sqlite:///{other}"])
    assert result.exit_code == 2
    assert "is not a coordination file" in result.stderr


# --- real processes -----------------------------------------------------------------------------------------------


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MODULE, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("command", ["trace", "locks", "events"])
def test_what_is_piped_has_no_colour_and_whole_lines(busy: Store, command: str) -> None:
    done = run(command, "--url", busy.url, TERM="xterm-256color", COLUMNS="20")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert any(PAID in line and "payments" in line for line in done.stdout.splitlines())


def test_a_terminal_gets_colour_unless_it_asks_for_none(busy: Store) -> None:
    red = "\x1b[1;31mcall.in_doubt"
    assert red in _on_a_terminal("events", "--url", busy.url)
    assert red not in _on_a_terminal("events", "--url", busy.url, NO_COLOR="1")


@pytest.mark.parametrize("columns", [60, 80, 100, 120, 200])
def test_a_terminal_breaks_no_table(busy: Store, columns: int) -> None:
    text = _on_a_terminal("locks", "--url", busy.url, COLUMNS=str(columns), NO_COLOR="1")
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in text.splitlines() if "sqlite:" not in line]
    assert max(map(len, lines)) <= columns
    assert {"charge/7", "charge/8"} <= set(text.split())


def _on_a_terminal(*arguments: str, **environment: str) -> str:
    ours, theirs = pty.openpty()
    settings = {**os.environ, "TERM": "xterm-256color", **environment}
    with subprocess.Popen([*MODULE, *arguments], stdout=theirs, env=settings) as process:
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:  # on Linux, the end of what a terminal has to say
            pass
        finally:
            os.close(ours)
    assert process.returncode == 0
    return text.decode()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_without_blocks_is_no_reason_to_fail(busy: Store, encoding: str) -> None:
    busy.backend.record(Note("Changed", agent="\N{CJK UNIFIED IDEOGRAPH-732B}"))
    trace, events = (run(command, "--url", busy.url, PYTHONIOENCODING=encoding) for command in ("trace", "events"))
    assert (trace.returncode, events.returncode) == (0, 0), trace.stderr + events.stderr
    assert ". waits, # holds" in trace.stdout
    assert "Changed" in events.stdout


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(empty: Store) -> None:
    for number in range(3000):  # more than a pipe holds
        empty.backend.record(Note("Counted", agent="a", data={"number": number}))
    with subprocess.Popen(
        [*MODULE, "events", "--url", empty.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device here")
def test_a_disk_that_is_full_ends_it_in_a_sentence(busy: Store) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*MODULE, "locks", "--url", busy.url], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"Error: [Errno 28] No space left on device\n")


def test_looking_at_locks_imports_no_langgraph(busy: Store) -> None:
    program = (
        "import sys\n"
        "from clawproof_langgraph.cli import main\n"
        f"main(['locks', '--url', {busy.url!r}], standalone_mode=False)\n"
        "heavy = {'langgraph', 'langchain', 'langchain_core', 'langsmith', 'redis'}\n"
        "sys.exit(' '.join(heavy & {name.partition('.')[0] for name in sys.modules}) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert "1 lease" in done.stdout


def test_the_installed_command_is_this_one(empty: Store) -> None:
    installed = Path(sys.executable).with_name("clawproof")
    done = subprocess.run([installed, "locks", "--url", empty.url], capture_output=True, text=True, timeout=60)
    assert (done.returncode, "No leases" in done.stdout) == (0, True), done.stderr
