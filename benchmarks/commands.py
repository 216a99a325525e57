"""What the store's two commands of a call cost, against a bare transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.measure import Case, Plan, Samples, interleave
from benchmarks.report import Figure, Goal, Table
from benchmarks.requests import Shop
from benchmarks.stores import FULL, MEMORY, NORMAL, STORES, Floor, url_of
from clawproof_langgraph.backends.urls import open_backend

LOCKS: Final = (1, 5, 20)
_FLOORS_AT_MOST: Final = {NORMAL: 12.0, FULL: 2.5}
_TWENTY_AT_MOST: Final = 2.2


def measure_commands(folder: Path, shop: Shop, plan: Plan) -> Table:
    """Time begin and settle together, with 1, 5 and 20 locks, on every store."""
    table = Table(
        "backend.begin + backend.settle of a keyed call, 200-byte result",
        {"store": "", "locks": "", "x floor": ".2f", "x 1 lock": ".2f", "median us": ".1f", "p99 us": ".1f"},
        "floor: BEGIN IMMEDIATE; INSERT; COMMIT in the same mode and folder (for memory: of normal)",
    )
    for store in STORES:
        _add_rows(table, store, _time_store(folder, store, shop, plan))
    return table


def _time_store(folder: Path, store: str, shop: Shop, plan: Plan) -> dict[int, Samples]:
    backend = open_backend(url_of(store, folder, "commands"), None)
    floor = Floor(folder, NORMAL if store == MEMORY else store)
    cases: dict[int, Case] = {locks: shop.case(backend, locks) for locks in LOCKS}
    try:
        return interleave({0: floor.case(), **cases}, plan)
    finally:
        floor.close()
        backend.close()


def _add_rows(table: Table, store: str, found: dict[int, Samples]) -> None:
    if store != MEMORY:
        table.add(store, "floor", 1.0, None, found[0].median, found[0].p99)
    for locks in LOCKS:
        floors: Figure = _floors(store, locks, found[locks].median / found[0].median)
        growth: Figure = _growth(store, locks, found[locks].median / found[1].median)
        table.add(store, locks, floors, growth, found[locks].median, found[locks].p99)


def _floors(store: str, locks: int, ratio: float) -> Figure:
    return Goal(ratio, _FLOORS_AT_MOST[store]) if locks == 1 and store != MEMORY else ratio


def _growth(store: str, locks: int, ratio: float) -> Figure:
    return Goal(ratio, _TWENTY_AT_MOST) if locks == 20 and store != MEMORY else ratio
