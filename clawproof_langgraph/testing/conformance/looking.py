"""Looking back: whether somebody had a resource alone while a call went on without a lock on it."""

from __future__ import annotations

from typing import Any

import pytest

from clawproof_langgraph.model import Begin, Glance, Kill, Killed, Look, Looked, State, Withdraw
from clawproof_langgraph.testing.builders import ask, call, reading, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face

TWICE = pytest.mark.parametrize("known", [False, True], ids=["for the first time", "again"])


def back(*resources: str, elapsed: float = 2.0, owner: str = "looker", **fields: Any) -> Begin:
    """Look back at resources."""
    return ask(owner, tool="glance", look=Look(resources, elapsed, **fields))


def looked(store: Face, request: Begin) -> Looked:
    """Send a look and insist on what it found."""
    reply = store.begin(request)
    assert isinstance(reply, Looked), f"this should be a look, not {reply}"
    return reply


def glance(store: Face, request: Begin) -> Glance:
    """Look at one resource."""
    [found] = looked(store, request).glances
    return found


def look_before(store: Face, clock: ManualClock, known: bool) -> None:
    """Look at the resource once, long before, or not."""
    if known:
        looked(store, back("price/1"))
        clock.advance(60)


class Looking(Suite):
    """Looks at resources of which nobody has waited for a turn."""

    @TWICE
    def test_what_nobody_writes_is_not_stale(self, store: Face, clock: ManualClock, known: bool) -> None:
        look_before(store, clock, known)

        found = looked(store, back("price/1"))

        assert found.now == pytest.approx(clock.time(), abs=0.001)
        assert not found.told
        assert (found.glances[0].in_flight, found.glances[0].ended) == (False, 0.0)
        assert store.log("call.stale") == []

    @TWICE
    def test_a_write_in_flight_is_told(self, store: Face, clock: ManualClock, known: bool) -> None:
        look_before(store, clock, known)
        store.granted(call("writer", "price/1"))

        assert glance(store, back("price/1")).in_flight

        [event] = store.log("call.stale")
        assert (event.call, event.resources) == ("looker", ("price/1",))
        assert event.data == {"tool": "glance", "in_flight": ["price/1"], "changed": []}

    @TWICE
    def test_a_write_that_was_committed_meanwhile_is_told(self, store: Face, clock: ManualClock, known: bool) -> None:
        look_before(store, clock, known)
        lease = store.granted(call("writer", "price/1"))
        store.settle(settled(lease))
        clock.advance(1.5)

        found = looked(store, back("price/1"))

        assert found.told
        assert not found.glances[0].in_flight
        assert found.now - found.glances[0].ended == pytest.approx(1.5, abs=0.001)
        assert store.log("call.stale")[0].data["changed"] == ["price/1"]

    @TWICE
    def test_a_write_before_the_call_is_not_told(self, store: Face, clock: ManualClock, known: bool) -> None:
        look_before(store, clock, known)
        store.settle(released(store.granted(ask("writer", "price/1"))))
        clock.advance(2.5)

        found = looked(store, back("price/1"))

        assert not found.told
        assert found.now - found.glances[0].ended > 2.0

    @TWICE
    def test_a_lease_that_expired_meanwhile_may_have_written(
        self, store: Face, clock: ManualClock, known: bool
    ) -> None:
        look_before(store, clock, known)
        store.granted(call("writer", "price/1", ttl=5))
        clock.advance(6)
        store.sweep()
        clock.advance(1)

        assert looked(store, back("price/1")).told

    def test_readers_and_waiters_write_nothing(self, store: Face) -> None:
        looked(store, back("price/1"))
        store.granted(call("reader", reading("price/1")))
        store.queued(call("waiter", "price/1"))

        assert not looked(store, back("price/1")).told

    def test_a_call_in_which_nothing_happened_has_written_nothing(self, store: Face) -> None:
        looked(store, back("price/1"))
        store.settle(settled(store.granted(call("a", "price/1")), State.FAILED, touched=False))
        store.granted(call("b", "price/1"))
        store.withdraw(Withdraw("b"))

        assert not looked(store, back("price/1")).told

    def test_the_calls_around_a_look_are_not_others(self, store: Face) -> None:
        store.granted(call("outer", "price/1"))
        assert not glance(store, back("price/1")._replace(ancestors=("outer",))).in_flight

    def test_a_look_holds_up_nobody_and_leaves_no_lease(self, store: Face) -> None:
        looked(store, back("price/1"))

        shown = store.snapshot()
        assert (shown.leases, shown.waiters) == ((), ())
        store.granted(call("writer", "price/1"))

    def test_each_resource_is_looked_at(self, store: Face) -> None:
        store.granted(call("writer", "price/2"))

        found = looked(store, back("price/1", "price/2", "price/3"))

        assert [(each.resource, each.in_flight) for each in found.glances] == [
            ("price/1", False), ("price/2", True), ("price/3", False),
        ]  # fmt: skip

    def test_the_versions_of_a_look_are_those_that_writers_compare(self, store: Face) -> None:
        found = glance(store, back("price/1"))
        store.granted(call("a", "price/1", seen=(("price/1", found.version),)))

    def test_a_write_in_flight_moves_the_version_that_was_told(self, store: Face) -> None:
        lease = store.granted(call("writer", "price/1"))
        found = glance(store, back("price/1"))
        store.settle(settled(lease))

        assert glance(store, back("price/1")).version > found.version

    @pytest.mark.parametrize(("state", "kind"), [(State.DONE, "call.done"), (State.FAILED, "call.failed")])
    def test_a_look_tells_how_a_call_came_out_that_nothing_else_tells_of(
        self, store: Face, state: State, kind: str
    ) -> None:
        looked(store, back("price/1", state=state, attempt=2, error="KeyError"))

        [event] = store.log(kind)
        assert (event.call, event.resources) == ("looker", ("price/1",))
        assert event.data == {"tool": "glance", "attempt": 2, "error": "KeyError"}

    def test_a_stopped_agent_is_told_so_when_it_looks(self, store: Face) -> None:
        store.record(Kill("orders", "why", "ops"))

        reply = store.begin(back("price/1", state=State.DONE))

        assert isinstance(reply, Killed)
        assert (reply.agent, reply.reason, reply.by) == ("orders", "why", "ops")
        assert store.log("call.done") == []
        looked(store, back("price/1"))  # of a call that has settled
