"""What a log shows: read without writing, fast, and never taken for a pass where there is nothing."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from pathlib import Path

import pytest

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.audit.findings import Status, Unseen
from clawproof_langgraph.audit.observed import Log, Observed, findings, lines, observe
from clawproof_langgraph.audit.run import audit
from tests.audit.projects import GOOD, outcome, write

TOOLS = '''
from langchain_core.tools import tool


@tool
def reserve(sku: str) -> str:
    """Take one out of the stock."""
    return "done"
'''


def url_of(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with a log: guarded calls, one around the guard, a prevented deadlock, a stopped agent."""
    from langchain_core.tools import tool

    @tool
    def reserve(sku: str) -> str:
        """Take one out of the stock."""
        return "done"

    @tool
    def mail(to: str) -> str:
        """Write a mail."""
        return "sent"

    file = tmp_path / "state.db"
    with Coordinator.from_url(url_of(file)) as coordinator:
        guard = Guard(
            coordinator, agent="orders", tools={"reserve": ToolPolicy(locks=["inventory/{sku}"])}, unmapped="allow"
        )
        with pytest.warns(UserWarning, match="mail"):
            safe, bare = guard.wrap_tools([reserve, mail])
        for number in range(3):
            safe.invoke({"sku": str(number)})
        bare.invoke({"to": "you"})
        coordinator.kill("pricing", by="ops")
    return file


def seen_in(file: Path) -> Observed:
    seen = observe(url_of(file), "default")
    assert isinstance(seen, Observed), seen
    return seen


def test_what_happened_is_told(file: Path) -> None:
    seen = seen_in(file)
    assert seen.agents == ("orders", "pricing")
    assert seen.resources == ("inventory/0", "inventory/1", "inventory/2")
    assert seen.tools == ("mail", "reserve")
    assert seen.calls == 4
    assert seen.unguarded == ((("orders", "mail"), 1),)
    assert seen.stopped == ("pricing",)
    said = "\n".join(lines(seen))
    assert 'Without a guard: "mail" of agent "orders", 1 time' in said
    assert "Hottest resource" in said and "1 agent killed" in said


def test_a_call_around_the_guard_is_a_finding(file: Path) -> None:
    [found] = findings(seen_in(file))
    assert (found.rule, found.tool, found.agent) == ("CP002", "mail", "orders")


def test_reading_changes_no_byte_and_makes_no_file(file: Path) -> None:
    before = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in file.parent.iterdir()}
    seen_in(file)
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in file.parent.iterdir()} == before


def test_a_running_system_is_read_and_goes_on(file: Path) -> None:
    with Coordinator.from_url(url_of(file)) as coordinator, coordinator.lock("inventory/9", agent="restock"):
        assert "restock" in seen_in(file).agents
        coordinator.publish("Counted")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("sqlite:///{0}/none.db", "there is no file"),
        ("sqlite:///{0}/empty.db", "there is no file"),
        ("sqlite:///{0}/text.db", "not a coordination file"),
        ("sqlite:///{0}/other.db", "not a coordination file"),
        ("sqlite:///{0}", "unable to open"),
        ("sqlite://state.db", "write sqlite:///relative.db"),
        ("sqlite:", "write sqlite:///relative.db"),
        ("memory://shop", "memory of one process"),
        ("redis://127.0.0.1:1/0", "unavailable"),
        ("nosuch://host", "not known"),
        ("redis://user:secret@127.0.0.1:1/0", "unavailable"),
        ("http://[", "URL"),
    ],
)
def test_a_store_that_cannot_be_read_is_told_and_not_made(tmp_path: Path, url: str, why: str) -> None:
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("this is no database, but a text that is long enough to be one" * 20)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    before = sorted(tmp_path.iterdir())
    seen = observe(url.format(tmp_path), "default")
    assert isinstance(seen, Unseen)
    assert why in seen.why
    assert "secret" not in seen.what + seen.why
    assert sorted(tmp_path.iterdir()) == before


def test_a_namespace_that_does_not_exist_is_not_made(file: Path) -> None:
    seen = observe(url_of(file), "elsewhere")
    assert isinstance(seen, Unseen) and 'no namespace "elsewhere"' in seen.why
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT name FROM namespaces").fetchall() == [("default",)]
    connection.close()


def test_an_empty_log_is_no_measurement(tmp_path: Path) -> None:
    Coordinator.from_url(url_of(tmp_path / "state.db")).close()
    seen = observe(url_of(tmp_path / "state.db"), "default")
    assert isinstance(seen, Unseen) and "no call" in seen.why


def test_the_default_store_is_looked_for_and_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLAWPROOF_URL", raising=False)
    assert isinstance(observe(None, "default"), Unseen)
    assert list(tmp_path.iterdir()) == []


def test_a_hundred_thousand_events_take_a_few_seconds(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        cursor, when = connection.execute("SELECT max(cursor), max(time) FROM events").fetchone()
        rows = []
        for call in range(25_000):
            wait = {"waited": (call % 100) / 1000}
            for kind, data in (
                ("lock.acquired", wait),
                ("call.started", {"tool": "reserve", "attempt": 1, **wait}),
                ("call.done", {"tool": "reserve", "held": 0.02, "attempt": 1}),
                ("lock.released", {"held": 0.02}),
            ):
                cursor, when = cursor + 1, when + 0.01
                about = (f"agent-{call % 30}", "t", f"c-{call}", f"k-{call}", f"sku/{call % 200}")
                rows.append((cursor, 1, when, kind, *about, cursor, json.dumps(data)))
        connection.executemany(f"INSERT INTO events VALUES ({','.join('?' * 11)})", rows)
    connection.close()
    began = time.perf_counter()
    seen = seen_in(file)
    took = time.perf_counter() - began
    assert seen.events > 100_000 and seen.calls > 25_000
    assert took < 20  # two seconds on a quiet machine


# --- in an audit --------------------------------------------------------------------------------------------------


def project(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "tools.py").write_text(TOOLS)
    return tmp_path / "shop"


def test_an_audit_takes_contention_from_the_log(file: Path, tmp_path: Path) -> None:
    report = audit(project(tmp_path), ways=[Log(url_of(file))])
    outcomes = {outcome.rule: outcome for outcome in report.outcomes}
    assert outcomes["CP009"].status is Status.PASSED
    assert 'hottest resource "inventory/' in outcomes["CP009"].line
    assert outcomes["CP002"].status is Status.FAILED
    assert "without a guard, by the log" in outcomes["CP002"].line
    assert report.ways == ("static", "log")
    assert any("not found in the source" in line for line in report.observed)
    assert any('does not have "mail"' in each.why for each in report.unseen)


def test_an_unreadable_log_is_no_pass(tmp_path: Path) -> None:
    report = audit(project(tmp_path), ways=[Log(url_of(tmp_path / "none.db"))])
    outcomes = {outcome.rule: outcome for outcome in report.outcomes}
    assert outcomes["CP009"].status is Status.NOT_CHECKED
    assert "none.db: there is no file" in outcomes["CP009"].line
    assert any("there is no file" in each.why for each in report.unseen)


def test_a_stress_report_does_not_stand_in_for_a_log_that_cannot_be_read(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", GOOD)
    assert outcome(audit(whole), "CP009").status is Status.PASSED
    assert outcome(audit(whole, ways=[Log(url_of(tmp_path / "none.db"))]), "CP009").status is Status.NOT_CHECKED
