"""`coordinator.lock`, sync and async: what it gives, what it refuses, and that it never stays behind."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from clawproof_langgraph import AgentKilled, ConfigurationError, Coordinator, LeaseLost, WaitTimeout
from clawproof_langgraph.model import Mode
from tests.runtime.stores import FlakyStore, held, holdings, locked


async def test_a_lock_holds_its_resources_for_the_block(face: str, coordinator: Coordinator) -> None:
    async with locked(face, coordinator, "inventory/2", "inventory/1", agent="script", ttl="20s") as lease:
        (view,) = coordinator.snapshot().leases
        assert [want.resource for want in view.wants] == ["inventory/1", "inventory/2"] == list(lease.resources)
        assert (view.agent, view.fence, view.owner) == ("script", lease.fence, lease.owner)
        assert 19 < view.remaining <= 20
        lease.check()
    assert coordinator.snapshot().leases == ()
    assert [event.type for event in coordinator.events()] == ["lock.acquired", "lock.released"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), asyncio.CancelledError(), OSError()], ids=repr)
async def test_an_error_in_the_block_releases_it_and_goes_on_its_way(
    face: str, coordinator: Coordinator, error: BaseException
) -> None:
    with pytest.raises(type(error)) as found:
        async with locked(face, coordinator, "a"):
            raise error
    assert found.value is error
    assert holdings(coordinator) == []


async def test_an_error_in_the_block_is_not_hidden_by_a_store_that_fails(
    face: str, coordinator: Coordinator, store: FlakyStore
) -> None:
    async def work() -> None:
        async with locked(face, coordinator, "a"):
            store.down = True
            raise ZeroDivisionError

    with pytest.warns(Warning, match="unavailable"), pytest.raises(ZeroDivisionError):
        await work()
    store.down = False


async def test_fences_grow_with_each_grant(face: str, coordinator: Coordinator) -> None:
    fences = []
    for _ in range(5):
        async with locked(face, coordinator, "a") as lease:
            fences.append(lease.fence)
    assert fences == sorted(set(fences))


async def test_a_wait_that_is_too_long_is_told_and_leaves_no_trace(
    face: str, coordinator: Coordinator, store: FlakyStore
) -> None:
    with held(store, "b"), pytest.raises(WaitTimeout) as refused:
        async with locked(face, coordinator, "a", "b", "c", wait=0.05):
            pytest.fail("it was held")

    assert (refused.value.resource, refused.value.holder) == ("b", 'agent "rival" running "reserve"')
    assert 0.05 <= refused.value.waited < 2
    assert (coordinator.snapshot().waiters, holdings(coordinator)) == ((), [])
    assert coordinator.events(types=["lock.denied"])[0].data["reason"] == "timeout"


@pytest.mark.parametrize("wait", [0, "0s", 0.0])
async def test_a_try_without_waiting(face: str, coordinator: Coordinator, store: FlakyStore, wait: Any) -> None:
    with held(store, "a"), pytest.raises(WaitTimeout):
        async with locked(face, coordinator, "a", wait=wait):
            pytest.fail("it was held")
    async with locked(face, coordinator, "a", wait=wait):
        assert holdings(coordinator) == ["a"]


async def test_a_stopped_agent_gets_no_lock(face: str, coordinator: Coordinator) -> None:
    coordinator.kill("script", reason="runaway")
    with pytest.raises(AgentKilled, match="runaway"):
        async with locked(face, coordinator, "a", agent="script"):
            pytest.fail("it was stopped")
    async with locked(face, coordinator, "a", agent="another"):
        pass


async def test_readers_share_and_a_writer_waits(face: str, coordinator: Coordinator, store: FlakyStore) -> None:
    async with locked(face, coordinator, "a", mode="shared"):
        (view,) = coordinator.snapshot().leases
        assert [want.mode for want in view.wants] == [Mode.SHARED]
    with held(store, "a"), pytest.raises(WaitTimeout):
        async with locked(face, coordinator, "a", mode="shared", wait=0):
            pytest.fail("a writer held it")


async def test_one_name_in_two_spellings_is_one_resource(coordinator: Coordinator) -> None:
    async with coordinator.lock("caf\u00e9", "cafe\u0301", "caf\u00e9") as lease:
        assert lease.resources == ("caf\u00e9",)


@pytest.mark.parametrize(
    ("names", "options", "told"),
    [
        ((), {}, "at least one resource name"),
        (("",), {}, "is empty"),
        ((" a",), {}, "blanks"),
        (("a\nb",), {}, "control characters"),
        (("a",), {"ttl": 0}, "ttl must be more than zero"),
        (("a",), {"ttl": "soon"}, 'ttl="soon"'),
        (("a",), {"wait": -1}, "wait=-1"),
        (("a",), {"mode": "exclusiv"}, "exclusive.*shared"),
        ((5,), {}, "5"),
    ],
    ids=str,
)
def test_a_lock_that_cannot_be_is_refused_when_it_is_written(
    coordinator: Coordinator, names: Any, options: Any, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        coordinator.lock(*names, **options)


def test_threads_exclude_each_other(coordinator: Coordinator) -> None:
    count = [0]

    def work() -> None:
        for _ in range(10):
            with coordinator.lock("counter"):
                seen = count[0]
                threading.Event().wait(0.0005)
                count[0] = seen + 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert count == [80]


async def test_tasks_exclude_each_other(coordinator: Coordinator) -> None:
    count = [0]

    async def work() -> None:
        for _ in range(5):
            async with coordinator.lock("counter"):
                seen = count[0]
                await asyncio.sleep(0)
                count[0] = seen + 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert count == [100]


def test_every_bell_that_was_taken_is_given_back(coordinator: Coordinator, store: FlakyStore) -> None:
    with coordinator.lock("a"):
        pass
    with held(store, "a"), pytest.raises(WaitTimeout), coordinator.lock("a", wait=0):
        pass
    assert store.bells_out == 0


async def test_a_coordinator_is_a_context_manager_on_both_faces() -> None:
    async with Coordinator.from_url("memory://") as coordinator, coordinator.lock("a"):
        assert holdings(coordinator) == ["a"]
    with Coordinator.from_url("memory://") as coordinator, coordinator.lock("a"):
        assert holdings(coordinator) == ["a"]


@pytest.mark.parametrize(
    "mistake",
    [
        lambda coordinator: coordinator.events(after=10**25),
        lambda coordinator: coordinator.events(limit=-1),
        lambda coordinator: coordinator.kill("x\udcff"),
        lambda coordinator: coordinator.revive(""),
        lambda coordinator: coordinator.lock("a", agent="two\nlines"),
    ],
)
def test_what_no_store_can_take_is_refused_with_the_reason(coordinator: Coordinator, mistake: Any) -> None:
    with pytest.raises(ConfigurationError):
        mistake(coordinator)


async def test_an_interrupt_in_the_moment_of_the_grant_leaves_no_lock(
    face: str, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("clawproof_langgraph.held_lock.push", interrupted)
        with pytest.raises(KeyboardInterrupt):
            async with locked(face, coordinator, "a"):
                pytest.fail("it was interrupted")

    assert holdings(coordinator) == []
    assert not coordinator._heartbeat._leases


async def test_an_interrupt_in_the_moment_of_giving_back_stops_the_renewal_and_leaves_the_chain(
    face: str, coordinator: Coordinator, store: FlakyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        async with locked(face, coordinator, "b", ttl=0.2):
            patched.setattr(store, "_step", interrupted)

    assert not coordinator._heartbeat._leases
    async with locked(face, coordinator, "a"):  # in the chain of the other, it would sort before what is held
        pass


async def test_a_lock_that_was_given_back_is_held_no_more(face: str, coordinator: Coordinator) -> None:
    """A thread that was left behind must not go on writing."""
    async with locked(face, coordinator, "a") as lease:
        lease.check()
    with pytest.raises(LeaseLost, match="given back"):
        lease.check()
