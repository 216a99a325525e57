"""Calls whose effect may have happened: how they fail, and what somebody finds out of them."""

from __future__ import annotations

import pytest

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.events import EventFilter
from clawproof_langgraph.model import Asked, Held, Replay, Resolve, SettleReply, State, Withdraw
from clawproof_langgraph.testing.builders import again, ask, call, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face

FOREVER = float("inf")


def fail_first(store: Face) -> None:
    """Let the call under key `k` fail in a way that proves nothing."""
    lease = store.granted(call("a", "inventory/1", key="k"))
    store.settle(settled(lease, State.FAILED, error="Timeout", is_open=True))


def doubt_first(store: Face) -> None:
    """Leave the call under key `k` in doubt."""
    lease = store.granted(call("a", "inventory/1", key="k"))
    store.settle(settled(lease, State.IN_DOUBT))


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


class FindingOut(Suite):
    """Failures that prove nothing, probes, and questions to a human."""

    def test_a_failed_call_that_may_have_had_its_effect_counts_on_and_is_not_listed_in_doubt(self, store: Face) -> None:
        fail_first(store)
        assert store.snapshot().in_doubt == ()

        lease = store.granted(call("b", "inventory/1", key="k", rerun_within=FOREVER))

        assert lease.attempt == 1 and lease.in_doubt > 0

    def test_a_failed_call_that_may_have_had_its_effect_is_in_doubt_once_it_may_not_run_again(
        self, store: Face, clock: ManualClock
    ) -> None:
        fail_first(store)
        clock.advance(101)

        assert store.begin(call("b", "inventory/1", key="k", rerun_within=100.0)) == Held("k", "reserve")

        [doubt] = store.snapshot().in_doubt
        assert (doubt.key, doubt.resources, doubt.reason) == ("k", ("inventory/1",), "Timeout")
        assert len(store.events(EventFilter(types=("call.in_doubt",)))) == 1

    def test_a_failed_call_that_may_have_had_its_effect_can_be_resolved(self, store: Face) -> None:
        fail_first(store)
        store.record(Resolve("k", applied=True, result=b"42"))
        assert store.begin(call("b", "inventory/1", key="k", rerun_within=FOREVER)) == Replay("k", b"42")

    def test_a_later_run_that_did_nothing_leaves_what_an_earlier_one_may_have_done(self, store: Face) -> None:
        fail_first(store)
        second = store.granted(call("b", key="k", rerun_within=FOREVER))
        store.settle(settled(second, State.FAILED, error="NotApplied"))
        assert store.begin(call("c", key="k")) == Held("k", "reserve")

    def test_who_holds_the_lease_may_say_that_nothing_had_happened(self, store: Face) -> None:
        doubt_first(store)
        lease = store.granted(call("b", key="k", rerun_within=FOREVER))

        store.record(Resolve("k", applied=False, by="probe", owner="b"))

        assert store.settle(settled(lease, State.FAILED, error="NotApplied")) is SettleReply.SETTLED
        assert store.granted(call("c", key="k")).attempt == 0

    def test_nobody_else_may_say_so_while_it_is_held(self, store: Face) -> None:
        doubt_first(store)
        store.granted(call("b", key="k", rerun_within=FOREVER))
        with pytest.raises(ConfigurationError, match="it is running"):
            store.record(Resolve("k", applied=False, by="ops"))

    def test_who_has_lost_the_lease_may_not_say_so_of_what_others_have_done_since(
        self, store: Face, clock: ManualClock
    ) -> None:
        doubt_first(store)
        store.granted(call("b", key="k", ttl=10.0, rerun_within=FOREVER))
        clock.advance(11)
        third = store.granted(call("c", key="k", rerun_within=FOREVER))
        store.settle(settled(third, State.IN_DOUBT))

        with pytest.raises(ConfigurationError, match="lease"):
            store.record(Resolve("k", applied=False, by="probe", owner="b"))

        assert store.begin(call("d", key="k")) == Held("k", "reserve", third.fence)

    def test_what_was_found_out_under_a_lease_is_done_without_a_run(self, store: Face) -> None:
        doubt_first(store)
        lease = store.granted(call("b", key="k", rerun_within=FOREVER))

        store.settle(settled(lease, State.DONE, result=b"42", attempt=1, by="probe"))

        assert store.begin(call("c", key="k")) == Replay("k", b"42")
        [resolved] = store.events(EventFilter(types=("call.resolved",)))
        assert (resolved.data["applied"], resolved.data["by"]) == (True, "probe")

    def test_a_resolution_of_another_execution_is_refused(self, store: Face) -> None:
        doubt_first(store)
        second = store.granted(call("b", key="k", rerun_within=FOREVER))
        store.settle(settled(second, State.IN_DOUBT))
        with pytest.raises(ConfigurationError):
            store.record(Resolve("k", applied=False, fence=second.in_doubt))
        store.record(Resolve("k", applied=False, fence=second.fence))

    def test_questions_to_a_human_are_kept_with_the_call_by_their_task(self, store: Face) -> None:
        doubt_first(store)
        store.record(Asked("k", "task-1", 5))
        store.record(Asked("k", "task-2", 5))
        store.record(Asked("k", "task-1", 0))

        held = store.begin(call("b", key="k", task="task-1"))
        store.record(Resolve("k", applied=False))
        lease = store.granted(call("c", key="k", task="task-1"))
        store.settle(settled(lease, State.FAILED, error="NotApplied"))
        later = store.granted(call("d", key="k", task="task-1"))
        store.settle(settled(later))
        replay = store.begin(call("e", key="k", task="task-2"))

        assert [held.asked, lease.asked, later.asked, replay.asked] == [(5, 0), (5, 0), (5, 0), (5,)]  # type: ignore[union-attr]
        assert len(store.events(EventFilter(types=("call.asked",)))) == 2
