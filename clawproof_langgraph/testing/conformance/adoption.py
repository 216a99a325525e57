"""A call that meets an unsettled record of the same thread, tool and arguments is that call, whatever its own key."""

from __future__ import annotations

from clawproof_langgraph.model import Held, Renew, Replay, Resolve, SettleReply, State, Sweep
from clawproof_langgraph.testing.builders import again, ask, call, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face

FOREVER = float("inf")


def doubt_first(store: Face, key: str, lineage: str = "") -> None:
    """Leave a call of scope `same` in doubt."""
    lease = store.granted(call("a-" + key, "inventory/1", key=key, scope="same", lineage=lineage))
    store.settle(settled(lease, State.IN_DOUBT))


class Adoption(Suite):
    """Calls that the model emitted anew after a crash, under another id."""

    def test_a_call_in_doubt_is_met_under_its_own_key(self, store: Face) -> None:
        doubt_first(store, "old")
        assert store.begin(call("b", key="new", scope="same")) == Held("old", "reserve")

    def test_the_run_after_doubt_keeps_the_first_key(self, store: Face) -> None:
        """A service that deduplicates must see the key that it may know already."""
        doubt_first(store, "old")

        lease = store.granted(call("b", key="new", scope="same", rerun_within=FOREVER))

        assert (lease.key, lease.attempt) == ("old", 1)
        assert store.settle(settled(lease, result=b"42")) is SettleReply.SETTLED
        assert store.begin(call("c", key="old")) == Replay("old", b"42")

    def test_a_repeated_begin_finds_the_adopted_key(self, store: Face) -> None:
        doubt_first(store, "old")
        request = call("b", key="new", scope="same", rerun_within=FOREVER)
        lease = store.granted(request)

        assert store.granted(again(request)) == lease

    def test_an_adopted_key_is_in_use(self, store: Face) -> None:
        doubt_first(store, "old")
        store.granted(call("b", key="new", scope="same", rerun_within=FOREVER))
        assert store.queued(call("c", key="old")).on_key

    def test_another_scope_is_another_call(self, store: Face) -> None:
        doubt_first(store, "old")
        assert store.granted(call("b", key="new", scope="other")).key == "new"
        assert store.granted(call("c", key="newer")).key == "newer"

    def test_a_settled_call_is_not_adopted(self, store: Face) -> None:
        """The model may want the same thing once more; only what has not settled is taken over."""
        store.settle(settled(store.granted(call("a", key="old", scope="same")), result=b"42"))
        assert store.granted(call("b", key="new", scope="same")).key == "new"

    def test_a_call_that_failed_and_may_have_had_its_effect_is_adopted(self, store: Face) -> None:
        """A model that asks again after an error whose effect nobody knows must not mint a second key."""
        lease = store.granted(call("a", key="old", scope="same", rerun_within=FOREVER))
        store.settle(settled(lease, State.FAILED, error="Timeout", is_open=True))

        again_asked = store.granted(call("b", key="new", scope="same", rerun_within=FOREVER))

        assert (again_asked.key, again_asked.attempt) == ("old", 1)

    def test_a_call_that_failed_and_did_nothing_is_not_adopted(self, store: Face) -> None:
        lease = store.granted(call("a", key="old", scope="same"))
        store.settle(settled(lease, State.FAILED, error="NotApplied"))
        assert store.granted(call("b", key="new", scope="same")).key == "new"

    def test_what_an_operator_resolved_answers_who_was_refused_and_nobody_else(self, store: Face) -> None:
        """A call that was told to be in doubt is that call for good; one that comes later is another."""
        doubt_first(store, "old")
        assert store.begin(call("b", key="new", scope="same")) == Held("old", "reserve")
        store.record(Resolve("old", applied=True, result=b"by hand"))

        assert store.begin(call("b2", key="new", scope="same")) == Replay("old", b"by hand")
        assert store.granted(call("c", key="newer", scope="same")).key == "newer"

    def test_an_adopted_call_stays_that_call_when_it_is_asked_again(self, store: Face) -> None:
        """Otherwise a second key would reach the service behind the tool."""
        doubt_first(store, "old")
        lease = store.granted(call("b", key="new", scope="same", rerun_within=FOREVER))
        store.settle(settled(lease, result=b"42"))

        assert store.begin(call("b2", key="new", scope="same", rerun_within=FOREVER)) == Replay("old", b"42")

    def test_what_was_resolved_and_answered_is_not_adopted(self, store: Face) -> None:
        doubt_first(store, "old")
        store.record(Resolve("old", applied=True, result=b"by hand"))

        assert store.begin(call("b", key="old", scope="same")) == Replay("old", b"by hand")

        assert store.granted(call("c", key="new", scope="same")).key == "new"

    def test_what_was_resolved_as_not_applied_is_not_adopted(self, store: Face) -> None:
        doubt_first(store, "old")
        store.record(Resolve("old", applied=False))
        store.granted(call("b", key="new", scope="same"))

    def test_a_call_beside_it_is_another_call(self, store: Face) -> None:
        """Two calls of one message, or of two tasks of one step, are both meant, however equal they are."""
        doubt_first(store, "old", "step:one message:first")

        for key, lineage in (("b", "step:two reply:first"), ("c", "later:one message:second")):
            lease = store.granted(call(key, key=key, scope="same", lineage=lineage))
            assert lease.key == key
            store.settle(settled(lease, result=b"42"))

    def test_a_call_out_of_another_message_may_be_it(self, store: Face) -> None:
        doubt_first(store, "old", "step:one message:first")
        reply = store.begin(call("b", key="new", scope="same", lineage="step:one reply:first"))
        assert reply == Held("old", "reserve")

    def test_the_first_that_is_not_beside_it_is_adopted(self, store: Face) -> None:
        doubt_first(store, "one", "message:first")
        doubt_first(store, "two", "message:second")
        assert store.begin(call("b", key="new", scope="same", lineage="message:second")) == Held("two", "reserve")

    def test_what_a_call_came_out_of_is_known_after_its_lease_has_ended(self, store: Face, clock: ManualClock) -> None:
        first = store.granted(call("a", "inventory/1", key="a", scope="other", ttl=60))
        waiting = call("b", "inventory/1", key="b", scope="same", ttl=5, lineage="message:first")
        store.queued(waiting)
        store.settle(settled(first, result=b"42"))
        store.granted(again(waiting))
        clock.advance(6)

        assert store.granted(call("c", key="c", scope="same", lineage="message:second")).key == "c"
        assert store.begin(call("d", key="d", scope="same", lineage="reply:first")) == Held("b", "reserve")

    def test_a_record_of_its_own_goes_first(self, store: Face) -> None:
        store.settle(settled(store.granted(call("a", key="mine", scope="same")), result=b"42"))
        doubt_first(store, "old")
        assert store.begin(call("b", key="mine", scope="same")) == Replay("mine", b"42")

    def test_a_silent_holder_is_waited_for(self, store: Face, clock: ManualClock) -> None:
        """Its process may have died: until its lease ends, this may be the same call."""
        store.granted(call("a", "inventory/1", key="old", scope="same", ttl=5, session="s0"))
        clock.advance(1)
        rival = call("b", "inventory/2", key="new", scope="same")
        store.queued(rival)
        clock.advance(2)
        store.queued(again(rival))
        clock.advance(2.1)

        assert store.begin(again(rival)) == Held("old", "reserve")

    def test_a_silent_holder_that_settles_lets_the_other_go(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(call("a", "inventory/1", key="old", scope="same", session="s0"))
        clock.advance(1)
        rival = call("b", "inventory/2", key="new", scope="same")
        store.queued(rival)

        store.settle(settled(lease, result=b"42"))

        assert store.granted(again(rival)).key == "new"

    def test_a_living_holder_is_not_waited_for(self, store: Face, clock: ManualClock) -> None:
        """The model asked twice for the same thing, in parallel: both are meant."""
        store.granted(call("a", "inventory/1", key="old", scope="same", session="s0"))
        clock.advance(1)
        rival = call("b", "inventory/2", key="new", scope="same")
        store.queued(rival)
        clock.advance(1)

        store.renew(Renew("s0", leases=(("a", 30.0),)))
        clock.advance(1)

        assert store.granted(again(rival)).key == "new"

    def test_a_holder_of_its_own_session_is_asked_for_a_sign_of_life(self, store: Face, clock: ManualClock) -> None:
        """Its process lives, but the call may be over without a word: its settle may have failed."""
        store.granted(call("a", "inventory/1", key="old", scope="same"))
        clock.advance(1)
        rival = call("b", "inventory/2", key="new", scope="same")

        silent = store.queued(rival)
        assert (silent.own, silent.alive) == (True, False)
        assert silent.look_again < 0.2
        clock.advance(0.01)
        store.renew(Renew("s1", leases=(("a", 30.0),)))

        assert store.granted(again(rival)).key == "new"

    def test_an_alias_is_kept_as_long_as_the_call_that_it_stands_for(self, store: Face, clock: ManualClock) -> None:
        doubt_first(store, "old")
        clock.advance(31 * 86_400)
        assert store.begin(call("b", key="new", scope="same")) == Held("old", "reserve")
        clock.advance(29 * 86_400)
        store.record(Resolve("old", applied=True, result=b"by hand"))
        clock.advance(2 * 86_400)
        store.sweep()

        assert store.begin(call("b2", key="new", scope="same")) == Replay("old", b"by hand")

    def test_a_holder_of_the_same_session_whose_lease_expired_leaves_doubt(
        self, store: Face, clock: ManualClock
    ) -> None:
        store.granted(call("a", "inventory/1", key="old", scope="same", ttl=5))
        clock.advance(6)

        assert store.begin(call("b", "inventory/2", key="new", scope="same")) == Held("old", "reserve")

    def test_the_second_of_two_doubts_is_adopted_while_the_first_runs_again(
        self, store: Face, clock: ManualClock
    ) -> None:
        one, rival = store.granted(call("one", key="one", scope="same")), call("two", key="two", scope="same")
        store.queued(rival)
        clock.advance(0.1)
        store.renew(Renew("s1", leases=(("one", 30.0),), waiting=True))
        for lease in (one, store.granted(again(rival))):
            store.settle(settled(lease, State.IN_DOUBT))
        store.granted(call("b", key="one", scope="same", rerun_within=FOREVER))
        third = call("c", key="three", scope="same", rerun_within=FOREVER)
        store.queued(third)
        clock.advance(0.1)
        store.renew(Renew("s1", leases=(("b", 30.0),), waiting=True))

        assert store.granted(again(third)).key == "two"

    def test_two_living_calls_still_exclude_each_other_by_resource(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(call("a", "inventory/1", key="old", scope="same", session="s0"))
        clock.advance(1)
        rival = call("b", "inventory/1", key="new", scope="same")
        store.queued(rival)
        clock.advance(1)
        store.renew(Renew("s0", leases=(("a", 30.0),)))
        clock.advance(1)

        assert store.queued(again(rival)).resource == "inventory/1"
        store.settle(settled(lease, result=b"42"))

        assert store.granted(again(rival)).key == "new"

    def test_a_sign_of_life_from_before_is_none(self, store: Face, clock: ManualClock) -> None:
        store.granted(call("a", key="old", scope="same", ttl=10, session="s0"))
        clock.advance(1)
        store.renew(Renew("s0", leases=(("a", 10.0),)))
        clock.advance(1)

        rival = call("b", key="new", scope="same")
        store.queued(rival)
        clock.advance(1)
        store.queued(again(rival))

    def test_a_call_that_is_running_again_is_not_adopted(self, store: Face, clock: ManualClock) -> None:
        """Its own run will settle it; another call of the same kind, while that is alive, is meant as another."""
        doubt_first(store, "old")
        store.granted(call("b", key="newer", scope="same", rerun_within=FOREVER, session="s0"))
        clock.advance(1)
        rival = call("c", key="newest", scope="same", rerun_within=FOREVER)
        store.queued(rival)
        clock.advance(1)

        store.renew(Renew("s0", leases=(("b", 30.0),)))
        clock.advance(1)

        assert store.granted(again(rival)).key == "newest"

    def test_a_swept_lease_is_adopted_all_the_same(self, store: Face, clock: ManualClock) -> None:
        store.granted(call("a", key="old", scope="same", ttl=5))
        clock.advance(6)
        store.sweep(Sweep())
        assert store.begin(call("b", key="new", scope="same")) == Held("old", "reserve")

    def test_the_scope_is_nobodys_business(self, store: Face) -> None:
        """What is taken internally shows neither in the snapshot nor in the log, and meets no resource by name."""
        store.granted(call("a", "inventory/1", key="k", scope="same"))

        (lease,) = store.snapshot().leases
        assert [want.resource for want in lease.wants] == ["inventory/1"]
        assert {event.resources for event in store.log("lock.acquired", "call.started")} == {("inventory/1",)}
        store.granted(ask("b", "same"))
