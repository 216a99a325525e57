"""Locks inside locks: in the global order, or not at all."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from clawproof_langgraph import Coordinator, LockOrderError, WaitTimeout
from clawproof_langgraph.core.waits import Wait
from tests.runtime.stores import FlakyStore, held, holdings, locked


async def test_what_sorts_later_may_be_nested(face: str, coordinator: Coordinator) -> None:
    async with locked(face, coordinator, "b") as outer, locked(face, coordinator, "c") as inner:
        assert sorted(holdings(coordinator)) == ["b", "c"]
        assert inner.owner != outer.owner
        assert inner.fence > outer.fence
    assert holdings(coordinator) == []


async def test_what_is_held_already_may_be_locked_again(face: str, coordinator: Coordinator) -> None:
    async with locked(face, coordinator, "a", "b"):
        async with locked(face, coordinator, "a", wait=0):
            pass
        async with locked(face, coordinator, "b", mode="shared", wait=0):
            pass
        assert holdings(coordinator) == ["a", "b"]


@pytest.mark.parametrize(
    ("outer", "inner", "mode", "remedy"),
    [
        ("b", "a", "exclusive", "list them in the policy"),
        ("b", "b", "shared", r'a shared lock cannot become exclusive.* exclusively from the start: Lock\("b"\)'),
        ("b", "a", "shared", "list them in the policy"),
    ],
)
async def test_what_could_deadlock_is_refused_and_logged(
    face: str, coordinator: Coordinator, outer: str, inner: str, mode: Any, remedy: str
) -> None:
    async with locked(face, coordinator, outer, mode=mode):
        with pytest.raises(LockOrderError, match=remedy):
            async with locked(face, coordinator, inner, agent="script"):
                pytest.fail("it was out of order")
        assert holdings(coordinator) == [outer], "what was held is held still"

    (event,) = coordinator.events(types=["deadlock.prevented"])
    assert (event.agent, event.resources) == ("script", (inner,))
    assert event.data == {"wanted": inner, "held": outer}


async def test_a_refused_lock_leaves_no_bell_behind(coordinator: Coordinator, store: FlakyStore) -> None:
    with coordinator.lock("b"):
        for _ in range(3):
            with pytest.raises(LockOrderError), coordinator.lock("a"):
                pytest.fail("it was out of order")
    assert store.bells_out == 0


async def test_a_refused_lock_on_a_store_that_is_down_is_still_refused_as_such(
    face: str, coordinator: Coordinator, store: FlakyStore
) -> None:
    """The event tells of the mistake; it does not take its place."""
    async with locked(face, coordinator, "b"):
        store.down = True
        try:
            with pytest.raises(LockOrderError):
                async with locked(face, coordinator, "a"):
                    pytest.fail("it was out of order")
        finally:
            store.down = False


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a"), ("a", "a")])
async def test_no_order_spans_two_coordinators(
    face: str, coordinator: Coordinator, other: Coordinator, names: tuple[str, str]
) -> None:
    async with locked(face, coordinator, names[0]):
        with pytest.raises(LockOrderError, match=r"another coordinator.*Use one coordinator for both"):
            async with locked(face, other, names[1]):
                pytest.fail("nothing orders the two")

    (event,) = other.events(types=["deadlock.prevented"])
    assert event.data == {"wanted": names[1], "held": names[0]}


async def test_after_the_outer_block_another_coordinator_is_free(
    face: str, coordinator: Coordinator, other: Coordinator
) -> None:
    async with locked(face, coordinator, "a"):
        pass
    async with locked(face, other, "a"):
        pass


async def test_a_nested_lock_that_waits_gives_up_alone(face: str, coordinator: Coordinator, store: FlakyStore) -> None:
    async with locked(face, coordinator, "a") as lease:
        with held(store, "b"), pytest.raises(WaitTimeout):
            async with locked(face, coordinator, "b", wait=0.02):
                pytest.fail("it was held")
        lease.check()
        assert holdings(coordinator) == ["a"]


async def test_siblings_inside_a_lock_exclude_each_other(coordinator: Coordinator) -> None:
    inside = [0]

    async def work() -> None:
        async with coordinator.lock("a", "b"):
            inside[0] += 1
            await asyncio.sleep(0)
            assert inside[0] == 1
            inside[0] -= 1

    async with coordinator.lock("a"):
        await asyncio.gather(*(work() for _ in range(5)))


async def test_the_same_agent_in_another_call_chain_is_a_rival(coordinator: Coordinator) -> None:
    async def rival() -> None:
        async with coordinator.lock("a", agent="orders", wait=0.02):
            pytest.fail("it was held")

    async with coordinator.lock("a", agent="orders"):
        with pytest.raises(WaitTimeout):
            await asyncio.create_task(rival(), context=contextvars.Context())


async def test_a_lock_given_back_in_another_context_than_it_was_taken_in(coordinator: Coordinator) -> None:
    """As the fixtures of a test runner do."""
    lock = coordinator.lock("b")
    await asyncio.create_task(lock.__aenter__(), context=contextvars.copy_context())
    await lock.__aexit__(None, None, None)

    assert holdings(coordinator) == []
    async with coordinator.lock("a"):
        pass


async def test_what_a_call_around_covers_is_not_taken_below_what_sorts_after_it(
    face: str, coordinator: Coordinator
) -> None:
    """A sibling could hold the one and wait for the other."""
    async with locked(face, coordinator, "a", "z"), locked(face, coordinator, "z"):
        with pytest.raises(LockOrderError) as refused:
            async with locked(face, coordinator, "a"):
                pytest.fail("it was out of order")
    assert (refused.value.wanted, refused.value.held) == ("a", "z")


async def test_who_waits_for_whom_is_shown(coordinator: Coordinator) -> None:
    async with coordinator.lock("a") as outer, coordinator.lock("b") as inner:
        assert coordinator.wait_for().waits == (Wait(outer.owner, inner.owner, ""),)
        assert (await coordinator.await_for()).cycle() == ()
