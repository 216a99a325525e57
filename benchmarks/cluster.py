"""Calls a second on a Cluster, with the work in one namespace or in several: `python -m benchmarks.cluster`.

It starts three primaries with a replica each on this machine, from the server of the tests.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from time import monotonic
from typing import Final

import click
import redis
from redis.crc import key_slot

from benchmarks.report import Report, Table
from benchmarks.stores import RESULT
from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.backends.urls import open_backend
from clawproof_langgraph.keys import digest
from clawproof_langgraph.model import Begin, Granted, Mode, Settle, State, Want
from tests.servers.cluster import Cluster, cluster

_NAMESPACES: Final = (1, 3, 6)
_PRIMARIES: Final = 3
_SLOTS_OF_ONE: Final = 16384 / _PRIMARIES
_START_WITHIN: Final = 60.0
_NOTE: Final = (
    "calls/s: keyed calls with one lock and a 200-byte result, begin and settle, all processes together, median round\n"
    "server us: processor time of the primaries for one call; ceiling: calls/s of one primary, and of all that are\n"
    "used, if each had a core of its own (here, six servers and their clients share those of one machine)"
)

_barriers: list[Barrier] = []


@dataclass(frozen=True, slots=True)
class _Found:
    """What a round came to: calls a second, and seconds of processor time of the primaries for each call."""

    rate: float
    server: float


@click.command()
@click.option("--quick", is_flag=True, help="One short round.")
@click.option("--seconds", type=click.FloatRange(min=0.2), help="How long a round takes; the default is 5, quick 1.")
@click.option("--processes", type=click.IntRange(min=1), default=6, show_default=True, help="How many clients.")
@click.option("--replicas", type=click.IntRange(min=0, max=1), default=0, help="How many must have a call.")
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there, too.")
def main(quick: bool, seconds: float | None, processes: int, replicas: int, file: Path | None) -> None:
    """Measure calls a second on a Cluster of 3 + 3, with 1, 3 and 6 namespaces."""
    rounds, each = (1, seconds or 1.0) if quick else (3, seconds or 5.0)
    report = Report({"rounds": rounds, "seconds": each, "processes": processes, "replicas": replicas})
    found: dict[int, list[_Found]] = defaultdict(list)
    with cluster() as running:
        for number in range(rounds):
            for count in _NAMESPACES:  # in turns, so that a drift of the machine hits all of them
                names = _spread(count, f"round-{number}-of-{count}")
                found[count].append(_run(running, names, processes, each, replicas))
    report.show(_table(found))
    report.conclude(file)


def _spread(count: int, prefix: str) -> list[str]:
    """Name namespaces so that each primary serves as many of them as the next one."""
    names: list[str] = []
    for number in itertools.count():
        name = f"{prefix}-{number}"
        if _primary_of(name) == len(names) % _PRIMARIES:
            names.append(name)
            if len(names) == count:
                break
    return names


def _primary_of(namespace: str) -> int:
    return int(key_slot(namespace.encode()) / _SLOTS_OF_ONE)


def _run(running: Cluster, namespaces: Sequence[str], processes: int, seconds: float, replicas: int) -> _Found:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    with ProcessPoolExecutor(processes, context, _meet_at, (barrier,)) as pool:
        parts = [
            pool.submit(_work, running.url, namespaces[number % len(namespaces)], f"client-{number}", seconds, replicas)
            for number in range(processes)
        ]
        before = _processor_time(running)
        done = [part.result() for part in parts]
        calls = sum(count for count, _ in done)
        # Also for the calls before the barrier, which warm the connections; they are few.
        return _Found(sum(count / took for count, took in done), (_processor_time(running) - before) / calls)


def _meet_at(barrier: Barrier) -> None:
    _barriers.append(barrier)


def _processor_time(running: Cluster) -> float:
    total = 0.0
    for server in running.servers[:_PRIMARIES]:
        with closing(redis.Redis(port=server.port)) as client:
            info = client.info("cpu")
            total += float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
    return total


def _work(url: str, namespace: str, session: str, seconds: float, replicas: int) -> tuple[int, float]:
    with closing(open_backend(url, namespace, replicas)) as backend:
        numbers = itertools.count()
        _call(backend, session, next(numbers))
        _barriers[0].wait(_START_WITHIN)
        began = now = monotonic()
        while now - began < seconds:
            number = next(numbers)
            _call(backend, session, number)
            now = monotonic()
        return number, now - began


def _call(backend: Backend, session: str, number: int) -> None:
    owner = f"{session}-{number}"
    wants = (Want(f"inventory/{session}-{number % 1000}", Mode.EXCLUSIVE),)
    key, scope = digest("call", owner), digest("scope", owner)
    ask = Begin(owner, session, wants, agent="orders", thread="t1", tool="place_order", key=key, scope=scope)
    lease = backend.begin(ask)
    assert isinstance(lease, Granted), lease
    backend.settle(Settle(owner, lease.fence, State.DONE, key=lease.key, result=RESULT))


def _table(found: dict[int, list[_Found]]) -> Table:
    columns = {
        "namespaces": "", "primaries": "", "calls/s": ",.0f", "x 1 namespace": ".2f", "server us": ".0f",
        "ceiling of one": ",.0f", "of all": ",.0f",
    }  # fmt: skip
    table = Table("Keyed calls on a Cluster of 3 + 3", columns, _NOTE)
    alone = statistics.median(one.rate for one in found[_NAMESPACES[0]])
    for count, parts in found.items():
        rate = statistics.median(part.rate for part in parts)
        server = statistics.median(part.server for part in parts)
        used = min(count, _PRIMARIES)
        table.add(count, used, rate, rate / alone, server * 1e6, 1 / server, used / server)
    return table


if __name__ == "__main__":
    main()
