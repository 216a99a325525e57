"""The idempotency key: what a repeat of a call is answered, by how the call came out."""

from __future__ import annotations

import pytest

from clawproof_langgraph.model import Held, Mismatch, Replay, Resolve, SettleReply, State, Withdraw
from clawproof_langgraph.testing.builders import again, ask, call, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face

FOREVER = float("inf")


def settle_first(store: Face, state: State, **fields: object) -> None:
    """Run the first call under key `k`."""
    lease = store.granted(call("a", "inventory/1", key="k"))
    assert store.settle(settled(lease, state, **fields)) is SettleReply.SETTLED


def doubt_first(store: Face) -> None:
    """Leave the call under key `k` in doubt."""
    lease = store.granted(call("a", "inventory/1", key="k"))
    store.settle(settled(lease, State.IN_DOUBT))


class Records(Suite):
    """Calls that have settled."""

    @pytest.mark.parametrize("result", [b"", b"{}", bytes(range(256)), b"x" * 262_144, None])
    def test_a_done_call_is_replayed(self, store: Face, result: bytes | None) -> None:
        settle_first(store, State.DONE, result=result)

        assert store.begin(call("b", "inventory/1", key="k")) == Replay("k", result)
        assert store.begin(call("c", "inventory/1", key="k")) == Replay("k", result)
        assert store.snapshot().leases == ()

    def test_a_done_call_is_replayed_though_others_wait(self, store: Face) -> None:
        settle_first(store, State.DONE, result=b"42")
        store.granted(ask("b", "inventory/1"))
        store.queued(ask("c", "inventory/1"))

        assert store.begin(call("d", "inventory/1", key="k")) == Replay("k", b"42")

    def test_a_replay_leaves_no_waiter(self, store: Face) -> None:
        lease = store.granted(call("a", "inventory/1", key="k"))
        waiter = call("b", "inventory/1", key="k")
        store.queued(waiter)
        store.settle(settled(lease, result=b"42"))

        assert store.begin(again(waiter)) == Replay("k", b"42")

        assert store.snapshot().waiters == ()
        assert store.snapshot().leases == ()

    def test_the_owner_of_a_done_call_is_answered_too(self, store: Face) -> None:
        settle_first(store, State.DONE, result=b"42")
        assert store.begin(again(call("a", "inventory/1", key="k"))) == Replay("k", b"42")

    def test_a_rejected_call_is_refused_again(self, store: Face) -> None:
        settle_first(store, State.REJECTED, result=b"no")
        assert store.begin(call("b", "inventory/1", key="k")) == Replay("k", b"no", rejected=True)

    def test_a_failed_call_is_free_to_run_again(self, store: Face) -> None:
        settle_first(store, State.FAILED, error="Timeout")
        store.granted(call("b", "inventory/1", key="k"))

    def test_a_suspended_call_is_free_to_run_again_and_counts_on(self, store: Face) -> None:
        settle_first(store, State.SUSPENDED)

        lease = store.granted(call("b", "inventory/1", key="k"))
        assert lease.attempt == 1
        store.settle(settled(lease, State.SUSPENDED))

        assert store.granted(call("c", "inventory/1", key="k")).attempt == 2

    def test_the_attempts_of_one_lease_are_counted(self, store: Face) -> None:
        settle_first(store, State.SUSPENDED, attempt=3)
        assert store.granted(call("b", key="k")).attempt == 3

    def test_a_call_without_a_key_leaves_no_record(self, store: Face) -> None:
        store.settle(settled(store.granted(call("a", "inventory/1")), result=b"42"))
        store.settle(settled(store.granted(call("b", "inventory/1")), State.IN_DOUBT))
        store.granted(call("c", "inventory/1"))

    def test_a_running_call_holds_up_its_repeat(self, store: Face) -> None:
        lease = store.granted(call("a", key="k"))
        repeat = call("b", key="k")
        assert store.queued(repeat).on_key

        store.settle(settled(lease, State.FAILED))

        store.granted(again(repeat))

    @pytest.mark.parametrize("state", [State.DONE, State.REJECTED, State.SUSPENDED, State.FAILED, State.IN_DOUBT])
    def test_every_outcome_releases_the_locks(self, store: Face, state: State) -> None:
        lease = store.granted(call("a", "inventory/1", key="k"))
        store.queued(ask("b", "inventory/1"))

        assert store.settle(settled(lease, state)) is SettleReply.SETTLED

        assert store.turns() == {"b"}

    @pytest.mark.parametrize("state", [State.DONE, State.REJECTED, State.IN_DOUBT])
    def test_a_key_is_for_one_fingerprint(self, store: Face, state: State) -> None:
        settle_first(store, state)

        reply = store.begin(call("b", "inventory/1", key="k", fingerprint="other", rerun_within=FOREVER))

        assert reply == Mismatch("k", "reserve")
        assert store.snapshot().leases == ()

    def test_a_mismatch_leaves_no_waiter(self, store: Face) -> None:
        settle_first(store, State.DONE)
        store.granted(ask("b", "inventory/1"))
        store.begin(call("c", "inventory/1", key="k", fingerprint="other"))

        assert store.snapshot().waiters == ()

    def test_records_are_kept_apart_by_key(self, store: Face) -> None:
        settle_first(store, State.DONE)
        store.granted(call("b", key="K"))
        store.granted(call("c", key="k "))

    def test_a_lock_under_a_key_can_be_released(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1", key="k"))
        assert store.settle(released(lease)) is SettleReply.SETTLED


class Doubt(Suite):
    """Calls of which nobody knows whether they took effect."""

    def test_a_call_in_doubt_is_held(self, store: Face) -> None:
        doubt_first(store)

        assert store.begin(call("b", "inventory/1", key="k", tool="reserve")) == Held("k", "reserve")

        assert store.snapshot().leases == ()
        assert store.snapshot().waiters == ()

    def test_a_call_in_doubt_is_held_though_its_lock_is_taken(self, store: Face) -> None:
        doubt_first(store)
        store.granted(ask("b", "inventory/1"))
        assert store.begin(call("c", "inventory/1", key="k")) == Held("k", "reserve")

    def test_a_call_in_doubt_runs_again_where_that_is_safe(self, store: Face) -> None:
        doubt_first(store)

        lease = store.granted(call("b", "inventory/1", key="k", rerun_within=FOREVER))

        assert (lease.key, lease.attempt) == ("k", 1)
        assert store.snapshot().in_doubt == (), "it is running, not in doubt"
        store.settle(settled(lease, result=b"42"))
        assert store.begin(call("c", key="k")) == Replay("k", b"42")

    def test_the_second_run_holds_up_everybody_else(self, store: Face) -> None:
        doubt_first(store)
        store.granted(call("b", key="k", rerun_within=FOREVER))
        assert store.queued(call("c", key="k")).on_key

    def test_the_second_run_can_be_in_doubt_as_well(self, store: Face, clock: ManualClock) -> None:
        doubt_first(store)
        store.granted(call("b", key="k", rerun_within=FOREVER, ttl=5))
        clock.advance(5.1)
        store.sweep()

        assert store.begin(call("c", key="k")) == Held("k", "reserve")
        assert store.granted(call("d", key="k", rerun_within=FOREVER)).attempt == 2

    def test_the_window_for_a_second_run_opens_with_the_first_attempt(self, store: Face, clock: ManualClock) -> None:
        """The service that deduplicates counts from when it first saw the key, not from the last failure."""
        lease = store.granted(call("a", key="k", ttl=500))
        clock.advance(90)
        store.settle(settled(lease, State.IN_DOUBT))

        clock.advance(5)
        second = store.granted(call("b", key="k", rerun_within=100.0, ttl=500))
        store.settle(settled(second, State.IN_DOUBT))
        clock.advance(10)

        assert store.begin(call("c", key="k", rerun_within=100.0)) == Held("k", "reserve")

    @pytest.mark.parametrize("state", [State.FAILED, State.SUSPENDED])
    def test_a_second_run_without_an_effect_leaves_the_doubt(self, store: Face, state: State) -> None:
        """That nothing happened in the second run says nothing of the first."""
        doubt_first(store)
        second = store.granted(call("b", key="k", rerun_within=FOREVER))

        assert store.settle(settled(second, state, error="NotApplied")) is SettleReply.SETTLED
        assert store.settle(settled(second, state, error="NotApplied")) is SettleReply.SETTLED

        assert store.begin(call("c", key="k")) == Held("k", "reserve")
        assert store.granted(call("d", key="k", rerun_within=FOREVER)).attempt == 2

    @pytest.mark.parametrize("state", [State.FAILED, State.SUSPENDED])
    def test_a_late_word_on_the_second_run_leaves_the_doubt_of_the_first(
        self, store: Face, clock: ManualClock, state: State
    ) -> None:
        doubt_first(store)
        second = store.granted(call("b", key="k", rerun_within=FOREVER, ttl=5))
        clock.advance(6)
        store.sweep()

        assert store.settle(settled(second, state)) is SettleReply.LATE

        assert store.begin(call("c", key="k")) == Held("k", "reserve")

    def test_the_window_counts_from_the_first_run_though_a_later_one_failed(
        self, store: Face, clock: ManualClock
    ) -> None:
        doubt_first(store)
        clock.advance(60)
        store.settle(settled(store.granted(call("b", key="k", rerun_within=100.0)), State.FAILED))
        clock.advance(60)

        assert store.begin(call("c", key="k", rerun_within=100.0)) == Held("k", "reserve")

    def test_a_second_run_without_an_effect_is_settled_in_time_though_the_first_was_not(
        self, store: Face, clock: ManualClock
    ) -> None:
        store.granted(call("a", key="k", ttl=5))
        clock.advance(6)
        second = store.granted(call("b", key="k", rerun_within=FOREVER))

        assert store.settle(settled(second, State.FAILED)) is SettleReply.SETTLED
        assert store.settle(settled(second, State.FAILED)) is SettleReply.SETTLED

        assert [doubt.reason for doubt in store.snapshot().in_doubt] == ["the lease expired, before run 2"]

    @pytest.mark.parametrize("how", ["resolved", "settled late"])
    def test_what_became_known_is_not_lost_to_a_second_run_that_died(
        self, store: Face, clock: ManualClock, how: str
    ) -> None:
        """Its expiry may be noticed after that, and must not put the call in doubt once more."""
        first = store.granted(call("a", key="k"))
        store.settle(settled(first, State.IN_DOUBT))
        store.granted(call("b", key="k", rerun_within=FOREVER, ttl=5))
        clock.advance(6)
        assert [doubt.attempt for doubt in store.snapshot().in_doubt] == [2], "one call is shown once"
        if how == "resolved":
            store.record(Resolve("k", applied=True, result=b"42"))
        else:
            assert store.settle(settled(first, result=b"42")) is SettleReply.GONE
            store.record(Resolve("k", applied=True, result=b"42"))
        store.sweep()

        assert store.begin(call("c", key="k", rerun_within=FOREVER)) == Replay("k", b"42")

    def test_doubt_tells_what_was_held_and_why(self, store: Face) -> None:
        lease = store.granted(call("a", "inventory/1", "inventory/2", key="k", scope="same"))
        store.settle(settled(lease, State.IN_DOUBT, error="TimeoutError"))

        (doubt,) = store.snapshot().in_doubt
        assert (doubt.resources, doubt.reason) == (("inventory/1", "inventory/2"), "TimeoutError")

    def test_a_second_run_that_did_not_start_leaves_the_doubt(self, store: Face) -> None:
        doubt_first(store)
        store.granted(call("b", "inventory/1", key="k", rerun_within=FOREVER))

        store.withdraw(Withdraw("b"))

        assert store.begin(call("c", key="k")) == Held("k", "reserve")

    def test_a_waiter_is_held_when_the_call_before_it_ends_in_doubt(self, store: Face) -> None:
        lease = store.granted(call("a", "inventory/1", key="k"))
        waiter = call("b", "inventory/1", key="k")
        store.queued(waiter)
        store.settle(settled(lease, State.IN_DOUBT))

        assert store.begin(again(waiter)) == Held("k", "reserve")
        store.granted(ask("c", "inventory/1"))
