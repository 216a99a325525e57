"""What a coordinated call costs as a user makes it: a lock, a guarded tool, a ToolNode in a compiled graph."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.commands import LOCKS
from benchmarks.measure import Case, Plan, Samples, interleave
from benchmarks.report import Figure, Goal, Table
from benchmarks.requests import Shop
from benchmarks.stores import MEMORY, REDIS, STORES, floor_under, opened
from benchmarks.ways import ASYNC, LOCK, MIXED, NODE, SYNC, TOOL, Way
from clawproof_langgraph import Coordinator

_NODE_AT_MOST: Final = 1.3
_TOOL_AT_MOST: Final = 3.6
_SHARES: Final = {LOCK: 1.0, TOOL: 1.0, NODE: 0.5}
"""Of the rounds of the plan: a call through a graph takes ten times a lock."""
_BARE, _GUARDED, _FLOOR = "bare", "guarded", "floor"

Found = dict[tuple[str, int], Samples]


@dataclass(frozen=True, slots=True)
class _Course:
    """One way of calling: its kind, its mode, and how it is measured."""

    kind: str
    mode: str
    folder: Path
    shop: Shop
    plan: Plan
    loop: asyncio.AbstractEventLoop

    @property
    def locks(self) -> tuple[int, ...]:
        return LOCKS[:1] if self.mode == MIXED else LOCKS

    def time(self, store: str) -> Found:
        """Time it on one store, in turns with the bare calls and with the floor."""
        with (
            opened(store, self.folder, f"{self.kind}-{self.mode[:5]}") as url,
            Coordinator.from_url(url) as coordinator,
        ):
            cases = self._cases(_GUARDED, coordinator)
            if self.kind != LOCK:
                cases |= self._cases(_BARE, None)
            if store == MEMORY:
                return interleave(cases, self.plan)
            # A PING behind another finds the server's core awake, as no round trip does that comes out of a call.
            plan = self.plan.one_by_one() if store == REDIS and self.kind != LOCK else self.plan
            with floor_under(store, self.folder, url, None if self.mode == SYNC else self.loop) as floor:
                return interleave({**cases, (_FLOOR, 0): floor.case()}, plan)

    def _cases(self, name: str, coordinator: Coordinator | None) -> dict[tuple[str, int], Case]:
        way = Way(self.kind, self.mode, coordinator, self.loop)
        return {(name, locks): way.case(self.shop, locks) for locks in self.locks}


def measure_calls(folder: Path, shop: Shop, plan: Plan) -> Iterator[Table]:
    """Time every way of calling, bare and on every store, with 1, 5 and 20 locks."""
    loop = asyncio.new_event_loop()
    try:
        for kind in (LOCK, TOOL, NODE):
            yield _measure_kind(_Course(kind, SYNC, folder, shop, plan.share(_SHARES[kind]), loop))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _measure_kind(course: _Course) -> Table:
    table = Table(
        "coordinator.lock" if course.kind == LOCK else f"{course.kind}: a keyed call with a 200-byte result",
        {
            "mode": "", "store": "", "locks": "", "x bare": ".2f", "extra / floor": ".1f", "median us": ".1f",
            "p99 us": ".1f", "bare us": ".1f", "extra us": ".1f",
        },
        "extra: what coordination adds; floor: a bare transaction of the same mode, measured in turns with the calls;\n"
        "on Redis a bare PING of redis-py, of its asyncio client for async",
    )  # fmt: skip
    for mode in (SYNC, ASYNC) if course.kind == LOCK else (SYNC, ASYNC, MIXED):
        for store in STORES:
            timed = replace(course, mode=mode)
            _add_rows(table, timed, store, timed.time(store))
    return table


def _add_rows(table: Table, course: _Course, store: str, found: Found) -> None:
    for locks in course.locks:
        guarded = found[_GUARDED, locks]
        bare = found[_BARE, locks].median if course.kind != LOCK else None
        ratio: Figure = guarded.median / bare if bare else None
        if bare and course.kind == NODE and store == MEMORY and locks == 1:
            ratio = Goal(guarded.median / bare, _NODE_AT_MOST)
        extra = guarded.median - (bare or 0.0)
        floors: Figure = extra / found[_FLOOR, 0].median if store != MEMORY else None
        if (course.kind, course.mode, store, locks) == (TOOL, SYNC, REDIS, 1):
            floors = Goal(extra / found[_FLOOR, 0].median, _TOOL_AT_MOST)
        table.add(course.mode, store, locks, ratio, floors, guarded.median, guarded.p99, bare, extra)
