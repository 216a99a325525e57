"""`clawproof trace`."""

from __future__ import annotations

import pytest
from langchain_core.tools import tool

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.model import Snapshot
from clawproof_langgraph.testing.builders import ask, call, released, settled
from tests.cli.conftest import PAID, Store, grant


def row_of(text: str, *parts: str) -> str:
    """Find the one line that has all parts."""
    [row] = [line for line in text.splitlines() if all(part in line for part in parts)]
    return row


def test_each_call_has_a_line_with_its_outcome(busy: Store) -> None:
    text = busy.run("trace").stdout

    for parts in (
        ("orders", "t1", "2.0 s", "done", "inventory/1"),
        ("pricing", "reprice", "2.0 s", "3.0 s", "failed (ValueError)"),
        ("orders", "replayed"),
        ("payments", "t7", f"in doubt (TimeoutError), key {PAID}"),
        ("orders", "running", "inventory/1, pricing/1"),
        ("pricing", "reprice", "waiting"),
    ):
        assert row_of(text, *parts)
    assert "7 calls: 1 waiting, 1 running, 1 done, 1 replayed, 1 failed, 2 in doubt" in text


def test_a_lane_per_agent_is_drawn_above(busy: Store) -> None:
    lines = busy.run("trace").stdout.splitlines()
    assert lines[2].startswith("░ waits, █ holds, ▒ holds and never settled")
    assert [line.split()[0] for line in lines[3:6]] == ["orders", "payments", "pricing"]
    assert "waited 2.0 s, held 3.0 s" in lines[5]


def test_only_the_calls_of_an_agent_or_a_thread(busy: Store) -> None:
    of_agent = busy.json("trace", "--agent", "pricing")["calls"]
    of_thread = busy.json("trace", "--thread", "t7")["calls"]
    of_both = busy.json("trace", "--thread", "t2", "--agent", "pricing")["calls"]
    assert [entry["id"] for entry in of_agent] == ["second", "waiter"]
    assert [entry["id"] for entry in of_thread] == [f"{PAID}-call"]
    assert [entry["id"] for entry in of_both] == ["second", "waiter"]


def test_json_has_the_facts_of_a_call(busy: Store) -> None:
    [entry] = busy.json("trace", "--thread", "t7")["calls"]
    facts = {name: entry[name] for name in ("agent", "tool", "key", "resources", "waited", "held", "attempts")}
    assert facts == {
        "agent": "payments",
        "tool": "charge",
        "key": PAID,
        "resources": ["card"],
        "waited": 0.0,
        "held": 1.0,
        "attempts": 1,
    }
    assert (entry["outcome"], entry["error"]) == ("in_doubt", "TimeoutError")


def test_a_resolved_call_is_no_longer_in_doubt(busy: Store) -> None:
    assert busy.run("resolve", PAID, "applied", "--by", "ops").exit_code == 0
    assert "resolved: applied by ops" in row_of(busy.run("trace", "--thread", "t7").stdout, "charge")


def test_a_lease_that_expired_unnoticed_is_in_doubt(empty: Store) -> None:
    empty.backend.begin(call("dead", "inventory/1", key="k", ttl=30.0))
    [entry] = empty.json("trace")["calls"]
    assert (entry["outcome"], entry["reason"]) == ("in_doubt", "the lease expired")
    text = empty.run("trace").stdout
    assert "in doubt (the lease expired), key k" in row_of(text, "t1")
    assert "▒?|" in row_of(text, "orders |")
    assert row_of(text, "orders |").endswith("held 0, ▒ 30.0 s")


def test_a_lock_that_expired_unnoticed_is_not_running(empty: Store) -> None:
    empty.backend.begin(ask("dead", "inventory/1", ttl=30.0))
    assert [entry["outcome"] for entry in empty.json("trace")["calls"]] == ["expired"]


def test_what_ends_while_the_trace_reads_is_not_taken_for_dead(empty: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = grant(empty, ask("1", "inventory/1"))
    snapshot = Coordinator.snapshot

    def too_late(coordinator: Coordinator) -> Snapshot:
        empty.backend.settle(released(lease))
        grant(empty, ask("2", "inventory/1"))
        return snapshot(coordinator)

    monkeypatch.setattr(Coordinator, "snapshot", too_late)
    assert [entry["outcome"] for entry in empty.json("trace")["calls"]] == ["released"]


def test_a_lane_goes_on_to_now(empty: Store) -> None:
    grant(empty, call("1", "inventory/1", key="k", ttl=600.0))
    lane = row_of(empty.run("trace").stdout, "orders |")
    assert "|█" in lane and "█|" in lane
    assert lane.endswith("held 1 m 40 s")


def test_a_doubt_that_another_agent_has_settled_is_none(empty: Store) -> None:
    dead = call("dead", "inventory/1", key="order/1", agent="a", ttl=30.0, rerun_within=600.0)
    empty.backend.begin(dead)
    empty.clock.advance(31.0)
    heir = grant(empty, call("heir", "inventory/1", key="order/1", agent="b", rerun_within=600.0))
    empty.backend.settle(settled(heir))

    [entry] = empty.json("trace", "--agent", "a")["calls"]
    assert entry["outcome"] == "rerun"


def test_since_leaves_out_older_calls(busy: Store) -> None:
    assert [entry["id"] for entry in busy.json("trace", "--since", "60s")["calls"]] == ["holder", "waiter"]


def test_nothing_known_of_a_thread_is_exit_code_1(busy: Store) -> None:
    result = busy.run("trace", "--thread", "t99")
    assert result.exit_code == 1
    assert 'No call of thread "t99" is in the log' in result.stderr
    assert result.stdout == ""


def test_an_empty_log_is_no_error(empty: Store) -> None:
    result = empty.run("trace")
    assert result.exit_code == 0
    assert "No calls" in result.stdout


def test_a_tool_behind_a_guard_can_be_traced(empty: Store) -> None:
    @tool
    def reserve(sku: str) -> str:
        """Reserve an article."""
        return f"{sku} reserved"

    with Coordinator.from_url(empty.url) as coordinator:
        guard = Guard(coordinator, agent="shop", tools={"reserve": ToolPolicy(locks=["inventory/{sku}"])})
        guard.wrap_tool(reserve).invoke({"sku": "lamp"})
        with coordinator.lock("inventory/lamp", agent="script"):
            pass
    calls = empty.json("trace")["calls"]
    assert [(entry["agent"], entry["tool"], entry["outcome"]) for entry in calls] == [
        ("shop", "reserve", "done"),
        ("script", "", "released"),
    ]
