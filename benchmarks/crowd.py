"""What many waiters on one resource, and many records in the file, cost the next call."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import Final

from benchmarks.measure import Case, Plan, interleave
from benchmarks.report import Goal, Table
from benchmarks.requests import Shop
from benchmarks.stores import MEMORY, NORMAL, REDIS, opened, url_of
from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.backends.urls import open_backend
from clawproof_langgraph.keys import digest
from clawproof_langgraph.model import Begin, Mode, Queued, Want, Withdraw

_RECORDS_AT_MOST: Final = 1.4
_WAITERS_AT_MOST: Final = 1.5
_FEW: Final = 10
_RESULT: Final = b"r" * 300
_FILLED: Final = {"key": ":key", "scope": ":other", "fingerprint": ":other", "owner": ":other", "result": ":result"}
"""What is not the same in all records that a file is filled with."""


def measure_records(folder: Path, shop: Shop, plan: Plan, *, records: int) -> Table:
    """Time begin and settle in a file with many records, against one that was empty."""
    table = Table(
        "backend.begin + backend.settle on sqlite normal, 1 lock, by records in the file",
        {"records": ",", "x empty": ".2f", "median us": ".1f", "p99 us": ".1f", "file MB": ".1f"},
    )
    with ExitStack() as stack:
        empty = stack.enter_context(_opened(NORMAL, folder, "empty"))
        filled = stack.enter_context(_opened(NORMAL, folder, "filled"))
        _fill(folder / "filled-normal.db", filled, shop, records)
        found = interleave({0: shop.case(empty, 1), records: shop.case(filled, 1)}, plan)
    for count, name in ((0, "empty"), (records, "filled")):
        ratio = found[count].median / found[0].median
        size = (folder / f"{name}-normal.db").stat().st_size / 1e6
        goal = Goal(ratio, _RECORDS_AT_MOST) if count else ratio
        table.add(count, goal, found[count].median, found[count].p99, size)
    return table


@contextmanager
def _opened(store: str, folder: Path, name: str, server: str = "") -> Iterator[Backend]:
    with closing(open_backend(server or url_of(store, folder, name), name)) as backend:
        yield backend


def _fill(path: Path, backend: Backend, shop: Shop, records: int) -> None:
    """Copy the record of one real call straight into the table, since so many calls would take a minute."""
    call = shop.case(backend, 1)
    call.burst(call.prepare(1))
    keys = sorted(digest("call", "filled", str(number)) for number in range(records))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(records)")]
        values = ", ".join(_FILLED.get(name, name) for name in columns)
        connection.execute("CREATE TEMP TABLE model AS SELECT * FROM records LIMIT 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            f"INSERT INTO records ({', '.join(columns)}) SELECT {values} FROM model",
            ({"key": key, "other": digest("other", key), "result": _RESULT} for key in keys),
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def measure_waiters(folder: Path, shop: Shop, plan: Plan, *, waiters: int) -> Table:
    """Time the begin that queues, and the withdrawal, behind few and behind many waiters on one resource."""
    table = Table(
        "backend.begin that queues on one resource, then withdraws, by waiters before it",
        {
            "store": "", "waiters": ",", f"begin x {_FEW}": ".2f", f"withdraw x {_FEW}": ".2f",
            "begin us": ".1f", "begin p99 us": ".1f", "withdraw us": ".1f",
        },
    )  # fmt: skip
    for store in (MEMORY, NORMAL, REDIS):
        with ExitStack() as stack:
            server = stack.enter_context(opened(REDIS, folder, "waiters")) if store == REDIS else ""
            queues = {
                count: _Queue(stack.enter_context(_opened(store, folder, f"waiters-{count}", server)), shop)
                for count in (_FEW, waiters)
            }
            for count, queue in queues.items():
                queue.extend(count)
            begins = interleave({count: queue.begins() for count, queue in queues.items()}, plan)
            leaves = interleave({count: queue.withdrawals() for count, queue in queues.items()}, plan)
        for count in (_FEW, waiters):
            ratio = begins[count].median / begins[_FEW].median
            goal = Goal(ratio, _WAITERS_AT_MOST) if count == waiters else ratio
            begun, left = begins[count], leaves[count].median
            table.add(store, count, goal, left / leaves[_FEW].median, begun.median, begun.p99, left)
    return table


class _Queue:
    """A resource that is held for as long as the benchmark lasts, and those who wait for it."""

    def __init__(self, backend: Backend, shop: Shop) -> None:
        self._backend, self._shop = backend, shop
        self._backend.begin(self._ask())

    def _ask(self) -> Begin:
        wants = (Want("inventory/hot", Mode.EXCLUSIVE),)
        return Begin(f"0123456789ab-{self._shop.number()}", "0123456789ab", wants, ttl=3600.0, agent="orders")

    def _asks(self, count: int) -> Sequence[Begin]:
        return [self._ask() for _ in range(count)]

    def extend(self, count: int) -> None:
        """Add waiters."""
        for ask in self._asks(count):
            self._backend.begin(ask)

    def begins(self) -> Case:
        """Make the case that times begin."""
        return Case(self._asks, lambda asks: [self._come_and_go(ask)[0] for ask in asks])

    def withdrawals(self) -> Case:
        """Make the case that times withdraw."""
        return Case(self._asks, lambda asks: [self._come_and_go(ask)[1] for ask in asks])

    def _come_and_go(self, ask: Begin) -> tuple[int, int]:
        start = perf_counter_ns()
        reply = self._backend.begin(ask)
        queued = perf_counter_ns()
        self._backend.withdraw(Withdraw(ask.owner))
        left = perf_counter_ns()
        assert isinstance(reply, Queued), reply
        return queued - start, left - queued
