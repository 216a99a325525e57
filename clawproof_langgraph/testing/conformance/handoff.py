"""From the release to the claim: a grant that is handed to a waiter is provisional until the waiter takes it up."""

from __future__ import annotations

import pytest

from clawproof_langgraph.model import Begin, Granted, Kill, Replay, State, Withdraw
from clawproof_langgraph.testing.builders import again, ask, call, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face


def hand_over(store: Face, waiter: Begin) -> None:
    """Let a request wait for another holder of its resources, and let that one go."""
    lease = store.granted(Begin(owner="before", session="s1", wants=waiter.wants))
    store.queued(waiter)
    store.settle(released(lease))


class Handoff(Suite):
    """Claims, and grants that nobody claims."""

    def test_a_claim_gets_the_whole_lease(self, store: Face, clock: ManualClock) -> None:
        waiter = ask("b", "inventory/1", ttl=10)
        hand_over(store, waiter)
        clock.advance(0.9)

        lease = store.granted(again(waiter))

        assert lease.ttl == pytest.approx(10)
        clock.advance(9.5)
        store.queued(ask("c", "inventory/1"))

    def test_a_repeated_claim_finds_the_same_lease(self, store: Face) -> None:
        waiter = call("b", "inventory/1", key="k")
        hand_over(store, waiter)

        assert store.granted(again(waiter)).fence == store.granted(again(waiter)).fence

        assert store.turns() == set()
        assert len(store.log("call.started")) == 1

    def test_a_waiter_need_not_be_told_to_claim(self, store: Face) -> None:
        """A lost wake-up costs latency, never correctness."""
        waiter = ask("b", "inventory/1")
        hand_over(store, waiter)
        store.granted(again(waiter))

    def test_an_unclaimed_grant_is_in_the_way(self, store: Face, clock: ManualClock) -> None:
        waiter = ask("b", "inventory/1")
        hand_over(store, waiter)
        clock.advance(0.9)

        store.queued(ask("c", "inventory/1"))
        store.granted(again(waiter))

    def test_an_unclaimed_grant_passes_to_the_next_waiter(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1"))
        later = ask("c", "inventory/1")
        store.queued(later)
        store.settle(released(lease))
        clock.advance(1.1)

        store.granted(again(later))

    def test_an_unclaimed_grant_passes_to_a_newcomer(self, store: Face, clock: ManualClock) -> None:
        hand_over(store, ask("b", "inventory/1"))
        clock.advance(1.1)
        store.granted(ask("c", "inventory/1"))

    def test_a_sweep_passes_an_unclaimed_grant_on(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1", session="dead"))
        store.queued(ask("c", "inventory/1", session="alive"))
        store.settle(released(lease))
        clock.advance(1.1)

        store.sweep()

        assert store.turns("dead") == set()
        assert store.turns("alive") == {"c"}

    def test_an_unclaimed_grant_is_withdrawn_and_never_in_doubt(self, store: Face, clock: ManualClock) -> None:
        """Nothing of the tool has run: neither a record nor a line of the log may say otherwise."""
        hand_over(store, call("b", "inventory/1", key="k"))
        clock.advance(1.1)
        store.sweep()

        assert store.snapshot().in_doubt == ()
        assert store.log("call.started", "call.in_doubt", "lock.expired") == []
        assert store.granted(call("c", key="k")).attempt == 0

    def test_a_waiter_that_comes_too_late_for_its_grant_queues_again(self, store: Face, clock: ManualClock) -> None:
        waiter = ask("b", "inventory/1")
        hand_over(store, waiter)
        clock.advance(1.1)
        lease = store.granted(ask("c", "inventory/1"))

        store.queued(again(waiter))
        store.settle(released(lease))

        store.granted(again(waiter))

    def test_renewing_does_not_claim(self, store: Face, clock: ManualClock) -> None:
        """The heartbeat thread beats on while the thread of the call is dead."""
        hand_over(store, ask("b", "inventory/1"))
        assert store.turns() == {"b"}
        clock.advance(0.6)
        assert store.turns() == {"b"}
        clock.advance(0.6)

        store.granted(ask("c", "inventory/1"))

    def test_a_grant_that_is_given_back_passes_on(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1"))
        store.queued(ask("c", "inventory/1"))
        store.settle(released(lease))

        store.withdraw(Withdraw("b"))

        assert store.turns() == {"c"}

    def test_a_lease_whose_tool_has_not_started_can_be_given_back(self, store: Face) -> None:
        """A caller that is cancelled between the grant and the start knows that nothing happened."""
        request = call("a", "inventory/1", key="k")
        store.granted(request)
        store.queued(ask("b", "inventory/1"))

        store.withdraw(Withdraw("a", call=request))

        assert store.turns() == {"b"}
        assert store.snapshot().in_doubt == ()
        assert isinstance(store.begin(call("c", key="k")), Granted)

    def test_a_waiter_is_judged_when_it_claims(self, store: Face) -> None:
        lease = store.granted(call("a", "inventory/1", key="k"))
        waiter = call("b", "inventory/1", key="k")
        store.queued(waiter)
        store.settle(settled(lease, result=b"42"))

        assert store.begin(again(waiter)) == Replay("k", b"42")

        store.granted(ask("c", "inventory/1"))

    def test_an_answer_passes_the_grant_on(self, store: Face) -> None:
        """A replay or a refusal needs no resources, so the next waiter must not lose a second."""
        lease = store.granted(call("a", "inventory/1", key="k"))
        waiter = call("b", "inventory/1", key="k", agent="stopped")
        store.queued(waiter)
        store.queued(ask("c", "inventory/1"))
        store.record(Kill("stopped"))
        store.settle(settled(lease, State.FAILED))

        store.begin(again(waiter))

        assert store.turns() == {"c"}
