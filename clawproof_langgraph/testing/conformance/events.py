"""The log: an event exists if and only if what it tells happened."""

from __future__ import annotations

import pytest

from clawproof_langgraph.events import Event, EventFilter
from clawproof_langgraph.model import Kill, Note, Renew, Resolve, Revive, Settle, State, Withdraw
from clawproof_langgraph.testing.builders import again, ask, call, reading, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face


def types(events: list[Event]) -> list[str]:
    """Name the types of events, sorted: the order within one step is the backend's own."""
    return sorted(event.type for event in events)


def fill(store: Face, prefix: str = "note") -> None:
    """Write three events that differ in everything."""
    for n in range(1, 4):
        resources = ("shared", f"r/{n}")
        store.record(Note(f"{prefix}.{n}", f"agent-{n}", f"thread-{n}", f"call-{n}", f"key-{n}", resources, n))


class CallEvents(Suite):
    """What a call writes."""

    def test_a_call_tells_its_life(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(call("a", "inventory/1", reading("price/1"), key="k", agent="stock"))
        assert types(store.log()) == ["call.started", "lock.acquired"]
        clock.advance(2)
        store.settle(settled(lease))
        assert types(store.log()[2:]) == ["call.done", "lock.released"]

        for event in store.log():
            assert (event.agent, event.thread, event.call, event.key) == ("stock", "t1", "a", "k")
            assert event.resources == ("inventory/1", "price/1")
            assert event.fence == lease.fence

    def test_events_carry_the_time_of_the_store(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        clock.advance(2)
        store.settle(released(lease))

        (acquired,), (freed,) = store.log("lock.acquired"), store.log("lock.released")

        assert freed.time == pytest.approx(clock.time(), abs=0.01)
        assert freed.time - acquired.time == pytest.approx(2, abs=0.01)
        assert freed.data["held"] == pytest.approx(2, abs=0.01)
        assert acquired.data["waited"] == pytest.approx(0, abs=0.01)

    def test_a_grant_tells_what_it_shares_and_inside_which_call_it_is(self, store: Face) -> None:
        store.granted(ask("alone", "price/1"))
        store.granted(ask("outer", "inventory/1", reading("inventory/2")))
        store.granted(ask("middle", "inventory/1", ancestors=("outer",)))
        store.granted(ask("beside", "price/2", ancestors=("outer",)))
        store.granted(ask("inner", reading("inventory/1"), ancestors=("outer", "middle")))

        told = {event.call: {name: event.data.get(name) for name in ("shared", "inside")} for event in store.log()}

        assert told == {
            "alone": {"shared": None, "inside": None},
            "outer": {"shared": ["inventory/2"], "inside": None},
            "middle": {"shared": None, "inside": "outer"},
            "beside": {"shared": None, "inside": "outer"},
            "inner": {"shared": ["inventory/1"], "inside": "middle"},
        }

    def test_a_plain_lock_is_no_call(self, store: Face) -> None:
        store.settle(released(store.granted(ask("a", "inventory/1"))))
        assert types(store.log()) == ["lock.acquired", "lock.released"]

    def test_a_call_without_locks_writes_nothing_about_locks(self, store: Face) -> None:
        store.settle(settled(store.granted(call("a", key="k"))))
        assert types(store.log()) == ["call.done", "call.started"]

    @pytest.mark.parametrize(
        ("state", "told"),
        [
            (State.DONE, "call.done"),
            (State.FAILED, "call.failed"),
            (State.REJECTED, "call.failed"),
            (State.SUSPENDED, "call.suspended"),
            (State.IN_DOUBT, "call.in_doubt"),
        ],
    )
    def test_every_outcome_is_told_once(self, store: Face, state: State, told: str) -> None:
        end = settled(store.granted(call("a", "inventory/1", key="k")), state)
        store.settle(end)
        store.settle(end)

        outcomes = [event for event in store.log() if event.type.startswith("call.") and event.type != "call.started"]
        assert types(outcomes) == [told]
        assert len(store.log("lock.released")) == 1

    def test_a_repeated_begin_is_told_once(self, store: Face) -> None:
        request = call("a", "inventory/1", key="k")
        store.granted(request)
        store.granted(again(request))
        assert types(store.log()) == ["call.started", "lock.acquired"]

    def test_waiting_is_not_told_until_it_is_over(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        waiter = call("b", "inventory/1")
        store.queued(waiter)
        store.queued(again(waiter))
        store.settle(released(lease))
        assert store.log("call.started") == []

        granted = store.granted(again(waiter, waited=1.5))

        assert [event.call for event in store.log("call.started")] == ["b"]
        acquired = store.log("lock.acquired")[-1]
        assert (acquired.call, acquired.fence) == ("b", granted.fence)
        assert acquired.data["waited"] == pytest.approx(1.5)

    def test_a_replay_is_told(self, store: Face) -> None:
        store.settle(settled(store.granted(call("a", "inventory/1", key="k"))))
        store.begin(call("b", "inventory/1", key="k", agent="stock"))

        (event,) = store.log("call.replayed")
        assert (event.call, event.key, event.agent) == ("b", "k", "stock")

    def test_a_lease_that_is_given_back_is_released(self, store: Face) -> None:
        """Whoever reads the log must not take the lock for held."""
        lease = store.granted(call("a", "inventory/1", key="k"))
        store.withdraw(Withdraw("a"))

        (event,) = store.log("lock.released")
        assert (event.call, event.resources, event.fence) == ("a", ("inventory/1",), lease.fence)

    def test_an_expired_call_is_told_once(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(call("a", "inventory/1", key="k", ttl=5))
        clock.advance(6)
        store.granted(ask("b", "inventory/1"))
        store.sweep()

        (expired,), (doubt,) = store.log("lock.expired"), store.log("call.in_doubt")
        assert (expired.call, expired.resources, expired.fence) == ("a", ("inventory/1",), lease.fence)
        assert (doubt.call, doubt.key) == ("a", "k")
        assert [event.call for event in store.log("lock.released")] == []

    def test_an_expired_lock_is_told_without_doubt(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1", ttl=5))
        clock.advance(6)
        store.sweep()
        assert types(store.log()) == ["lock.acquired", "lock.expired"]

    def test_a_late_result_is_told(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(call("a", "inventory/1", key="k", ttl=5))
        clock.advance(6)
        store.sweep()
        store.settle(settled(lease))
        assert [event.call for event in store.log("call.done")] == ["a"]

    def test_a_result_that_came_to_nothing_is_not_told(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(call("a", "inventory/1", key="k", ttl=5))
        clock.advance(6)
        store.sweep()
        store.record(Resolve("k", applied=False))
        store.settle(settled(lease, emits=(("StockChanged", {}),)))

        assert store.log("call.done", "StockChanged") == []


class OtherEvents(Suite):
    """What operators, refusals and tools write."""

    def test_no_events_are_given_where_none_are_asked_for(self, store: Face) -> None:
        store.granted(ask("a", "inventory/1"))
        assert store.events(EventFilter(limit=0)) == []

    def test_a_call_that_was_never_started_ends_in_the_log(self, store: Face) -> None:
        store.granted(call("a", key="k"))
        store.withdraw(Withdraw("a"))
        assert [event.type for event in store.log()] == ["call.started", "lock.released"]

    def test_a_tool_emits_events_with_the_new_version(self, store: Face) -> None:
        lease = store.granted(call("a", "inventory/1", key="k", agent="stock"))
        data = {"sku": "1", "left": 3, "tags": ["a", None, {"ü": 1.5}], "ok": True}
        end = settled(lease, emits=(("InventoryUpdated", data), ("StockLow", {})))
        store.settle(end)
        store.settle(end)

        (updated,), (low,) = store.log("InventoryUpdated"), store.log("StockLow")
        assert (updated.agent, updated.call, updated.key) == ("stock", "a", "k")
        assert (updated.resources, updated.fence) == (("inventory/1",), lease.fence)
        assert updated.data["version"] == lease.fence
        assert {name: updated.data[name] for name in data} == data
        assert low.data["version"] == lease.fence

    def test_a_stopped_agent_is_told(self, store: Face) -> None:
        store.record(Kill("orders", reason="why", by="ops"))
        store.begin(call("a", "inventory/1", agent="orders"))
        store.record(Revive("orders", by="ops"))

        killed, denied, revived = store.log()
        assert (killed.type, denied.type, revived.type) == ("agent.killed", "lock.denied", "agent.revived")
        assert {killed.agent, denied.agent, revived.agent} == {"orders"}
        assert (killed.data["reason"], killed.data["by"], revived.data["by"]) == ("why", "ops", "ops")
        assert (denied.call, denied.resources, denied.data["reason"]) == ("a", ("inventory/1",), "killed")

    def test_a_resolution_is_told_once(self, store: Face) -> None:
        store.settle(settled(store.granted(call("a", key="k")), State.IN_DOUBT))
        store.record(Resolve("k", applied=True, by="ops"))
        store.record(Resolve("k", applied=True, by="ops"))

        (event,) = store.log("call.resolved")
        assert (event.key, event.data["by"], event.data["applied"]) == ("k", "ops", True)

    def test_giving_up_is_told_with_its_reason(self, store: Face) -> None:
        store.granted(ask("a", "inventory/1"))
        waiter = call("b", "inventory/1", agent="stock")
        store.queued(waiter)

        store.withdraw(Withdraw("b", reason="timeout", call=waiter))

        (event,) = store.log("lock.denied")
        assert (event.call, event.agent, event.resources) == ("b", "stock", ("inventory/1",))
        assert event.data["reason"] == "timeout"

    def test_giving_up_without_a_reason_is_silent(self, store: Face) -> None:
        store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1"))
        before = store.log()
        store.withdraw(Withdraw("b"))
        assert store.log() == before

    def test_a_note_is_taken_as_it_is(self, store: Face) -> None:
        note = Note("call.retrying", "orders", "t1", "a", "k", ("x", "y"), 7, {"wait": 0.5})
        store.record(note)

        (event,) = store.log()
        assert (event.type, event.agent, event.thread, event.call) == ("call.retrying", "orders", "t1", "a")
        assert (event.key, event.resources, event.fence, event.data) == ("k", ("x", "y"), 7, {"wait": 0.5})

    def test_polls_and_heartbeats_write_nothing(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1"))
        waiter = ask("b", "inventory/1")
        store.queued(waiter)
        before = store.log()
        clock.advance(1)

        store.renew(Renew("s1", leases=(("a", 30.0),), waiting=True))
        store.queued(again(waiter))
        store.sweep()

        assert store.log() == before

    def test_a_call_that_takes_twice_its_time_is_told_once(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(call("a", "inventory/1", ttl=100, expected=5.0))
        store.granted(call("b", "inventory/2", ttl=100))
        beat = Renew("s1", leases=(("a", 100.0), ("b", 100.0)))
        clock.advance(9)
        store.renew(beat)
        assert store.log("deadlock.suspected") == []
        clock.advance(2)
        store.renew(beat)
        store.renew(beat)

        (event,) = store.log("deadlock.suspected")
        assert (event.call, event.resources, event.fence) == ("a", ("inventory/1",), lease.fence)

    def test_a_settle_that_nobody_holds_writes_nothing(self, store: Face) -> None:
        store.settle(Settle("nobody", 1, State.DONE, key="k", emits=(("StockChanged", {}),)))
        assert store.log() == []


class Reading(Suite):
    """Reading the log."""

    def test_cursors_grow(self, store: Face) -> None:
        fill(store)
        cursors = [event.cursor for event in store.log()]
        assert cursors == sorted(set(cursors))
        assert cursors[0] > 0, "a reader that starts after 0 misses nothing"

    def test_a_reader_goes_on_where_it_stopped(self, store: Face) -> None:
        fill(store)
        seen, cursor = [], 0
        while page := store.events(EventFilter(after=cursor, limit=2)):
            assert len(page) <= 2
            seen += page
            cursor = page[-1].cursor

        assert seen == store.log()
        fill(store, "later")
        assert store.events(EventFilter(after=cursor)) == store.log()[len(seen) :]

    @pytest.mark.parametrize(
        "wanted",
        [
            EventFilter(types=("note.1",)),
            EventFilter(types=("note.1", "note.3", "nothing")),
            EventFilter(resource="r/2"),
            EventFilter(resource="shared"),
            EventFilter(resource="r"),
            EventFilter(agent="agent-3"),
            EventFilter(thread="thread-2"),
            EventFilter(call="call-1"),
            EventFilter(call="call-1", agent="agent-2"),
            EventFilter(types=("note.2",), resource="shared", agent="agent-2", thread="thread-2", call="call-2"),
            EventFilter(except_agent="agent-3"),
            EventFilter(except_thread="thread-2"),
            EventFilter(resource="shared", except_agent="agent-3", except_thread="thread-2"),
            EventFilter(except_agent="nobody"),
        ],
        ids=str,
    )
    def test_a_filter_lets_through_what_it_names(self, store: Face, wanted: EventFilter) -> None:
        fill(store)
        assert store.events(wanted) == [event for event in store.log() if wanted.admits(event)]

    def test_the_limit_counts_what_passes_the_filter(self, store: Face) -> None:
        fill(store)
        fill(store)
        found = store.events(EventFilter(resource="r/3", limit=2))
        assert types(found) == ["note.3", "note.3"]


class Events(CallEvents, OtherEvents, Reading):
    """All of the above."""
