"""`clawproof locks`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clawproof_langgraph import Coordinator
from clawproof_langgraph.model import InDoubt, Snapshot, State
from clawproof_langgraph.testing.builders import call, settled
from tests.cli.conftest import PAID, UNPAID, Store, grant, pasted

DIED = InDoubt("order 7/x", "payments", "t7", "charge", 1, 0.0, ("card", "order/7"), "the lease expired")
FAILED = InDoubt("order/8", "payments", "t8", "charge", 2, 0.0, (), "TimeoutError")


def test_shows_leases_waiters_doubts_and_killed_agents(busy: Store) -> None:
    result = busy.run("locks")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    lease = lines[lines.index("1 lease") + 2].split("  ")
    assert [cell.strip() for cell in lease if cell][:2] == ["orders", "reserve"]
    assert "inventory/1 (exclusive), pricing/1 (shared)" in lease[-1]
    assert "pricing" in lines[lines.index("1 waiter, first come, first served") + 2]
    doubts = lines[lines.index("2 calls in doubt") + 2 :]
    assert [line.split()[0] for line in doubts[:2]] == [PAID, UNPAID]
    assert f"clawproof resolve KEY applied --url {busy.url}" in doubts[2]
    assert lines[-2].split()[0] == "rogue"
    assert lines[-2].endswith("ops  sells too cheap")
    assert lines[-1].endswith(f"clawproof revive rogue --url {busy.url}")


def test_an_empty_store_says_so(empty: Store) -> None:
    result = empty.run("locks")
    assert result.exit_code == 0
    assert "No leases, no waiters" in result.stdout


def test_json_has_all_of_it(busy: Store) -> None:
    shown = busy.json("locks")

    [lease], [waiter] = shown["leases"], shown["waiters"]
    assert lease["resources"] == [
        {"resource": "inventory/1", "mode": "exclusive"},
        {"resource": "pricing/1", "mode": "shared"},
    ]
    assert (lease["owner"], lease["agent"], lease["thread"]) == ("holder", "orders", "t1")
    assert lease["fence"] > 0
    assert 0 <= lease["held"] < 100 < lease["remaining"] <= 600
    assert (waiter["owner"], waiter["agent"], waiter["tool"]) == ("waiter", "pricing", "reprice")
    assert [(entry["key"], entry["attempts"]) for entry in shown["in_doubt"]] == [(PAID, 1), (UNPAID, 1)]
    assert [(entry["agent"], entry["reason"], entry["by"]) for entry in shown["killed"]] == [
        ("rogue", "sells too cheap", "ops")
    ]
    assert (shown["store"], shown["namespace"]) == (busy.url, "default")


@pytest.fixture
def doubtful(empty: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Give a store whose calls in doubt are known."""
    monkeypatch.setattr(Coordinator, "snapshot", lambda _: Snapshot(in_doubt=(DIED, FAILED)))
    return empty


def test_a_call_in_doubt_shows_why_and_what_it_held(doubtful: Store) -> None:
    titles, died, failed = doubtful.run("locks").stdout.splitlines()[3:6]
    assert titles.split()[-2:] == ["REASON", "RESOURCES"]
    assert died.endswith("t7      the lease expired  card, order/7")
    assert failed.endswith("t8      TimeoutError       -")


def test_json_of_a_call_in_doubt_has_why_and_what_it_held(doubtful: Store) -> None:
    shown = doubtful.json("locks")["in_doubt"]
    assert [(entry["reason"], entry["resources"]) for entry in shown] == [
        ("the lease expired", ["card", "order/7"]),
        ("TimeoutError", []),
    ]


def test_a_key_is_shown_as_it_can_be_pasted(doubtful: Store) -> None:
    assert doubtful.run("locks").stdout.splitlines()[4].startswith("'order 7/x'  payments")


@pytest.mark.parametrize("key", ["order 7/it's", "-7", "order/7;ls", "KEY"])
@pytest.mark.parametrize("command", ["locks", "trace"])
def test_the_hint_resolves_the_one_call_in_doubt(empty: Store, key: str, command: str) -> None:
    lease = grant(empty, call("1", "card", key=key))
    empty.backend.settle(replace(settled(lease), state=State.IN_DOUBT))

    done = pasted(empty.run(command).stdout)

    assert done.exit_code == 0, done.output
    assert empty.json("locks")["in_doubt"] == []


@pytest.mark.parametrize(("store", "code"), [("busy", 1), ("empty", 0)])
def test_exit_code_is_for_monitors(store: str, code: int, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue(store).run("locks", "--exit-code").exit_code == code


def test_nothing_is_shared_between_namespaces(busy: Store) -> None:
    shown = busy.json("locks", "--namespace", "other")
    assert shown["namespace"] == "other"
    assert shown["leases"] == shown["waiters"] == shown["in_doubt"] == shown["killed"] == []
