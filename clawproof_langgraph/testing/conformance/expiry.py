"""What happens when nothing more is heard of a holder."""

from __future__ import annotations

import pytest

from clawproof_langgraph.model import Granted, Held, Queued, Renew, Replay, Resolve, SettleReply, State
from clawproof_langgraph.testing.builders import again, ask, call, reading, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face


def expired_call(store: Face, clock: ManualClock) -> Granted:
    """Leave the call under key `k` in doubt by letting its lease expire; gives that lease."""
    lease = store.granted(call("a", "inventory/1", key="k", ttl=5))
    clock.advance(5.1)
    store.sweep()
    assert [doubt.key for doubt in store.snapshot().in_doubt] == ["k"]
    return lease


class Expiry(Suite):
    """The end of a lease that nobody renewed."""

    def test_a_lease_excludes_others_until_its_last_moment(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1", ttl=10))
        clock.advance(9.9)
        store.queued(ask("b", "inventory/1"))

    def test_an_expired_lease_is_not_in_the_way(self, store: Face, clock: ManualClock) -> None:
        """No sweep is needed: whoever meets it puts it aside."""
        store.granted(ask("a", "inventory/1", ttl=10))
        clock.advance(10.1)
        store.granted(ask("b", "inventory/1"))

    def test_each_lease_has_its_own_end(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", reading("inventory/1"), ttl=5))
        store.granted(ask("b", reading("inventory/1"), ttl=9))
        clock.advance(6)
        waiter = ask("w", "inventory/1")

        store.queued(waiter)
        clock.advance(2.9)
        store.queued(again(waiter))
        clock.advance(0.2)

        store.granted(again(waiter))

    def test_expired_locks_go_to_the_waiter_and_not_to_the_newcomer(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1", ttl=2))
        waiter = ask("b", "inventory/1")
        store.queued(waiter)
        clock.advance(2.1)

        store.queued(ask("c", "inventory/1"))

        store.granted(again(waiter))

    def test_a_sweep_hands_expired_locks_on(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1", "inventory/2", ttl=2))
        store.queued(ask("b", "inventory/1"))
        store.queued(ask("c", "inventory/2"))
        clock.advance(2.1)

        assert store.sweep().expired == 1

        assert store.turns() == {"b", "c"}

    def test_a_sweep_leaves_the_living_alone(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1", ttl=10))
        store.queued(ask("b", "inventory/1"))
        clock.advance(2.9)

        swept = store.sweep()

        assert (swept.expired, swept.waiters) == (0, 0)
        assert [lease.owner for lease in store.snapshot().leases] == ["a"]
        assert [waiter.owner for waiter in store.snapshot().waiters] == ["b"]

    def test_a_call_whose_lease_expired_is_in_doubt(self, store: Face, clock: ManualClock) -> None:
        store.granted(call("a", "inventory/1", key="k", ttl=5, agent="stock"))
        clock.advance(5.1)

        assert store.begin(call("b", "inventory/1", key="k")) == Held("k", "reserve")

        (doubt,) = store.snapshot().in_doubt
        assert (doubt.key, doubt.agent, doubt.thread, doubt.tool, doubt.attempt) == ("k", "stock", "t1", "reserve", 1)
        assert (doubt.resources, doubt.reason) == (("inventory/1",), "the lease expired")

    def test_doubt_comes_to_light_whoever_meets_the_lock(self, store: Face, clock: ManualClock) -> None:
        store.granted(call("a", "inventory/1", key="k", ttl=5))
        clock.advance(5.1)
        store.granted(ask("b", "inventory/1"))

        assert [doubt.key for doubt in store.snapshot().in_doubt] == ["k"]

    @pytest.mark.parametrize("seconds", [3600.0, -3600.0], ids=["forward", "back"])
    def test_a_lease_does_not_live_by_the_date(self, store: Face, clock: ManualClock, seconds: float) -> None:
        """Somebody who sets the date ends no lease, and keeps no dead one alive."""
        store.granted(ask("a", "inventory/1", ttl=10))
        clock.set_date(seconds)
        clock.advance(9.9)
        store.queued(ask("b", "inventory/1"))
        assert store.sweep().expired == 0
        clock.advance(0.2)

        assert store.sweep().expired == 1

    def test_a_waiter_does_not_live_by_the_date(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1"))
        clock.set_date(3600.0)
        store.sweep()
        store.settle(released(lease))

        assert store.turns() == {"b"}

    def test_an_expired_lease_was_held_until_its_end_whenever_that_is_noticed(
        self, store: Face, clock: ManualClock
    ) -> None:
        store.granted(ask("a", "inventory/1", ttl=5))
        clock.advance(3600)
        store.sweep()

        assert [event.data["held"] for event in store.log("lock.expired")] == [pytest.approx(5.0, abs=0.01)]

    def test_how_long_a_lock_was_held_is_not_told_by_the_date(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1", expected=5.0))
        clock.advance(1.0)
        clock.set_date(3600.0)
        store.renew(Renew("s1", leases=(("a", 30.0),)))
        store.settle(released(lease))

        assert store.log("deadlock.suspected") == []
        assert [event.data["held"] for event in store.log("lock.released")] == [pytest.approx(1.0, abs=0.01)]

    def test_a_lock_that_expired_leaves_no_doubt(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1", ttl=5))
        clock.advance(5.1)
        store.sweep()

        assert store.snapshot() == type(store.snapshot())()

    def test_a_call_without_a_lock_can_be_in_doubt(self, store: Face, clock: ManualClock) -> None:
        store.granted(call("a", key="k", ttl=5))
        clock.advance(5.1)
        store.sweep()

        assert store.begin(call("b", key="k")) == Held("k", "reserve")
        assert store.log("lock.expired") == []


class Renewing(Suite):
    """The heartbeat."""

    def test_a_renewed_lease_lives_on(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1", ttl=10))
        for _ in range(5):
            clock.advance(9)
            assert store.renew(Renew("s1", leases=(("a", 10.0),))).lost == frozenset()

        store.queued(ask("b", "inventory/1"))

    def test_a_lease_that_others_took_is_lost(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1", ttl=5))
        clock.advance(5.1)
        lease = store.granted(ask("b", "inventory/1"))

        assert store.renew(Renew("s1", leases=(("a", 5.0), ("b", 5.0)))).lost == {"a"}

        clock.advance(1)
        store.queued(ask("c", "inventory/1"))
        store.settle(released(lease))
        assert store.renew(Renew("s1", leases=(("a", 5.0),))).lost == {"a"}

    def test_a_lease_that_others_took_and_gave_back_stays_lost(self, store: Face, clock: ManualClock) -> None:
        """What it protected may have changed meanwhile."""
        store.granted(ask("a", "inventory/1", ttl=5))
        clock.advance(5.1)
        store.settle(released(store.granted(ask("b", "inventory/1"))))

        assert store.renew(Renew("s1", leases=(("a", 5.0),))).lost == {"a"}

        store.granted(ask("c", "inventory/1"))

    def test_an_expired_lease_is_either_lost_or_revived_as_a_whole(self, store: Face, clock: ManualClock) -> None:
        store.granted(call("a", "inventory/1", key="k", ttl=5))
        clock.advance(5.1)

        lost = store.renew(Renew("s1", leases=(("a", 5.0),))).lost
        on_resource, on_key = store.begin(ask("b", "inventory/1")), store.begin(call("c", key="k"))

        if lost:
            assert isinstance(on_resource, Granted)
            assert isinstance(on_key, Held)
        else:
            assert isinstance(on_resource, Queued)
            assert isinstance(on_key, Queued)

    def test_a_settled_lease_cannot_be_renewed(self, store: Face) -> None:
        store.settle(released(store.granted(ask("a", "inventory/1"))))

        assert store.renew(Renew("s1", leases=(("a", 30.0), ("nobody", 30.0)))).lost == {"a", "nobody"}

        store.granted(ask("b", "inventory/1"))

    def test_renewing_one_lease_does_not_renew_another(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1", ttl=5))
        store.granted(ask("b", "inventory/2", ttl=5))
        clock.advance(4)
        store.renew(Renew("s1", leases=(("a", 5.0),)))
        clock.advance(2)

        store.granted(ask("c", "inventory/2"))
        store.queued(ask("d", "inventory/1"))

    def test_a_repeated_begin_after_the_end_either_has_the_lease_or_not(self, store: Face, clock: ManualClock) -> None:
        """A promise that the store does not keep would let two holders in."""
        request = ask("a", "inventory/1", ttl=5)
        store.granted(request)
        clock.advance(5.1)

        store.granted(again(request))

        clock.advance(0.1)
        store.queued(ask("b", "inventory/1"))

    def test_turns_are_told_to_their_own_session(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        waiter = ask("b", "inventory/1", session="s2")
        store.queued(waiter)
        store.settle(released(lease))

        assert store.turns("s1") == set()
        assert store.turns("s2") == {"b"}
        store.granted(again(waiter))
        assert store.turns("s2") == set()


class LateSettling(Suite):
    """A tool that returned after its lease had ended: what is known is recorded, unless others know better."""

    def test_a_late_result_ends_the_doubt(self, store: Face, clock: ManualClock) -> None:
        lease = expired_call(store, clock)

        assert store.settle(settled(lease, result=b"42")) is SettleReply.LATE

        assert store.begin(call("b", key="k")) == Replay("k", b"42")
        assert store.snapshot().in_doubt == ()

    def test_a_late_result_can_be_sent_twice(self, store: Face, clock: ManualClock) -> None:
        lease = expired_call(store, clock)
        store.settle(settled(lease, result=b"42"))

        assert store.settle(settled(lease, result=b"42")) in (SettleReply.SETTLED, SettleReply.LATE)

    def test_a_late_result_does_not_disturb_the_next_holder(self, store: Face, clock: ManualClock) -> None:
        lease = expired_call(store, clock)
        store.granted(ask("b", "inventory/1"))

        assert store.settle(settled(lease)) is SettleReply.LATE

        store.queued(ask("c", "inventory/1"))

    def test_a_late_result_loses_against_a_resolution(self, store: Face, clock: ManualClock) -> None:
        lease = expired_call(store, clock)
        store.record(Resolve("k", applied=True, result=b"by hand"))

        assert store.settle(settled(lease, result=b"42")) is SettleReply.GONE

        assert store.begin(call("b", key="k")) == Replay("k", b"by hand")

    def test_a_late_result_loses_against_the_word_that_nothing_happened(self, store: Face, clock: ManualClock) -> None:
        lease = expired_call(store, clock)
        store.record(Resolve("k", applied=False))

        assert store.settle(settled(lease, result=b"42")) is SettleReply.GONE

        store.granted(call("b", key="k"))

    def test_a_late_result_loses_against_a_second_run(self, store: Face, clock: ManualClock) -> None:
        lease = expired_call(store, clock)
        second = store.granted(call("b", key="k", rerun_within=float("inf")))

        assert store.settle(settled(lease, result=b"42")) is SettleReply.GONE
        assert store.settle(settled(second, result=b"43")) is SettleReply.SETTLED

        assert store.begin(call("c", key="k")) == Replay("k", b"43")

    def test_a_late_result_is_in_time_for_a_waiter_that_has_not_claimed(self, store: Face, clock: ManualClock) -> None:
        """A grant that was handed over is no second run: nobody has started anything."""
        lease = store.granted(call("a", "inventory/1", key="k", ttl=2))
        waiter = call("b", "inventory/1", key="k")
        store.queued(waiter)
        clock.advance(2.1)
        store.sweep()
        assert store.turns() == {"b"}

        assert store.settle(settled(lease, result=b"42")) is SettleReply.LATE

        assert store.begin(again(waiter)) == Replay("k", b"42")

    def test_a_late_release_of_a_lock_says_that_it_was_gone(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1", ttl=5))
        clock.advance(5.1)
        store.granted(ask("b", "inventory/1"))

        assert store.settle(released(lease)) is SettleReply.GONE
        store.queued(ask("c", "inventory/1"))

    def test_doubt_that_is_settled_late_stays_doubt(self, store: Face, clock: ManualClock) -> None:
        """Its holder learns that the lease was lost, once."""
        lease = expired_call(store, clock)
        assert store.settle(settled(lease, State.IN_DOUBT, error="TimeoutError")) is SettleReply.LATE
        assert store.settle(settled(lease, State.IN_DOUBT, error="TimeoutError")) is SettleReply.SETTLED
        assert store.begin(call("b", key="k")) == Held("k", "reserve")
