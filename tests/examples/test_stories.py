"""Each story goes wrong without the guard, and does not with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawproof_langgraph import Coordinator
from examples import lost_update, restock

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["memory", "sqlite"])
def coordinator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Coordinator]:
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path / 'locks.db'}"}
    with Coordinator.from_url(urls[request.param]) as made:
        yield made


def test_without_the_guard_an_update_is_lost() -> None:
    shop, told = lost_update.race(None)
    assert told == ["5", "sold 1, 4 left"]
    assert shop.sold == {"fast": 3, "slow": 1}
    assert shop.stock == 4


def test_with_it_the_second_is_refused_reads_two_and_writes_one(coordinator: Coordinator) -> None:
    shop, (first, refusal, again, end) = lost_update.race(coordinator)
    assert (first, again, end) == ("5", "2", "sold 1, 1 left")
    assert 'changed by agent "fast" with "sell"' in refusal
    assert shop.sold == {"fast": 3, "slow": 1}
    assert shop.stock == 1
    assert len(coordinator.events(types=["call.stale"])) == 1


def test_without_the_guard_a_customer_is_turned_away_while_a_delivery_is_booked() -> None:
    assert restock.order(None, 0.3).startswith("out of stock")


def test_with_it_the_read_waits_for_the_delivery(coordinator: Coordinator) -> None:
    assert restock.order(coordinator, 0.3).startswith("sold")


@pytest.mark.parametrize("name", ["lost_update", "restock"])
def test_an_example_runs_as_it_says(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{name}"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Without the guard" in done.stdout
