"""From events to lanes: who waited, who held, and what nobody can know."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from clawproof_langgraph.backends.memory import MemoryBackend
from clawproof_langgraph.events import Event, EventFilter
from clawproof_langgraph.inspection.timeline import ASCII, Interval, State, Timeline, cells, draw, timeline_of
from clawproof_langgraph.model import Begin, Granted, Note, Sweep
from clawproof_langgraph.model import State as End
from clawproof_langgraph.testing.builders import again, ask, call, released, settled
from clawproof_langgraph.testing.clock import ManualClock

START = 1_800_000_000.0


def lock_events(*entries: tuple[str, float, str, str, float]) -> list[Event]:
    """Make events of (type, time, agent, call, waited)."""
    return [
        Event(cursor, time, type_, agent, call=call, fence=1, data={"waited": waited} if waited else {})
        for cursor, (type_, time, agent, call, waited) in enumerate(entries)
    ]


def test_a_lane_waits_and_then_holds() -> None:
    timeline = timeline_of(
        lock_events(
            ("lock.acquired", 100.0, "a", "1", 0.0),
            ("lock.released", 105.0, "a", "1", 0.0),
            ("lock.acquired", 105.0, "b", "2", 4.0),
            ("lock.released", 110.0, "b", "2", 0.0),
        )
    )

    assert draw(timeline, width=39, glyphs=ASCII) == (
        "a |#####     | waited 0.0 s, held 5.0 s",
        "b | ....#####| waited 4.0 s, held 5.0 s",
        "   0 s 10.0 s",
    )


def test_a_lease_that_never_ended_is_held_to_the_end() -> None:
    timeline = timeline_of(
        lock_events(("lock.acquired", 0.0, "a", "1", 0.0), ("lock.acquired", 9.0, "b", "2", 0.0))
        + lock_events(("lock.released", 10.0, "b", "2", 0.0))
    )
    assert [lane.total(State.HOLDING) for lane in timeline.lanes] == [10.0, 1.0]


def test_an_expired_lease_ends_and_its_doubt_and_resolution_are_marked() -> None:
    timeline = timeline_of(
        lock_events(
            ("lock.acquired", 0.0, "a", "1", 0.0),
            ("lock.expired", 2.0, "a", "1", 0.0),
            ("call.in_doubt", 2.0, "a", "1", 0.0),
            ("call.resolved", 10.0, "a", "1", 0.0),
        )
    )
    drawn = cells(timeline.lanes[0], timeline, columns=5)
    assert drawn == (State.HOLDING, State.IN_DOUBT, State.IDLE, State.IDLE, State.RESOLVED)


def test_a_sign_does_not_hide_the_one_before() -> None:
    timeline = timeline_of(
        lock_events(("call.in_doubt", 9.8, "a", "1", 0.0), ("call.resolved", 9.9, "a", "1", 0.0))
        + lock_events(("lock.acquired", 0.0, "b", "2", 0.0), ("lock.released", 10.0, "b", "2", 0.0))
    )
    assert cells(timeline.lanes[0], timeline, columns=5)[3:] == (State.IN_DOUBT, State.RESOLVED)


def test_agents_are_sorted_as_people_count() -> None:
    timeline = timeline_of(
        lock_events(*(("lock.acquired", 0.0, agent, agent, 0.0) for agent in ("o-10", "o-9", "2", "a")))
    )
    assert [lane.agent for lane in timeline.lanes] == ["2", "a", "o-9", "o-10"]


def test_no_events_draw_nothing() -> None:
    assert draw(timeline_of([]), width=80) == ()


# --- what the engine's own events allow to know -------------------------------------------------------------------


class Scene:
    """A namespace whose time the test moves."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.backend = MemoryBackend(clock=self.clock)

    def grant(self, request: Begin) -> Granted:
        reply = self.backend.begin(request)
        assert isinstance(reply, Granted)
        return reply

    def told(self) -> Timeline:
        return timeline_of(self.backend.events(EventFilter()))

    def told_now(self) -> Timeline:
        return timeline_of(self.backend.events(EventFilter()), self.backend.snapshot(), now=self.clock.time())


@pytest.fixture
def scene() -> Scene:
    return Scene()


def spans(intervals: Sequence[Interval]) -> list[tuple[float, float, State]]:
    """Write intervals as seconds from the start, without those that took no time."""
    return [(i.start - START, i.end - START, i.state) for i in intervals if i.end > i.start]


def test_a_holder_that_died_is_not_drawn_as_one_that_held(scene: Scene) -> None:
    lease = scene.grant(call("dead", "a", key="k", ttl=5.0))
    scene.clock.advance(2.0)
    scene.backend.record(Note("call.retrying", "orders", "t1", "dead", "k", ("a",), lease.fence, {"attempt": 1}))
    scene.clock.advance(6.0)
    scene.backend.sweep(Sweep())

    timeline = scene.told()
    [lane] = timeline.lanes
    assert spans(lane.intervals) == [(0.0, 2.0, State.HOLDING), (2.0, 8.0, State.UNSETTLED)]
    assert [(mark.time - START, mark.state) for mark in lane.marks] == [(8.0, State.IN_DOUBT)]
    assert draw(timeline, width=59, glyphs=ASCII)[0] == "orders |####~~~~~~~~~~~?| waited 0.0 s, held 2.0 s, ~ 6.0 s"


def test_a_lock_that_nobody_gave_back_is_unsettled(scene: Scene) -> None:
    scene.grant(ask("dead", "a", ttl=5.0))
    scene.clock.advance(6.0)
    scene.backend.sweep(Sweep())
    [lane] = scene.told().lanes
    assert spans(lane.intervals) == [(0.0, 6.0, State.UNSETTLED)]
    assert lane.marks == ()


def test_a_holder_that_came_back_too_late_was_alive(scene: Scene) -> None:
    lease = scene.grant(call("late", "a", key="k", ttl=5.0))
    scene.clock.advance(6.0)
    scene.backend.sweep(Sweep())
    scene.clock.advance(1.0)
    scene.backend.settle(settled(lease))
    [lane] = scene.told().lanes
    assert spans(lane.intervals) == [(0.0, 6.0, State.HOLDING)]


def test_a_call_that_says_itself_that_it_is_in_doubt_held_to_its_end(scene: Scene) -> None:
    lease = scene.grant(call("1", "a", key="k"))
    scene.clock.advance(3.0)
    scene.backend.settle(settled(lease, End.IN_DOUBT, error="OSError"))
    [lane] = scene.told().lanes
    assert spans(lane.intervals) == [(0.0, 3.0, State.HOLDING)]
    assert [mark.state for mark in lane.marks] == [State.IN_DOUBT]


@pytest.mark.parametrize(("dies", "state"), [(False, State.HOLDING), (True, State.UNSETTLED)])
def test_a_call_that_locks_nothing_but_its_key_has_a_lane(scene: Scene, dies: bool, state: State) -> None:
    lease = scene.grant(call("1", key="k", ttl=3.0))
    scene.clock.advance(4.0)
    if dies:
        scene.backend.sweep(Sweep())
    else:
        scene.backend.settle(settled(lease))
    [lane] = scene.told().lanes
    assert spans(lane.intervals) == [(0.0, 4.0, state)]


def test_who_asks_in_vain_has_waited(scene: Scene) -> None:
    scene.backend.record(Note("lock.denied", "orders", call="1", data={"waited": 2.0, "reason": "timeout"}))
    scene.backend.record(Note("call.replayed", "pricing", call="2", data={"waited": 1.0}))
    assert [spans(lane.intervals) for lane in scene.told().lanes] == [
        [(-2.0, 0.0, State.WAITING)],
        [(-1.0, 0.0, State.WAITING)],
    ]


def test_who_gives_no_name_has_a_lane_too(scene: Scene) -> None:
    lease = scene.grant(ask("1", "a", agent=""))
    scene.clock.advance(1.0)
    scene.backend.settle(released(lease))
    assert [lane.agent for lane in scene.told().lanes] == ["-"]


# --- what a snapshot knows better ---------------------------------------------------------------------------------


def test_who_holds_and_who_waits_is_drawn_up_to_now(scene: Scene) -> None:
    scene.grant(call("1", "a", key="k", ttl=60.0))
    scene.clock.advance(1.0)
    waiter = call("2", "a", agent="pricing")
    scene.backend.begin(waiter)
    scene.clock.advance(2.0)
    scene.backend.begin(again(waiter, waited=2.0))
    holding, waiting = scene.told_now().lanes
    assert spans(holding.intervals) == [(0.0, 3.0, State.HOLDING)]
    assert spans(waiting.intervals) == [(1.0, 3.0, State.WAITING)]


def test_a_lease_that_expired_unnoticed_is_in_doubt_from_its_end(scene: Scene) -> None:
    scene.grant(call("dead", "a", key="k", ttl=5.0))
    scene.clock.advance(60.0)
    [lane] = scene.told_now().lanes
    assert spans(lane.intervals) == [(0.0, 5.0, State.UNSETTLED)]
    assert [(mark.time - START, mark.state) for mark in lane.marks] == [(5.0, State.IN_DOUBT)]


def test_a_lock_that_expired_unnoticed_is_not_held(scene: Scene) -> None:
    scene.grant(ask("dead", "a", ttl=5.0))
    scene.clock.advance(60.0)
    [lane] = scene.told_now().lanes
    assert spans(lane.intervals) == [(0.0, 60.0, State.UNSETTLED)]
