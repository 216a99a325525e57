"""The heartbeat: leases live as long as their holders do, and whoever lost one learns of it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from itertools import pairwise

import pytest

from clawproof_langgraph import AgentKilled, Coordinator, LeaseLost
from clawproof_langgraph.backends.base import Deaf, Listening
from clawproof_langgraph.errors import ClawproofWarning
from clawproof_langgraph.model import Granted, Kill, Settle, Sweep, Withdraw
from clawproof_langgraph.runtime.heartbeat import Heartbeat
from clawproof_langgraph.runtime.lease import Lease
from clawproof_langgraph.testing.builders import ask
from tests.runtime.stores import FlakyStore, held, holdings
from tests.waiting import await_until, wait_until

TTL = 0.6
LOSING = pytest.mark.filterwarnings("ignore:The lease on a was lost:clawproof_langgraph.errors.ClawproofWarning")
"""The holder is warned of its loss when it gives back; the test looks at what comes before."""


def test_a_lease_is_renewed_at_a_third_of_its_ttl(coordinator: Coordinator, store: FlakyStore) -> None:
    began = time.monotonic()
    with coordinator.lock("a", ttl=TTL):
        wait_until(lambda: len(store.renewals) >= 3)

    moments = [began, *(moment for moment, _ in store.renewals[:3])]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert all(gap >= 0.9 * TTL / 3 for gap in gaps), gaps
    assert min(gaps) < TTL / 2, gaps


def test_all_leases_are_renewed_in_one_step(coordinator: Coordinator, store: FlakyStore) -> None:
    with coordinator.lock("a", ttl=TTL) as first, coordinator.lock("b", ttl=TTL) as second:
        wait_until(lambda: store.renewals)
        assert {owner for owner, _ in store.renewals[0][1].leases} == {first.owner, second.owner}


def test_a_short_lease_is_renewed_in_time_beside_a_long_one(coordinator: Coordinator, store: FlakyStore) -> None:
    with coordinator.lock("a", ttl=300), coordinator.lock("b", ttl=TTL) as lease:
        wait_until(lambda: len(store.renewals) >= 4)
        lease.check()


def test_a_shorter_lease_decides_when_the_heartbeat_looks(store: FlakyStore) -> None:
    heartbeat = Heartbeat(store, "s1", Sweep())
    heartbeat.add(_lease(store, "long", 300.0))
    short = _lease(store, "short", TTL)

    heartbeat.add(short)

    wait_until(lambda: store.renewals, within=2)
    assert not short.lost
    heartbeat.stop()


def _lease(store: FlakyStore, owner: str, ttl: float) -> Lease:
    request = ask(owner, owner, ttl=ttl)
    granted = store.begin(request)
    assert isinstance(granted, Granted)
    return Lease(request, granted, asked_at=time.monotonic(), renew=lambda lease: None)


async def test_a_blocked_event_loop_loses_no_lease(coordinator: Coordinator, other: Coordinator) -> None:
    async with coordinator.lock("a", ttl=TTL) as lease:
        time.sleep(2.5 * TTL)  # noqa: ASYNC251 - user code that blocks the loop is what this is about
        lease.check()
        assert [view.owner for view in other.snapshot().leases] == [lease.owner]


def test_a_store_that_fails_for_a_while_costs_no_lease(coordinator: Coordinator, store: FlakyStore) -> None:
    with coordinator.lock("a", ttl=1.5) as lease:
        store.down = True
        wait_until(lambda: len(store.renewals) >= 3)
        store.down = False
        renewed_at = lease.renewed_at
        wait_until(lambda: lease.renewed_at > renewed_at)
        lease.check()


def test_a_store_that_fails_is_not_asked_in_a_spin(coordinator: Coordinator, store: FlakyStore) -> None:
    with coordinator.lock("a", ttl=TTL) as lease:
        store.down = True
        wait_until(lambda: lease.lost)
        assert 2 <= len(store.renewals) <= 20
        store.down = False


def test_a_lease_that_could_not_be_renewed_in_time_is_lost_and_its_holder_told(
    coordinator: Coordinator, store: FlakyStore
) -> None:
    told: list[str] = []
    with coordinator.lock("a", ttl=TTL) as lease:
        lease.on_lost(lambda: told.append(threading.current_thread().name))
        store.down = True
        wait_until(lambda: told)
        with pytest.raises(LeaseLost, match="could not be renewed in time"):
            lease.check()

        store.down = False
        asked = len(store.renewals)
        with coordinator.lock("b", ttl=TTL):
            wait_until(lambda: len(store.renewals) > asked + 1)
        assert all(lease.owner not in dict(beat.leases) for _, beat in store.renewals[asked:])

    assert told == ["clawproof-heartbeat"]


def _take_it_away(store: FlakyStore, lease: Lease) -> None:
    store.withdraw(Withdraw(lease.owner))


@LOSING
def test_a_lease_that_the_store_has_given_away_is_marked_lost(coordinator: Coordinator, store: FlakyStore) -> None:
    with coordinator.lock("a", ttl=TTL) as lease:
        _take_it_away(store, lease)
        with held(store, "a"):
            wait_until(lambda: lease.lost)
            with pytest.raises(LeaseLost, match="the store has no such lease"):
                lease.check()


@LOSING
def test_renewing_never_brings_back_a_lease_that_was_given_to_another(
    coordinator: Coordinator, store: FlakyStore
) -> None:
    with coordinator.lock("a", ttl=5.0) as lease:
        _take_it_away(store, lease)
        with held(store, "a"):
            with pytest.raises(LeaseLost):
                lease.heartbeat()
            assert [view.owner for view in coordinator.snapshot().leases] == ["other"]


def test_a_kill_reaches_a_running_holder(coordinator: Coordinator) -> None:
    with coordinator.lock("a", agent="orders", ttl=TTL) as lease, coordinator.lock("b", agent="else", ttl=TTL) as other:
        lease.check()
        coordinator.kill("orders", reason="runaway", by="ops")

        def refused() -> bool:
            try:
                lease.check()
            except AgentKilled as killed:
                return (killed.agent, killed.reason, killed.by) == ("orders", "runaway", "ops")
            return False

        wait_until(refused, within=TTL * 2)
        other.check()


def test_a_kill_is_seen_at_once_by_who_asks(coordinator: Coordinator) -> None:
    with coordinator.lock("a", agent="orders") as lease:
        coordinator.kill("orders")
        with pytest.raises(AgentKilled):
            lease.heartbeat()


def test_a_stop_that_is_heard_while_the_grant_is_on_its_way_is_looked_at_at_once(store: FlakyStore) -> None:
    heartbeat = Heartbeat(store, "s1", Sweep())
    lease = _lease(store, "a", 300.0)
    store.record(Kill(lease.agent))
    heartbeat.hear(lease.agent)

    heartbeat.add(lease)

    wait_until(lambda: _is_stopped(lease), within=2)
    heartbeat.stop()


def _is_stopped(lease: Lease) -> bool:
    try:
        lease.check()
    except AgentKilled:
        return True
    return False


def test_a_stop_by_ones_own_coordinator_needs_no_store_that_pushes(
    coordinator: Coordinator, store: FlakyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "listen", lambda session, hear: Deaf())
    with coordinator.lock("a", agent="orders", ttl=300) as lease:
        coordinator.kill("orders")
        wait_until(lambda: _is_stopped(lease), within=2)
        coordinator.revive("orders")
        wait_until(lambda: not _is_stopped(lease), within=2)


def test_a_stop_of_an_agent_that_holds_nothing_here_is_not_looked_at(
    coordinator: Coordinator, store: FlakyStore
) -> None:
    with coordinator.lock("a", agent="orders", ttl=300):
        coordinator.kill("else")
        coordinator.kill("orders")
        wait_until(lambda: store.renewals)
    assert len(store.renewals) <= 2  # one, and one more where the two words of the second stop came apart


@pytest.mark.parametrize("why", [RuntimeError("can't start new thread"), OSError("Too many open files")])
def test_a_system_on_which_nobody_can_listen_costs_no_lease(
    coordinator: Coordinator, store: FlakyStore, monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    def no_more(session: str, hear: object) -> Listening:
        raise why

    monkeypatch.setattr(store, "listen", no_more)
    with coordinator.lock("a", agent="orders", ttl=TTL) as lease:
        wait_until(lambda: store.renewals)
        lease.check()


@pytest.mark.parametrize("lost_rings", [1, 2])
def test_a_lost_ring_is_repaired(coordinator: Coordinator, store: FlakyStore, lost_rings: int) -> None:
    """Without the heartbeat, a waiter would look again only when the lease before it would have expired."""
    granted: list[float] = []

    def wait_for_it() -> None:
        with coordinator.lock("inventory/1", ttl=30):
            granted.append(time.monotonic())

    with held(store, ttl=30.0):
        waiter = threading.Thread(target=wait_for_it)
        waiter.start()
        wait_until(lambda: coordinator.snapshot().waiters)
        store.silent = lost_rings
        released = time.monotonic()

    wait_until(lambda: granted)
    waiter.join()
    assert granted[0] - released < 5


async def test_a_lost_ring_is_repaired_on_a_loop(coordinator: Coordinator, store: FlakyStore) -> None:
    async def wait_for_it() -> int:
        async with coordinator.lock("inventory/1", ttl=30) as lease:
            return lease.fence

    with held(store, ttl=30.0):
        task = asyncio.create_task(wait_for_it())
        await await_until(lambda: coordinator.snapshot().waiters)
        store.silent = 1

    assert await asyncio.wait_for(task, 5)


def test_waiters_are_shown_to_be_alive(coordinator: Coordinator, store: FlakyStore) -> None:
    with held(store, ttl=30.0), pytest.raises(TimeoutError), coordinator.lock("inventory/1", wait=1.2):
        pytest.fail("it was held")
    assert len([beat for _, beat in store.renewals if beat.waiting]) >= 2


@pytest.mark.parametrize("failures", [1, 3])
def test_a_lock_whose_giving_back_failed_is_not_renewed_for_ever(
    coordinator: Coordinator, other: Coordinator, store: FlakyStore, failures: int
) -> None:
    """Nobody holds it any more, so it must pass on once its ttl is over."""
    store.failing[Settle] = failures
    with pytest.warns(ClawproofWarning, match="unavailable"), coordinator.lock("a", ttl=TTL):
        pass

    store.failing.clear()
    with other.lock("a", wait=4 * TTL):
        pass


def test_what_was_settled_is_not_renewed_any_more(coordinator: Coordinator, store: FlakyStore) -> None:
    with coordinator.lock("a", ttl=TTL) as done:
        pass
    with coordinator.lock("b", ttl=TTL):
        wait_until(lambda: store.renewals)
    assert all(done.owner not in dict(beat.leases) for _, beat in store.renewals)


def test_what_is_settled_while_its_renewal_is_under_way_is_not_lost(
    coordinator: Coordinator, store: FlakyStore
) -> None:
    told: list[int] = []
    lock = coordinator.lock("a", ttl=TTL)
    lease = contextvars.Context().run(lock.__enter__)
    lease.on_lost(lambda: told.append(1))
    store.before_renewing = lambda: lock.__exit__(None, None, None)
    wait_until(lambda: store.renewals)
    with coordinator.lock("b", ttl=TTL):
        wait_until(lambda: len(store.renewals) > 1)

    assert told == []
    assert "given back" in str(lease.loss())


def test_a_system_that_gives_no_thread_at_first_costs_no_later_lease(
    coordinator: Coordinator, store: FlakyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        with pytest.raises(RuntimeError, match="can't start new thread"), coordinator.lock("a", ttl=TTL):
            pytest.fail("nothing would renew it")
        assert holdings(coordinator) == []

    with coordinator.lock("a", ttl=TTL):
        wait_until(lambda: store.renewals)


def test_closing_ends_the_thread(store: FlakyStore) -> None:
    def beating() -> int:
        return sum(thread.name == "clawproof-heartbeat" for thread in threading.enumerate())

    before = beating()
    with Coordinator(store) as coordinator:
        with coordinator.lock("a"):
            pass
        assert beating() == before + 1
    assert beating() == before


def test_a_coordinator_that_locks_nothing_starts_no_thread(store: FlakyStore) -> None:
    before = threading.active_count()
    with Coordinator(store) as coordinator:
        coordinator.snapshot()
        coordinator.kill("orders")
        assert threading.active_count() == before
