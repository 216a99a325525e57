"""`clawproof kill`, `revive` and `resolve`."""

from __future__ import annotations

import getpass
from typing import Any

import pytest

from clawproof_langgraph import codec
from clawproof_langgraph.model import Granted, Killed, Replay
from clawproof_langgraph.testing.builders import call
from tests.cli.conftest import PAID, UNPAID, Store

# --- kill and revive ----------------------------------------------------------------------------------------------


def test_a_killed_agent_gets_no_turn_until_it_is_revived(empty: Store) -> None:
    killed = empty.run("kill", "orders", "--reason", "sells too cheap", "--by", "ops")
    refused = empty.backend.begin(call("1", "inventory/1"))
    revived = empty.run("revive", "orders")
    granted = empty.backend.begin(call("2", "inventory/1"))

    assert (killed.exit_code, revived.exit_code) == (0, 0)
    assert isinstance(refused, Killed)
    assert (refused.reason, refused.by) == ("sells too cheap", "ops")
    assert isinstance(granted, Granted)
    assert f"clawproof revive orders --url {empty.url}" in killed.stdout


def test_who_decides_is_the_user_unless_told_otherwise(empty: Store) -> None:
    empty.run("kill", "orders")
    empty.run("revive", "orders", "--by", "ops")
    empty.run("kill", "orders")
    events = empty.json_lines("events")
    assert [event["data"]["details"]["by"] for event in events] == [getpass.getuser(), "ops", getpass.getuser()]


def test_a_user_without_a_name_has_a_number(empty: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", fail)
    assert empty.json("kill", "orders")["by"].startswith("uid ")


def test_an_agent_that_nobody_knows_is_killed_with_a_question(busy: Store) -> None:
    unknown, known = busy.run("kill", "ordres"), busy.run("kill", "orders")
    assert (unknown.exit_code, known.exit_code) == (0, 0)
    assert 'Nothing is known of an agent "ordres"' in unknown.stderr
    assert known.stderr == ""


def test_an_agent_that_is_not_killed_cannot_be_revived(busy: Store) -> None:
    before = len(busy.json_lines("events"))
    result = busy.run("revive", "orders")
    assert result.exit_code == 1
    assert "Killed agents: rogue." in result.stderr
    assert len(busy.json_lines("events")) == before


def test_json_of_kill_and_revive(empty: Store) -> None:
    assert empty.json("kill", "orders", "--reason", "r", "--by", "ops") == {
        "agent": "orders",
        "killed": True,
        "reason": "r",
        "by": "ops",
        "known": False,
    }
    assert empty.json("revive", "orders", "--by", "ops") == {"agent": "orders", "killed": False, "by": "ops"}


# --- resolve ------------------------------------------------------------------------------------------------------


def test_applied_gives_its_result_to_a_repetition(busy: Store) -> None:
    result = busy.run("resolve", PAID, "applied", "--result", '{"receipt": 7}', "--by", "ops")
    reply = busy.backend.begin(call("again", "card", key=PAID, tool="charge"))

    assert result.exit_code == 0
    assert "charge of payments as applied: a repetition gets the result" in result.stdout
    assert isinstance(reply, Replay)
    assert reply.result is not None
    assert codec.loads(reply.result) == {"receipt": 7}


def test_applied_without_a_result_says_what_a_repetition_is_told(busy: Store) -> None:
    assert "a repetition is told that it took effect" in busy.run("resolve", PAID, "applied").stdout


def test_not_applied_lets_the_call_run_again(busy: Store) -> None:
    assert busy.run("resolve", UNPAID, "not_applied").exit_code == 0
    assert isinstance(busy.backend.begin(call("again", "card", key=UNPAID, tool="charge")), Granted)


def test_json_of_resolve_says_whether_anything_changed(busy: Store) -> None:
    expected: dict[str, Any] = {"key": PAID, "outcome": "applied", "by": "ops"}
    assert busy.json("resolve", PAID, "applied", "--by", "ops") == expected | {"changed": True}
    assert busy.json("resolve", PAID, "applied", "--by", "ops") == expected | {"changed": False}
    assert "nothing was changed" in busy.run("resolve", PAID, "applied").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("nokey", "applied"), 'No call is recorded under key "nokey"'), (("k1", "not_applied"), "is not in doubt")],
)
def test_a_call_that_is_not_in_doubt_is_refused(busy: Store, arguments: tuple[str, ...], sentence: str) -> None:
    result = busy.run("resolve", *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ("kill",),
        ("kill", ""),
        ("revive", " "),
        ("resolve", PAID),
        ("resolve", PAID, "maybe"),
        ("resolve", PAID, "applied", "--result", "paid"),
        ("resolve", PAID, "not_applied", "--result", "1"),
    ],
)
def test_wrong_usage_changes_nothing(busy: Store, wrong: tuple[str, ...]) -> None:
    before = busy.json_lines("events")
    assert busy.run(*wrong).exit_code == 2
    assert busy.json_lines("events") == before
