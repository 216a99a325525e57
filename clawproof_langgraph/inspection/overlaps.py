"""Who held what at the same time: a pure function of the event log.

The order of the log is the order in which the store did things, so a walk through it knows at each grant who else held
something. Two that hold one resource at once, of which one holds it alone, were not kept apart: that must never be.
Two that share no resource may run at once; where an invariant broke, they are the ones whose locks to look at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph import events as log
from clawproof_langgraph.events import Event

_STARTS: Final = frozenset({log.LOCK_ACQUIRED, log.CALL_STARTED})
_ENDS: Final = frozenset(
    {log.LOCK_RELEASED, log.LOCK_EXPIRED, log.CALL_DONE, log.CALL_FAILED, log.CALL_SUSPENDED, log.CALL_IN_DOUBT}
)
_LATE: Final = frozenset({log.CALL_DONE, log.CALL_FAILED, log.LEASE_LOST})


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two leases on one resource at the same time, of which one was exclusive: the store broke its promise.

    Args:
        resource: what both held.
        first, second: the ids of the calls, in the order of their grants.
    """

    resource: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Outlived:
    """A call that still ran after its lease had ended: only the fence kept it from writing after its successor.

    Args:
        call: its id.
        overtaken_by: the calls that were granted one of its resources before it ended.
    """

    call: str
    overtaken_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """Calls of two tools that ran at the same time, as no lock is common to them.

    Args:
        tools: their names, sorted.
        times: how often that was so.
        example: the ids of the first two calls.
    """

    tools: tuple[str, str]
    times: int
    example: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Concurrency:
    """All that a log tells of who held what at the same time."""

    overlaps: tuple[Overlap, ...] = ()
    outlived: tuple[Outlived, ...] = ()
    together: tuple[Together, ...] = ()


def concurrency_of(events: Iterable[Event]) -> Concurrency:
    """Read from events who held what at the same time.

    Args:
        events: all of a namespace, in the order of the log.
    """
    reader = _Reader()
    for event in events:
        reader.read(event)
    outlived = tuple(Outlived(call, tuple(reader.after[call])) for call in reader.outlived)
    return Concurrency(tuple(reader.overlaps), outlived, reader.together())


@dataclass(slots=True)
class _Holder:
    """A live lease: what it holds, what of that it shares, and inside which call it is."""

    call: str
    resources: frozenset[str]
    shared: frozenset[str]
    tool: str = ""


class _Reader:
    def __init__(self) -> None:
        self.overlaps: list[Overlap] = []
        self.outlived: dict[str, None] = {}
        self.after: dict[str, dict[str, None]] = {}
        """Those whose lease has expired, and who was granted one of their resources since."""
        self._live: dict[str, _Holder] = {}
        self._expired: dict[str, frozenset[str]] = {}
        self._inside: dict[str, str] = {}
        self._pairs: dict[tuple[str, str], tuple[int, tuple[str, str]]] = {}

    def read(self, event: Event) -> None:
        if event.type in _LATE and event.call in self._expired:
            self.outlived[event.call] = None
            del self._expired[event.call]
        elif event.type in _STARTS:
            self._start(event)
        elif event.type in _ENDS and (holder := self._live.pop(event.call, None)) and event.type == log.LOCK_EXPIRED:
            self._expired[event.call], self.after[event.call] = holder.resources, {}

    def together(self) -> tuple[Together, ...]:
        found = [Together(tools, times, example) for tools, (times, example) in self._pairs.items()]
        return tuple(sorted(found, key=lambda pair: -pair.times))

    def _start(self, event: Event) -> None:
        holder = self._live.get(event.call)
        if holder is None:
            holder = self._enter(event)
        if event.type == log.CALL_STARTED:
            holder.tool = str(event.data.get("tool", ""))
            self._pair(holder)

    def _enter(self, event: Event) -> _Holder:
        holder = _Holder(event.call, frozenset(event.resources), frozenset(event.data.get("shared", ())))
        if outer := event.data.get("inside"):
            self._inside[event.call] = str(outer)
        for other in self._live.values():
            if not self._is_of_one_chain(holder, other):
                self.overlaps += [Overlap(name, other.call, holder.call) for name in _contested(holder, other)]
        for call, resources in self._expired.items():
            if resources & holder.resources:
                self.after[call][holder.call] = None
        self._live[event.call] = holder
        return holder

    def _pair(self, holder: _Holder) -> None:
        for other in self._live.values():
            if other is holder or not other.tool or self._is_of_one_chain(holder, other) or _meet(holder, other):
                continue
            tools = (min(holder.tool, other.tool), max(holder.tool, other.tool))
            times, example = self._pairs.get(tools, (0, (other.call, holder.call)))
            self._pairs[tools] = (times + 1, example)

    def _is_of_one_chain(self, one: _Holder, other: _Holder) -> bool:
        return other.call in self._around(one.call) or one.call in self._around(other.call)

    def _around(self, call: str) -> Iterable[str]:
        while call := self._inside.get(call, ""):
            yield call


def _contested(one: _Holder, other: _Holder) -> list[str]:
    return sorted((one.resources & other.resources) - (one.shared & other.shared))


def _meet(one: _Holder, other: _Holder) -> bool:
    """Whether two need not be looked at: they share a resource, or both only read."""
    reads = one.resources and one.resources == one.shared and other.resources and other.resources == other.shared
    return bool(reads or one.resources & other.resources)
