"""What was waited for: by the log, in figures that somebody has really waited."""

from __future__ import annotations

from clawproof_langgraph import Coordinator
from clawproof_langgraph.inspection.calls import Call
from clawproof_langgraph.inspection.contention import contention_of


def waits(resource: str, *seconds: float) -> list[Call]:
    return [Call(f"{resource}-{n}", 0.0, resources=(resource,), waited=wait) for n, wait in enumerate(seconds)]


def test_the_percentiles_are_waits_that_there_were() -> None:
    [found] = contention_of(waits("a", *[n / 100 for n in range(1, 101)]))
    assert (found.p50, found.p95, found.longest) == (0.5, 0.95, 1.0)


def test_of_few_waits_the_longest_counts() -> None:
    [found] = contention_of(waits("a", 0.1, 3.0))
    assert (found.p50, found.p95) == (0.1, 3.0)


def test_the_resource_that_was_waited_for_longest_comes_first() -> None:
    found = contention_of([*waits("a", 0.1, 0.1), *waits("b", 0.5), *waits("c", 0.0)], limit=2)
    assert [each.resource for each in found] == ["b", "a"]


def test_a_coordinator_tells_its_contention() -> None:
    with Coordinator.from_url("memory://") as coordinator:
        for _ in range(3):
            with coordinator.lock("inventory/1", "price/1"):
                pass
        found = {each.resource: each.calls for each in coordinator.contention()}
        assert found == {"inventory/1": 3, "price/1": 3}
        assert len(coordinator.contention(limit=1)) == 1


async def test_a_coordinator_tells_its_contention_to_an_event_loop() -> None:
    async with Coordinator.from_url("memory://") as coordinator:
        async with coordinator.lock("inventory/1"):
            pass
        assert [each.resource for each in await coordinator.acontention()] == ["inventory/1"]
        assert await coordinator.acontention() == coordinator.contention()
