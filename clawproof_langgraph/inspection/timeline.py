"""Who waited and who held, agent by agent: a pure function of events, and its drawing in characters."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from clawproof_langgraph.events import (
    CALL_DONE,
    CALL_FAILED,
    CALL_IN_DOUBT,
    CALL_REPLAYED,
    CALL_RESOLVED,
    CALL_STARTED,
    CALL_SUSPENDED,
    LEASE_LOST,
    LOCK_ACQUIRED,
    LOCK_DENIED,
    LOCK_EXPIRED,
    LOCK_RELEASED,
    Event,
)
from clawproof_langgraph.model import Snapshot


class State(Enum):
    """What an agent does, or what becomes of its call, at a place of its lane."""

    IDLE = "idle"
    WAITING = "waiting"
    HOLDING = "holding"
    UNSETTLED = "unsettled"  # holds a lease that nobody ended: its process died, and nobody knows when
    IN_DOUBT = "in_doubt"
    RESOLVED = "resolved"


_MARKS: Final = {CALL_IN_DOUBT: State.IN_DOUBT, CALL_RESOLVED: State.RESOLVED}
_GRANTS: Final = frozenset({LOCK_ACQUIRED, CALL_STARTED})
_VAIN_WAITS: Final = frozenset({LOCK_DENIED, CALL_REPLAYED})
_ENDS: Final = frozenset({LOCK_RELEASED, LEASE_LOST, CALL_DONE, CALL_FAILED, CALL_SUSPENDED, CALL_IN_DOUBT})
_NOBODY: Final = "-"
"""The lane of those who gave no agent's name."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A time in which an agent waited for resources, or held them.

    Args:
        start: seconds since the epoch.
        end: seconds since the epoch; the end of the timeline if it still goes on.
        state: waiting, holding or unsettled.
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
    unsettled: str
    in_doubt: str
    resolved: str

    @property
    def legend(self) -> str:
        """Say what they mean."""
        return (
            f"{self.waiting} waits, {self.holding} holds, {self.unsettled} holds and never settled, "
            f"{self.in_doubt} in doubt, {self.resolved} resolved"
        )

    def of(self, state: State) -> str:
        """Give the character of a state."""
        character: str = getattr(self, state.value)
        return character


BLOCKS = Glyphs(idle=" ", waiting="░", holding="█", unsettled="▒", in_doubt="?", resolved="✓")
ASCII = Glyphs(idle=" ", waiting=".", holding="#", unsettled="~", in_doubt="?", resolved="v")


def timeline_of(events: Iterable[Event], snapshot: Snapshot | None = None, *, now: float = 0.0) -> Timeline:
    """Read from events who waited when and who held when.

    Args:
        events: in the order of the log.
        snapshot: of the same namespace, taken after all grants of which the events tell and before the last of their
            ends; without one, a lease that has not ended is drawn as held to the end of the log.
        now: the time of the snapshot in seconds since the epoch.
    """
    log = tuple(events)
    drawing = _Drawing()
    for event in log:
        if event.type in _VAIN_WAITS:
            drawing.wait(event)
        elif event.type in _MARKS:
            drawing.mark(event.agent, event.time, _MARKS[event.type])
    for lease in _leases(log):
        _draw_lease(drawing, lease, snapshot, now if snapshot else log[-1].time)
    for waiter in snapshot.waiters if snapshot else ():
        names = tuple(want.resource for want in waiter.wants)
        drawing.add(waiter.agent, Interval(now - waiter.waited, now, State.WAITING, names, waiter.owner))
    return drawing.timeline()


def cells(lane: Lane, timeline: Timeline, columns: int) -> tuple[State, ...]:
    """Say for each column of a drawing what the agent mostly did in its slice of the time, if it did anything."""
    cover = [{State.HOLDING: 0.0, State.UNSETTLED: 0.0, State.WAITING: 0.0} for _ in range(columns)]
    for interval in lane.intervals:
        for column, share in _slices(interval, timeline, columns):
            cover[column][interval.state] += share
    drawn = [max(share, key=share.__getitem__) if any(share.values()) else State.IDLE for share in cover]
    for mark in lane.marks:
        column = min(int(_place(mark.time, timeline, columns)), columns - 1)
        if column and drawn[column] in _MARKS.values():  # two signs in one place: the earlier one makes room
            drawn[column - 1] = drawn[column]
        drawn[column] = mark.state
    return tuple(drawn)


def _tenths(seconds: float) -> str:
    return f"{seconds:.1f} s"


def draw(
    timeline: Timeline, *, width: int, glyphs: Glyphs = BLOCKS, duration: Callable[[float], str] = _tenths
) -> tuple[str, ...]:
    """Draw a timeline: a row per agent with its bars and its totals, and an axis below.

    Args:
        timeline: what to draw.
        width: columns of the terminal.
        glyphs: `ASCII` where the encoding has no blocks.
        duration: words a number of seconds.
    """
    if not timeline.lanes:
        return ()
    totals = [_totals(lane, glyphs, duration) for lane in timeline.lanes]
    names = max(len(lane.agent) for lane in timeline.lanes)
    columns = max(10, width - names - max(map(len, totals)) - 4)
    rows = [
        f"{lane.agent:<{names}} |{''.join(map(glyphs.of, cells(lane, timeline, columns)))}| {total}"
        for lane, total in zip(timeline.lanes, totals, strict=True)
    ]
    return (*rows, f"{'':<{names}}  0 s{duration(timeline.seconds):>{columns - 3}}")


def _totals(lane: Lane, glyphs: Glyphs, duration: Callable[[float], str]) -> str:
    said = [("waited", State.WAITING), ("held", State.HOLDING)]
    if lane.total(State.UNSETTLED):
        said.append((glyphs.unsettled, State.UNSETTLED))
    return ", ".join(f"{word} {duration(lane.total(state))}" for word, state in said)


# --- from events to intervals -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Lease:
    """What the log tells of one lease: its grant, the last sign of its holder, and its end.

    Args:
        grant: the event that tells of it.
        seen: when the log last heard of its holder before it ended. Renewals are not in the log.
        end: when it ended, None if it did not.
        settled: whether its holder ended it, in time or too late.
    """

    grant: Event
    seen: float
    end: float | None = None
    settled: bool = False


def _leases(log: Sequence[Event]) -> Iterable[_Lease]:
    leases: dict[str, _Lease] = {}
    for event in log:
        lease = leases.get(event.call)
        if lease is None:
            if event.type in _GRANTS:
                leases[event.call] = _Lease(event, event.time)
        elif _tells_of_expiry(event):
            leases[event.call] = replace(lease, end=lease.end or event.time)
        elif event.type in _ENDS:
            leases[event.call] = replace(lease, end=lease.end or event.time, settled=True)
        elif lease.end is None:
            leases[event.call] = replace(lease, seen=event.time)
    return leases.values()


def _tells_of_expiry(event: Event) -> bool:
    """Whether the store ended a lease, and not its holder: who settles as in doubt gives an error and no reason."""
    return event.type == LOCK_EXPIRED or (event.type == CALL_IN_DOUBT and bool(event.data.get("reason")))


def _draw_lease(drawing: _Drawing, lease: _Lease, snapshot: Snapshot | None, now: float) -> None:
    drawing.wait(lease.grant)
    if lease.end is not None:
        drawing.hold(lease.grant, lease.end if lease.settled else lease.seen, lease.end)
    elif snapshot is None or any(lease.grant.call == live.owner for live in snapshot.leases):
        drawing.hold(lease.grant, now, now)
    else:  # it has expired, and no sweep has come by yet
        fell = [entry.since for entry in snapshot.in_doubt if entry.key == lease.grant.key]
        drawing.hold(lease.grant, lease.seen, max(lease.seen, *fell) if fell else now)
        for since in fell:
            drawing.mark(lease.grant.agent, since, State.IN_DOUBT)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Collects intervals and marks by agent."""

    intervals: defaultdict[str, list[Interval]] = field(default_factory=lambda: defaultdict(list))
    marks: defaultdict[str, list[Mark]] = field(default_factory=lambda: defaultdict(list))

    def add(self, agent: str, interval: Interval) -> None:
        self.intervals[agent or _NOBODY].append(interval)

    def mark(self, agent: str, time: float, state: State) -> None:
        self.marks[agent or _NOBODY].append(Mark(time, state))

    def wait(self, event: Event) -> None:
        if (waited := float(event.data.get("waited", 0.0))) > 0:
            span = (event.time - waited, event.time)
            self.add(event.agent, Interval(*span, State.WAITING, event.resources, event.call))

    def hold(self, grant: Event, seen: float, end: float) -> None:
        """Add a lease: held for certain until its holder was last seen, and then perhaps by nobody."""
        self.add(grant.agent, Interval(grant.time, seen, State.HOLDING, grant.resources, grant.call))
        if end > seen:
            self.add(grant.agent, Interval(seen, end, State.UNSETTLED, grant.resources, grant.call))

    def timeline(self) -> Timeline:
        lanes = tuple(
            Lane(agent, tuple(self.intervals[agent]), tuple(self.marks[agent]))
            for agent in sorted({*self.intervals, *self.marks}, key=_natural)
        )
        times = [time for lane in lanes for span in lane.intervals for time in (span.start, span.end)]
        times += [mark.time for lane in lanes for mark in lane.marks]
        return Timeline(min(times, default=0.0), max(times, default=0.0), lanes)


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
