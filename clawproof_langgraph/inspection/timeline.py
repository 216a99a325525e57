"""Who waited and who held, agent by agent: a pure function of events, and its drawing in characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from clawproof_langgraph.events import (
    CALL_IN_DOUBT,
    CALL_RESOLVED,
    LEASE_LOST,
    LOCK_ACQUIRED,
    LOCK_DENIED,
    LOCK_EXPIRED,
    LOCK_RELEASED,
    Event,
)


class State(Enum):
    """What an agent does, or what becomes of its call, at a place of its lane."""

    IDLE = "idle"
    WAITING = "waiting"
    HOLDING = "holding"
    IN_DOUBT = "in_doubt"
    RESOLVED = "resolved"


MARKS = {CALL_IN_DOUBT: State.IN_DOUBT, CALL_RESOLVED: State.RESOLVED}
WAITS = frozenset({LOCK_ACQUIRED, LOCK_DENIED})
ENDS = frozenset({LOCK_RELEASED, LOCK_EXPIRED, LEASE_LOST})


@dataclass(frozen=True, slots=True)
class Interval:
    """A time in which an agent waited for resources, or held them.

    Args:
        start: seconds since the epoch.
        end: seconds since the epoch; the end of the timeline if it still goes on.
        state: waiting or holding.
        resources: what it waited for, or held.
        call: the call.
    """

    start: float
    end: float
    state: State
    resources: tuple[str, ...] = ()
    call: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that deserves a sign: a call fell into doubt, or was resolved."""

    time: float
    state: State


@dataclass(frozen=True, slots=True)
class Lane:
    """All of one agent, in the order of time."""

    agent: str
    intervals: tuple[Interval, ...]
    marks: tuple[Mark, ...] = ()

    def total(self, state: State) -> float:
        """Add up the seconds that the agent spent in a state, over all of its calls."""
        return sum(interval.end - interval.start for interval in self.intervals if interval.state is state)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The lanes of all agents over a common span of time, in seconds since the epoch."""

    start: float
    end: float
    lanes: tuple[Lane, ...]

    @property
    def seconds(self) -> float:
        """Give the length of the span."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters to draw with."""

    idle: str
    waiting: str
    holding: str
    in_doubt: str
    resolved: str

    def of(self, state: State) -> str:
        """Give the character of a state."""
        character: str = getattr(self, state.value)
        return character


BLOCKS = Glyphs(idle=" ", waiting="░", holding="█", in_doubt="?", resolved="✓")
ASCII = Glyphs(idle=" ", waiting=".", holding="#", in_doubt="?", resolved="v")


def timeline_of(events: Iterable[Event]) -> Timeline:
    """Read from events who waited when and who held when.

    Args:
        events: in the order of the log. A lease of which they tell no end is drawn to the end of the timeline.
    """
    log = tuple(event for event in events if event.agent)
    intervals, marks = _intervals(log), _marks(log)
    lanes = tuple(
        Lane(agent, tuple(intervals.get(agent, ())), tuple(marks.get(agent, ())))
        for agent in sorted({*intervals, *marks}, key=_natural)
    )
    starts = [interval.start for lane in lanes for interval in lane.intervals] + [event.time for event in log]
    return Timeline(min(starts, default=0.0), max((event.time for event in log), default=0.0), lanes)


def cells(lane: Lane, timeline: Timeline, columns: int) -> tuple[State, ...]:
    """Say for each column of a drawing what the agent mostly did in its slice of the time, if it did anything."""
    cover = [{State.HOLDING: 0.0, State.WAITING: 0.0} for _ in range(columns)]
    for interval in lane.intervals:
        for column, share in _slices(interval, timeline, columns):
            cover[column][interval.state] += share
    drawn = [max(share, key=share.__getitem__) if any(share.values()) else State.IDLE for share in cover]
    for mark in lane.marks:
        drawn[min(int(_place(mark.time, timeline, columns)), columns - 1)] = mark.state
    return tuple(drawn)


def draw(timeline: Timeline, *, width: int, glyphs: Glyphs = BLOCKS) -> tuple[str, ...]:
    """Draw a timeline: a row per agent with its bars and its totals, and an axis below.

    Args:
        timeline: what to draw.
        width: columns of the terminal.
        glyphs: `ASCII` where the encoding has no blocks.
    """
    if not timeline.lanes:
        return ()
    names = max(len(lane.agent) for lane in timeline.lanes)
    totals = max(len(_totals(lane)) for lane in timeline.lanes)
    columns = max(10, width - names - totals - 4)
    rows = [
        f"{lane.agent:<{names}} |{''.join(map(glyphs.of, cells(lane, timeline, columns)))}| {_totals(lane)}"
        for lane in timeline.lanes
    ]
    return (*rows, f"{'':<{names}}  0 s{f'{timeline.seconds:.1f} s':>{columns - 3}}")


def _totals(lane: Lane) -> str:
    return f"waited {lane.total(State.WAITING):.1f} s, held {lane.total(State.HOLDING):.1f} s"


def _intervals(log: Sequence[Event]) -> dict[str, list[Interval]]:
    found: dict[str, list[Interval]] = {}
    held: dict[tuple[str, int], Event] = {}
    for event in log:
        if event.type in WAITS and (waited := float(event.data.get("waited", 0.0))) > 0:
            _add(found, event, event.time - waited, event.time, State.WAITING)
        if event.type == LOCK_ACQUIRED:
            held[event.call, event.fence] = event
        elif event.type in ENDS and (since := held.pop((event.call, event.fence), None)):
            _add(found, since, since.time, event.time, State.HOLDING)
    for since in held.values():
        _add(found, since, since.time, log[-1].time, State.HOLDING)
    return found


def _add(found: dict[str, list[Interval]], event: Event, start: float, end: float, state: State) -> None:
    found.setdefault(event.agent, []).append(Interval(start, end, state, event.resources, event.call))


def _marks(log: Sequence[Event]) -> dict[str, list[Mark]]:
    found: dict[str, list[Mark]] = {}
    for event in log:
        if event.type in MARKS:
            found.setdefault(event.agent, []).append(Mark(event.time, MARKS[event.type]))
    return found


def _slices(interval: Interval, timeline: Timeline, columns: int) -> Iterator[tuple[int, float]]:
    """Spread an interval over the columns that it touches: (column, how much of the column it fills)."""
    start, end = _place(interval.start, timeline, columns), _place(interval.end, timeline, columns)
    for column in range(int(start), min(int(end) + 1, columns)):
        yield column, min(end, column + 1) - max(start, column)


def _place(time: float, timeline: Timeline, columns: int) -> float:
    return (time - timeline.start) / timeline.seconds * columns if timeline.seconds else 0.0


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Sort `orders-10` after `orders-9`."""
    return tuple((int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name))
