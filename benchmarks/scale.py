"""What a server with much in it costs the next call: resources that are held, waiters, and records."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from contextlib import closing
from time import perf_counter_ns
from typing import Any, Final

import redis

from benchmarks.measure import Case, Plan, interleave
from benchmarks.report import Figure, Goal, Table
from benchmarks.requests import Shop
from benchmarks.stores import pinned_server
from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.backends.redis.keys import keys_of
from clawproof_langgraph.backends.urls import open_backend
from clawproof_langgraph.keys import digest
from clawproof_langgraph.model import Begin, Granted, Mode, Queued, Settle, State, Want, Withdraw

_FEW: Final = 10
_HELD: Final = "held"
_WAITERS: Final = "waiters"
_RECORDS: Final = "records"
_HELD_AT_MOST: Final = 1.1
_WAITERS_AT_MOST: Final = 1.5
_BATCH: Final = 10_000
_RESULT: Final = b"r" * 300


def measure_scale(plan: Plan, *, held: int, waiters: int, records: int) -> Table:
    """Time begin and settle of an ordinary call on Redis beside much else, in turns with those beside little.

    Args:
        plan: how often to measure.
        held: resources that others hold; a tenth of them is measured, too.
        waiters: those who wait for one resource; a tenth of them is measured, too.
        records: of calls that have ended.
    """
    table = Table(
        "backend.begin + backend.settle on Redis, 1 lock, by what else is there; of waiters, the begin that queues",
        {"there": "", "count": ",", "x few": ".2f", "server x few": ".2f", "median us": ".1f", "server us": ".1f"},
        f"few: {_FEW} of the same; server: the time that the server gives for the script",
    )
    for what, counts in (
        (_HELD, (held // 10, held)),
        (_WAITERS, (waiters // 10, waiters)),
        (_RECORDS, (records,)),
    ):
        with pinned_server() as url:
            _add_rows(table, what, _Crowds(what, url, (_FEW, *counts)), plan)
    return table


class _Crowds:
    """Namespaces with the same kind of crowd, smaller and larger, on one server."""

    def __init__(self, what: str, url: str, counts: Sequence[int]) -> None:
        self._shop = Shop(random.Random(1))
        self._client = redis.Redis.from_url(url)
        self._what = what
        self.spent: dict[int, list[float]] = {count: [] for count in counts}
        self._backends = {count: open_backend(url, f"{what}-{count}") for count in counts}
        for count, backend in self._backends.items():
            self._gather(backend, count)

    def _gather(self, backend: Backend, count: int) -> None:
        match self._what:
            case "held":
                for number in range(count):
                    backend.begin(self._lock(f"warehouse/{number}"))
            case "waiters":
                for _ in range(count + 1):
                    backend.begin(self._lock("inventory/hot"))
            case _:
                self._fill(backend, count)

    def _lock(self, name: str) -> Begin:
        session = f"session-{self._shop.number() % 50}"
        return Begin(f"{session}-{self._shop.number()}", session, (Want(name, Mode.EXCLUSIVE),), 3600.0, "orders")

    def _fill(self, backend: Backend, count: int) -> None:
        """Copy the record of one real call, since so many calls would take minutes."""
        ask = self._shop.keyed(1)
        granted = backend.begin(ask)
        assert isinstance(granted, Granted)
        backend.settle(Settle(ask.owner, granted.fence, State.DONE, key=granted.key, result=_RESULT))
        state, _, _, ages, _ = keys_of(f"{self._what}-{count}").scripts
        model: Any = self._client.hget(state, f"d{ask.key}")
        now = granted.fence / 1e6
        for first in range(0, count, _BATCH):
            keys = [digest("filled", str(number)) for number in range(first, min(first + _BATCH, count))]
            self._client.hset(state, mapping={f"d{key}": model for key in keys})
            self._client.rpush(ages, *[f"{now} {key}" for key in keys])

    def cases(self) -> dict[int, Case]:
        """Make the case of each namespace."""
        return {count: self._case(count, backend) for count, backend in self._backends.items()}

    def _case(self, count: int, backend: Backend) -> Case:
        if self._what == "waiters":
            return Case(self._asks, lambda asks: [self._queue(count, backend, ask) for ask in asks])
        one = self._shop.case(backend, 1)

        def burst(inputs: Sequence[Any]) -> list[int]:
            before = self._server_time()
            found = one.burst(inputs)
            self.spent[count].append((self._server_time() - before) / len(inputs))
            return found

        return Case(one.prepare, burst)

    def _asks(self, count: int) -> list[Begin]:
        return [self._lock("inventory/hot") for _ in range(count)]

    def _queue(self, count: int, backend: Backend, ask: Begin) -> int:
        before, start = self._server_time(), perf_counter_ns()
        reply = backend.begin(ask)
        found = perf_counter_ns() - start
        self.spent[count].append(self._server_time() - before)
        assert isinstance(reply, Queued), reply
        backend.withdraw(Withdraw(ask.owner))
        return found

    def _server_time(self) -> int:
        found: Any = self._client.info("commandstats")
        return int(found.get("cmdstat_evalsha", {"usec": 0})["usec"])

    def close(self) -> None:
        """Close all."""
        for backend in self._backends.values():
            backend.close()
        self._client.close()


def _add_rows(table: Table, what: str, crowds: _Crowds, plan: Plan) -> None:
    with closing(crowds):
        found = interleave(crowds.cases(), plan)
    server = {count: statistics.median(spent) for count, spent in crowds.spent.items()}
    for count, samples in found.items():
        calls: Figure = samples.median / found[_FEW].median
        served: Figure = server[count] / server[_FEW]
        if count == max(found) and what == _HELD:
            calls = Goal(samples.median / found[_FEW].median, _HELD_AT_MOST)
        if count == max(found) and what == _WAITERS:
            served = Goal(server[count] / server[_FEW], _WAITERS_AT_MOST)
        table.add(what, count, calls, served, samples.median, server[count])
