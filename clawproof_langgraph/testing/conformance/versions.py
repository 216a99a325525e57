"""Versions: what readers are told of a resource, and which writers are refused since it is not as they read it."""

from __future__ import annotations

from typing import Any

import pytest

from clawproof_langgraph.model import Begin, Granted, Replay, Resolve, Stale, State, Sweep, Want, Withdraw
from clawproof_langgraph.testing.builders import again, ask, call, reading, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face

FOREVER = float("inf")


def read(store: Face, owner: str, *resources: str | Want, **fields: Any) -> dict[str, int]:
    """Read resources, and give the versions that are told."""
    wants = [each if isinstance(each, Want) else reading(each) for each in resources]
    lease = store.granted(call(owner, *wants, tool="get_stock", versions=True, **fields))
    store.settle(settled(lease, touched=False))
    return dict(lease.versions)


def write(store: Face, owner: str, *resources: str, state: State = State.DONE, **fields: Any) -> Granted:
    """Have a resource alone, and end as the fields of the outcome say."""
    lease = store.granted(call(owner, *resources))
    store.settle(settled(lease, state, **fields))
    return lease


def resting(owner: str, seen: dict[str, int], *resources: str, **fields: Any) -> Begin:
    """Ask for a write that rests on versions."""
    return call(owner, *(resources or tuple(seen)), seen=tuple(seen.items()), **fields)


def stale(store: Face, request: Begin) -> Stale:
    """Send `begin` and insist on a refusal."""
    reply = store.begin(request)
    assert isinstance(reply, Stale), f"{request.owner} should be stale, not {reply}"
    return reply


class Versions(Suite):
    """Reads that are told versions, and writes that rest on them."""

    def test_a_read_is_told_the_versions_of_what_it_wants(self, store: Face) -> None:
        assert read(store, "a", "inventory/1", "inventory/2").keys() == {"inventory/1", "inventory/2"}

    def test_who_does_not_ask_is_told_none(self, store: Face) -> None:
        assert store.granted(call("a", reading("inventory/1"))).versions == ()

    def test_readers_see_the_same_version_as_long_as_nobody_writes(self, store: Face, clock: ManualClock) -> None:
        first = read(store, "a", "inventory/1")
        clock.advance(100)

        assert read(store, "b", "inventory/1", "inventory/2")["inventory/1"] == first["inventory/1"]

    def test_a_version_is_the_fence_of_the_write_that_made_it(self, store: Face) -> None:
        before = read(store, "a", "inventory/1")
        lease = write(store, "b", "inventory/1")

        assert read(store, "c", "inventory/1") == {"inventory/1": lease.fence}
        assert lease.fence > before["inventory/1"]

    def test_the_first_version_is_beyond_all_writes_before(self, store: Face) -> None:
        lease = write(store, "a", "inventory/1")
        assert read(store, "b", "inventory/1")["inventory/1"] > lease.fence

    def test_a_lost_reply_to_a_read_is_repaired_with_its_versions(self, store: Face) -> None:
        request = call("a", reading("inventory/1"), versions=True)
        lease = store.granted(request)

        assert store.granted(again(request)).versions == lease.versions

    def test_what_is_unchanged_since_it_was_read_may_be_written(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1", "inventory/2")
        store.granted(resting("b", seen))

    def test_only_what_is_wanted_is_compared(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1", "inventory/2")
        write(store, "b", "inventory/2")

        store.granted(resting("c", seen, "inventory/1"))

    def test_what_was_never_read_may_not_be_written(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")

        [change] = stale(store, resting("b", seen, "inventory/1", "inventory/2")).changes

        assert (change.resource, change.seen, change.current) == ("inventory/2", None, None)

    def test_a_refusal_tells_who_changed_what_and_when(self, store: Face, clock: ManualClock) -> None:
        seen = read(store, "a", "inventory/1", "inventory/2")
        lease = store.granted(call("b", "inventory/2", agent="restock", tool="add", thread="t9", key="k"))
        clock.advance(1.5)
        store.settle(settled(lease))
        at = clock.time()
        clock.advance(5)

        [change] = stale(store, resting("c", seen)).changes

        assert (change.resource, change.seen, change.current) == ("inventory/2", seen["inventory/2"], lease.fence)
        assert (change.agent, change.tool, change.thread) == ("restock", "add", "t9")
        assert change.at == pytest.approx(at, abs=0.001)

    def test_a_refusal_is_an_event(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1", 'inventory/"2"')
        lease = write(store, "b", 'inventory/"2"')
        changes = stale(store, resting("c", seen, key="k", agent="orders")).changes

        [event] = store.log("call.stale")

        assert (event.agent, event.call, event.key) == ("orders", "c", "k")
        assert event.resources == ('inventory/"2"',)
        assert event.data["tool"] == "reserve"
        [told] = event.data["changes"]
        assert told == {
            "resource": 'inventory/"2"', "seen": seen['inventory/"2"'], "current": lease.fence, "agent": "orders",
            "tool": "reserve", "thread": "t1", "at": pytest.approx(changes[0].at, abs=0.001),
        }  # fmt: skip

    def test_a_refused_write_holds_nothing_and_waits_for_nothing(self, store: Face) -> None:
        stale(store, resting("a", {}, "inventory/1", key="k"))

        shown = store.snapshot()
        assert (shown.leases, shown.waiters) == ((), ())
        store.granted(call("b", "inventory/1", key="k"))

    def test_every_resource_that_changed_is_named(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1", "inventory/2", "inventory/3")
        write(store, "b", "inventory/1", "inventory/3")

        changes = stale(store, resting("c", seen)).changes

        assert [change.resource for change in changes] == ["inventory/1", "inventory/3"]

    def test_after_reading_again_the_write_may_be_made(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        write(store, "b", "inventory/1")
        stale(store, resting("c", seen))

        store.granted(resting("d", read(store, "e", "inventory/1")))

    def test_of_two_that_read_the_same_the_second_write_is_refused(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        lease = store.granted(resting("b", seen))
        waiter = resting("c", seen)
        store.queued(waiter)

        store.settle(settled(lease))

        assert store.turns() == {"c"}
        assert stale(store, again(waiter)).changes[0].current == lease.fence
        store.granted(call("d", "inventory/1"))

    def test_a_waiter_that_is_refused_passes_its_turn_on(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        lease = store.granted(call("b", "inventory/1"))
        waiter, next_one = resting("c", seen), call("d", "inventory/1")
        store.queued(waiter)
        store.queued(next_one)
        store.settle(settled(lease))

        stale(store, again(waiter))

        assert store.turns() == {"d"}
        store.granted(again(next_one))

    def test_a_waiter_behind_a_reader_is_not_stale(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        reader = store.granted(call("b", reading("inventory/1"), versions=True))
        waiter = resting("c", seen)
        store.queued(waiter)

        store.settle(settled(reader, touched=False))

        store.granted(again(waiter))

    def test_a_writer_knows_the_version_that_it_has_made(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        lease = store.granted(resting("b", seen))
        store.settle(settled(lease))

        store.granted(resting("c", {"inventory/1": lease.fence}))


class VersionsMoved(Suite):
    """Which calls give a resource a new version."""

    @pytest.mark.parametrize("state", [State.DONE, State.IN_DOUBT, State.FAILED, State.SUSPENDED])
    def test_a_call_that_may_have_had_an_effect_does(self, store: Face, state: State) -> None:
        seen = read(store, "a", "inventory/1")
        lease = write(store, "b", "inventory/1", state=state)

        assert read(store, "c", "inventory/1") == {"inventory/1": lease.fence}
        stale(store, resting("d", seen))

    @pytest.mark.parametrize("state", [State.FAILED, State.SUSPENDED, State.REJECTED, State.DONE])
    def test_a_call_in_which_nothing_happened_does_not(self, store: Face, state: State) -> None:
        seen = read(store, "a", "inventory/1")
        write(store, "b", "inventory/1", state=state, touched=False)

        assert read(store, "c", "inventory/1") == seen

    def test_a_call_that_was_withdrawn_does_not(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        store.granted(call("b", "inventory/1"))
        store.withdraw(Withdraw("b"))

        assert read(store, "c", "inventory/1") == seen

    def test_a_reader_does_not(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        store.settle(settled(store.granted(call("b", reading("inventory/1"), "inventory/2"))))

        assert read(store, "c", "inventory/1") == seen

    def test_a_plain_lock_does(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        lease = store.granted(ask("b", "inventory/1"))
        store.settle(released(lease))

        assert read(store, "c", "inventory/1") == {"inventory/1": lease.fence}
        stale(store, resting("d", seen))

    @pytest.mark.parametrize("key", ["", "k"])
    def test_a_lease_that_expires_does(self, store: Face, clock: ManualClock, key: str) -> None:
        seen = read(store, "a", "inventory/1")
        lease = store.granted(call("b", "inventory/1", key=key, ttl=5))
        clock.advance(6)

        assert stale(store, resting("c", seen)).changes[0].current == lease.fence

    def test_a_grant_that_is_not_claimed_does_not(self, store: Face, clock: ManualClock) -> None:
        seen = read(store, "a", "inventory/1")
        lease = store.granted(call("b", reading("inventory/1")))
        store.queued(call("c", "inventory/1"))
        store.settle(settled(lease, touched=False))
        clock.advance(1.5)
        store.sweep()

        assert read(store, "d", "inventory/1") == seen

    def test_a_call_that_ends_after_its_lease_does_once_more(self, store: Face, clock: ManualClock) -> None:
        read(store, "a", "inventory/1")
        lease = store.granted(call("b", "inventory/1", key="k", ttl=5))
        clock.advance(6)
        seen = read(store, "c", "inventory/1")

        store.settle(settled(lease))

        stale(store, resting("d", seen))

    def test_an_outer_call_does_beyond_the_inner_one(self, store: Face) -> None:
        read(store, "a", "inventory/1")
        outer = store.granted(call("outer", "inventory/1", key="o"))
        inner = store.granted(call("inner", "inventory/1", key="i", ancestors=("outer",)))
        store.settle(settled(inner))
        seen = {"inventory/1": inner.fence}
        store.granted(resting("sibling", seen, ancestors=("outer",)))
        store.withdraw(Withdraw("sibling"))

        store.settle(settled(outer))

        assert read(store, "b", "inventory/1")["inventory/1"] > inner.fence
        stale(store, resting("c", seen))

    def test_what_somebody_found_out_does_not(self, store: Face, clock: ManualClock) -> None:
        read(store, "a", "inventory/1")
        doubt = write(store, "b", "inventory/1", state=State.IN_DOUBT)
        again_one = store.granted(call("c", "inventory/1", key="k"))

        store.settle(settled(again_one, by="probe"))

        assert read(store, "d", "inventory/1") == {"inventory/1": doubt.fence}


class VersionsOfRepetitions(Suite):
    """Calls that are asked for again: their own doing does not make them stale."""

    def test_a_done_call_is_answered_before_anything_is_compared(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        lease = store.granted(resting("b", seen, key="k"))
        store.settle(settled(lease, result=b"42"))

        reply = store.begin(resting("c", seen, key="k"))

        assert reply == Replay("k", b"42")
        assert isinstance(reply, Replay) and reply.fence == lease.fence

    @pytest.mark.parametrize("state", [State.SUSPENDED, State.IN_DOUBT])
    def test_a_call_that_runs_again_is_not_stale_by_itself(self, store: Face, state: State) -> None:
        seen = read(store, "a", "inventory/1")
        store.settle(settled(store.granted(resting("b", seen, key="k")), state))

        store.granted(resting("c", seen, key="k", rerun_within=FOREVER))

    def test_nor_is_one_that_failed_with_an_effect(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        store.settle(settled(store.granted(resting("b", seen, key="k")), State.FAILED, error="Timeout"))

        store.granted(resting("c", seen, key="k"))

    def test_nor_one_whose_lease_expired(self, store: Face, clock: ManualClock) -> None:
        seen = read(store, "a", "inventory/1")
        store.granted(resting("b", seen, key="k", ttl=5))
        clock.advance(6)

        store.granted(resting("c", seen, key="k", rerun_within=FOREVER))

    def test_nor_one_of_which_somebody_said_that_nothing_happened(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        store.settle(settled(store.granted(resting("b", seen, key="k")), State.IN_DOUBT))
        store.record(Resolve("k", applied=False))

        store.granted(resting("c", seen, key="k"))

    def test_nor_one_that_turns_out_to_be_an_earlier_one(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        first = resting("b", seen, key="k", scope="s", ttl=5)
        store.settle(settled(store.granted(first), State.IN_DOUBT))

        assert store.granted(resting("c", seen, key="k2", scope="s", rerun_within=FOREVER)).key == "k"

    def test_but_it_is_by_what_others_did_since(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        store.settle(settled(store.granted(resting("b", seen, key="k")), State.SUSPENDED))
        write(store, "c", "inventory/1")

        stale(store, resting("d", seen, key="k"))

    def test_a_call_without_a_key_is_not_taken_for_another_without(self, store: Face) -> None:
        seen = read(store, "a", "inventory/1")
        write(store, "b", "inventory/1")

        stale(store, resting("c", seen, key=""))


class VersionsForgotten(Suite):
    """What nobody has changed for long may be forgotten, and never passes for unchanged."""

    def test_an_old_version_may_be_forgotten_and_then_has_to_be_read_again(
        self, store: Face, clock: ManualClock
    ) -> None:
        seen = read(store, "a", "inventory/1")
        clock.advance(1000)
        store.sweep(Sweep(keep_results=500))

        [change] = stale(store, resting("b", seen)).changes
        assert (change.seen, change.current) == (seen["inventory/1"], None)
        now_seen = read(store, "c", "inventory/1")
        assert now_seen["inventory/1"] > seen["inventory/1"]
        store.granted(resting("d", now_seen))

    def test_a_change_that_is_forgotten_does_not_bring_back_the_version_before(
        self, store: Face, clock: ManualClock
    ) -> None:
        seen = read(store, "a", "inventory/1")
        write(store, "b", "inventory/1")
        clock.advance(1000)
        store.sweep(Sweep(keep_results=500))
        read(store, "c", "inventory/1")

        stale(store, resting("d", seen))

    def test_a_version_that_changed_lately_is_kept(self, store: Face, clock: ManualClock) -> None:
        read(store, "a", "inventory/1")
        clock.advance(400)
        write(store, "b", "inventory/1")
        seen = read(store, "c", "inventory/1")
        clock.advance(400)
        store.sweep(Sweep(keep_results=500))

        store.granted(resting("d", seen))

    def test_what_is_held_can_be_forgotten(self, store: Face, clock: ManualClock) -> None:
        seen = read(store, "a", "inventory/1")
        lease = store.granted(call("b", "inventory/1", ttl=5000))
        store.queued(call("c", reading("inventory/1"), versions=True))
        clock.advance(1000)
        store.sweep(Sweep(keep_results=500))

        store.settle(settled(lease))

        stale(store, resting("d", seen))
