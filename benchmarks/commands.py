"""What the store's two commands of a call cost, against the least that the store can do."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.measure import Case, Plan, Samples, interleave
from benchmarks.report import Figure, Goal, Table
from benchmarks.requests import Shop
from benchmarks.stores import FULL, MEMORY, NORMAL, REDIS, STORES, floor_under, opened
from benchmarks.ways import ASYNC, SYNC
from clawproof_langgraph.backends.urls import open_backend

LOCKS: Final = (1, 5, 20)
_FLOORS_AT_MOST: Final = {
    (NORMAL, SYNC, 1): 12.0, (FULL, SYNC, 1): 2.5,
    (REDIS, SYNC, 1): 3.0, (REDIS, SYNC, 5): 3.3, (REDIS, SYNC, 20): 4.0, (REDIS, ASYNC, 1): 3.6,
}  # fmt: skip
_TWENTY_AT_MOST: Final = 2.2


def measure_commands(folder: Path, shop: Shop, plan: Plan) -> Table:
    """Time begin and settle together, with 1, 5 and 20 locks, on every store."""
    table = Table(
        "backend.begin + backend.settle of a keyed call, 200-byte result",
        {
            "store": "",
            "mode": "",
            "locks": "",
            "x floor": ".2f",
            "x 1 lock": ".2f",
            "median us": ".1f",
            "p99 us": ".1f",
        },
        "floor: BEGIN IMMEDIATE; INSERT; COMMIT in the same mode and folder (for memory: of normal); on Redis a bare\n"
        "PING of redis-py, of its asyncio client for async, with a core each for server and client",
    )
    for store in STORES:
        _add_rows(table, store, SYNC, _time_store(folder, store, shop, plan))
    loop = asyncio.new_event_loop()
    _add_rows(table, REDIS, ASYNC, _time_store(folder, REDIS, shop, plan, loop))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    return table


def _time_store(
    folder: Path, store: str, shop: Shop, plan: Plan, loop: asyncio.AbstractEventLoop | None = None
) -> dict[int, Samples]:
    with (
        opened(store, folder, "commands") as url,
        closing(open_backend(url, None)) as backend,
        floor_under(store, folder, url, loop) as floor,
    ):
        cases: dict[int, Case] = {locks: shop.case(backend, locks, loop) for locks in LOCKS}
        return interleave({0: floor.case(), **cases}, plan)


def _add_rows(table: Table, store: str, mode: str, found: dict[int, Samples]) -> None:
    if store != MEMORY:
        table.add(store, mode, "floor", 1.0, None, found[0].median, found[0].p99)
    for locks in LOCKS:
        floors: Figure = found[locks].median / found[0].median
        if limit := _FLOORS_AT_MOST.get((store, mode, locks)):
            floors = Goal(found[locks].median / found[0].median, limit)
        growth: Figure = _growth(store, locks, found[locks].median / found[1].median)
        table.add(store, mode, locks, floors, growth, found[locks].median, found[locks].p99)


def _growth(store: str, locks: int, ratio: float) -> Figure:
    return Goal(ratio, _TWENTY_AT_MOST) if locks == 20 and store in (NORMAL, FULL) else ratio
