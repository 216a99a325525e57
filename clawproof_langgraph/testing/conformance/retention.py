"""What a sweep deletes, what it never deletes, and how much it does at a time."""

from __future__ import annotations

import pytest

from clawproof_langgraph.events import LOG_TRUNCATED, EventFilter
from clawproof_langgraph.model import Held, Note, Replay, State, Sweep
from clawproof_langgraph.testing.builders import ask, call, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face

DAY = 86_400.0
YEARS = 1000 * DAY


class Retention(Suite):
    """Old rows."""

    @pytest.mark.parametrize("state", [State.DONE, State.REJECTED])
    def test_results_are_kept_as_long_as_was_promised(self, store: Face, clock: ManualClock, state: State) -> None:
        store.settle(settled(store.granted(call("a", key="k")), state, result=b"42"))

        clock.advance(9 * DAY)
        store.sweep(Sweep(keep_results=10 * DAY))
        assert isinstance(store.begin(call("b", key="k")), Replay)
        clock.advance(2 * DAY)
        assert store.sweep(Sweep(keep_results=10 * DAY)).records == 1

        assert store.granted(call("c", key="k")).attempt == 0

    def test_doubt_never_expires(self, store: Face, clock: ManualClock) -> None:
        store.settle(settled(store.granted(call("a", key="k")), State.IN_DOUBT))
        clock.advance(YEARS)
        store.sweep()
        assert store.begin(call("b", key="k")) == Held("k", "reserve")

    def test_suspension_never_expires(self, store: Face, clock: ManualClock) -> None:
        store.settle(settled(store.granted(call("a", key="k")), State.SUSPENDED))
        clock.advance(YEARS)
        store.sweep()
        assert store.granted(call("b", key="k")).attempt == 1

    def test_the_fence_grows_though_everything_was_swept(self, store: Face, clock: ManualClock) -> None:
        """An idle resource may be forgotten; what it was fenced with may not."""
        lease = store.granted(ask("a", "inventory/1"))
        store.settle(released(lease))
        clock.advance(YEARS)
        store.sweep()
        clock.set_date(-YEARS - 60)

        assert store.granted(ask("b", "inventory/1")).fence > lease.fence

    def test_old_events_are_deleted(self, store: Face, clock: ManualClock) -> None:
        store.record(Note("old"))
        clock.advance(5 * DAY)
        store.record(Note("new"))
        clock.advance(3 * DAY)

        assert store.sweep(Sweep(keep_events=7 * DAY)).events == 1

        assert [event.type for event in store.log() if event.type != LOG_TRUNCATED] == ["new"]

    def test_events_that_are_too_many_are_deleted_from_the_old_end(self, store: Face) -> None:
        for n in range(10):
            store.record(Note(f"n{n}"))

        while store.sweep(Sweep(max_events=4)).more:
            pass

        kept = [event.type for event in store.log() if event.type != LOG_TRUNCATED]
        assert kept in (["n6", "n7", "n8", "n9"], ["n7", "n8", "n9"])

    def test_cursors_grow_though_the_log_was_emptied(self, store: Face, clock: ManualClock) -> None:
        """A reader that stopped here must not miss what comes later."""
        store.record(Note("old"))
        cursor = store.log()[-1].cursor
        clock.advance(YEARS)
        store.sweep()
        store.record(Note("new"))

        assert "new" in [event.type for event in store.events(EventFilter(after=cursor))]

    def test_a_sweep_does_a_bounded_number_at_a_time(self, store: Face, clock: ManualClock) -> None:
        for n in range(5):
            store.granted(call(f"c{n}", f"r/{n}", key=f"k{n}", ttl=5))
            store.record(Note("n"))
        clock.advance(YEARS)

        sweeps = [store.sweep(Sweep(limit=2))]
        while sweeps[-1].more:
            assert len(sweeps) < 30, "a sweep that has nothing to do must say so"
            sweeps.append(store.sweep(Sweep(limit=2)))

        assert all(max(swept.expired, swept.records, swept.events) <= 2 for swept in sweeps)
        assert sum(swept.expired for swept in sweeps) == 5
        assert len(store.snapshot().in_doubt) == 5

    def test_a_sweep_goes_on_though_a_step_that_wrote_two_events_did_not_fit(self, store: Face) -> None:
        store.record(Note("one"))
        for n in range(3):
            store.granted(call(f"c{n}", f"r/{n}", key=f"k{n}"))
        store.record(Note("last"))

        while store.sweep(Sweep(limit=2, max_events=0)).more:
            pass

        assert len([event for event in store.log() if event.type != LOG_TRUNCATED]) <= 1

    def test_nothing_to_sweep_is_nothing_done(self, store: Face) -> None:
        store.granted(call("a", "inventory/1", key="k"))
        swept = store.sweep()
        assert (swept.expired, swept.waiters, swept.records, swept.events, swept.more) == (0, 0, 0, 0, False)
