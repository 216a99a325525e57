"""`clawproof events`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest

from clawproof_langgraph import Coordinator
from clawproof_langgraph.cli import log
from clawproof_langgraph.events import Event
from clawproof_langgraph.model import Note
from clawproof_langgraph.testing.builders import call
from tests.cli.conftest import PAID, Store, grant


def test_one_line_for_each_event_in_order(busy: Store) -> None:
    lines = busy.run("events").stdout.splitlines()

    cursors = [int(line.split()[2]) for line in lines]
    assert len(lines) > 10
    assert cursors == sorted(set(cursors))
    assert lines[0].split()[3:6] == ["lock.acquired", "orders", "inventory/1"]
    assert 'reason="sells too cheap" by=ops' in lines[-1]


def test_the_filters_are_combined(busy: Store) -> None:
    def found(*filters: str) -> list[tuple[str, str]]:
        return [(line.split()[3], line.split()[4]) for line in busy.run("events", *filters).stdout.splitlines()]

    assert found("--type", "call.failed", "--type", "call.replayed") == [
        ("call.failed", "pricing"),
        ("call.replayed", "orders"),
    ]
    assert found("--type", "call.in_doubt", "--thread", "t7") == [("call.in_doubt", "payments")]
    assert {agent for _, agent in found("--agent", "payments")} == {"payments"}
    assert {agent for _, agent in found("--resource", "card")} == {"payments"}
    assert len(found("--limit", "3")) == 3
    assert found("--agent", "nobody") == []


def test_a_cursor_continues_where_the_last_look_has_ended(busy: Store) -> None:
    everything = busy.json_lines("events")
    first = busy.json_lines("events", "--limit", "4")
    assert first + busy.json_lines("events", "--after", first[-1]["id"]) == everything


def test_since_leaves_out_what_is_older(busy: Store) -> None:
    assert [event["type"] for event in busy.json_lines("events", "--since", "60s")][:2] == [
        "lock.acquired",
        "call.started",
    ]
    assert len(busy.json_lines("events", "--since", "1h")) == len(busy.json_lines("events"))


def test_json_is_a_cloud_event_on_each_line(busy: Store) -> None:
    [first, _] = busy.json_lines("events", "--type", "call.in_doubt")

    assert first["specversion"] == "1.0"
    assert first["id"] == str(first["data"]["cursor"])
    assert (first["source"], first["type"], first["subject"]) == ("/clawproof/default", "call.in_doubt", "card")
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert (first["data"]["key"], first["data"]["thread"], first["data"]["resources"]) == (PAID, "t7", ["card"])
    assert first["data"]["details"]["error"] == "TimeoutError"


def test_more_than_a_page_is_read_to_its_end(empty: Store) -> None:
    for number in range(1100):
        empty.backend.record(Note("Counted", agent="a", data={"number": number}))
    assert len(empty.run("events").stdout.splitlines()) == 1100


def test_nothing_found_says_so_where_it_is_in_nobodys_way(busy: Store) -> None:
    found, piped = busy.run("events", "--agent", "nobody"), busy.run("events", "--agent", "nobody", "--format", "json")
    assert (found.exit_code, found.stdout) == (0, "")
    assert "No such events in the log of sqlite:///" in found.stderr
    assert (piped.exit_code, piped.output) == (0, "")


def test_a_name_cannot_steer_the_terminal(empty: Store) -> None:
    grant(empty, call("1", agent="\x1b[2Jorders\n", tool="t", data={"text": "\x1b]0;title\x07 \x9b"}))
    [line] = empty.run("events").stdout.splitlines()
    assert line.isprintable()
    assert "\\x1b[2Jorders\\n" in line


def test_follow_shows_what_happens_later(empty: Store) -> None:
    empty.backend.record(Note("Before", agent="a"))
    command = [sys.executable, "-m", "clawproof_langgraph.cli", "events", "--follow", "--limit", "2"]
    with subprocess.Popen([*command, "--url", empty.url, "--format", "json"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        before = json.loads(process.stdout.readline())  # it has seen all that there was
        empty.backend.record(Note("After", agent="a"))
        after = json.loads(process.stdout.readline())
        assert process.wait(timeout=30) == 0
    assert (before["type"], after["type"]) == ("Before", "After")


def test_following_reads_nothing_twice(busy: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read, cursors, looks = Coordinator.events, [], iter([1, 2])

    def counted(coordinator: Coordinator, **filters: Any) -> list[Event]:
        cursors.append(filters["after"])
        return read(coordinator, **filters)

    def sleep(_: float) -> None:
        if next(looks, 0) == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(Coordinator, "events", counted)
    monkeypatch.setattr(log.time, "sleep", sleep)
    assert busy.run("events", "--follow", "--since", "1ms").exit_code == 0
    assert cursors.count(0) == 1


def test_ctrl_c_is_how_following_ends(empty: Store) -> None:
    empty.backend.record(Note("Before", agent="a"))
    command = [sys.executable, "-m", "clawproof_langgraph.cli", "events", "--follow", "--url", empty.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"Before" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, (b"", b""))


@pytest.mark.parametrize(
    "wrong",
    [
        ("--after", "soon"),
        ("--after", "9" * 30),
        ("--limit", "0"),
        ("--limit", "9" * 30),
        ("--agent", ""),
        ("--since", "yesterday"),
        ("--frobnicate",),
    ],
)
def test_a_wrong_option_is_usage(empty: Store, wrong: tuple[str, ...]) -> None:
    result = empty.run("events", *wrong)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
