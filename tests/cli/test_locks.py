"""`clawproof locks`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import PAID, UNPAID, Store


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
    assert "clawproof resolve KEY applied" in doubts[2]
    assert lines[-1].split()[0] == "rogue"
    assert lines[-1].endswith("ops  sells too cheap")


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


@pytest.mark.parametrize(("store", "code"), [("busy", 1), ("empty", 0)])
def test_exit_code_is_for_monitors(store: str, code: int, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue(store).run("locks", "--exit-code").exit_code == code


def test_nothing_is_shared_between_namespaces(busy: Store) -> None:
    shown = busy.json("locks", "--namespace", "other")
    assert shown["namespace"] == "other"
    assert shown["leases"] == shown["waiters"] == shown["in_doubt"] == shown["killed"] == []
