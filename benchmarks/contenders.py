"""Processes that compete for one resource, each a busy loop under a lock, over and over."""

from __future__ import annotations

import multiprocessing
from array import array
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from time import monotonic_ns
from typing import Final

from benchmarks.measure import collecting_between
from benchmarks.peers import OURS, locks_of
from benchmarks.turns import Turn, in_order
from clawproof_langgraph.coordinator import Coordinator

_START_WITHIN: Final = 60.0
"""Seconds until all processes must be ready."""

_barriers: list[Barrier] = []


def compete(url: str, *, processes: int, turns: int, section: float, library: str = OURS, locks: int = 1) -> list[Turn]:
    """Let processes take turns on the same resources, and give all turns in the order of their beginning.

    Args:
        url: the store.
        processes: how many compete.
        turns: how many turns each of them takes.
        section: how many seconds each turn is busy under the lock.
        library: whose locks they take.
        locks: how many resources each turn takes.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    # The file is made, and kept open, by this process, so that starting and ending are the same for all.
    with Coordinator.from_url(url), ProcessPoolExecutor(processes, context, _meet_at, (barrier,)) as pool:
        # None can take the place of another, since all of them wait at the barrier.
        parts = [pool.submit(_take_turns, url, turns, int(section * 1e9), library, locks) for _ in range(processes)]
        found = [part.result() for part in parts]
    return in_order(Turn(process, *times) for process, part in enumerate(found) for times in _unpacked(part))


def _meet_at(barrier: Barrier) -> None:
    _barriers.append(barrier)


def _take_turns(url: str, turns: int, section: int, library: str, locks: int) -> array[int]:
    times, names = array("q"), [f"inventory/hot-{number}" for number in range(locks)]
    with locks_of(library, url) as lock, collecting_between():
        with lock(["inventory/warm-up"]):
            _be_busy(section)
        _barriers[0].wait(_START_WITHIN)
        for _ in range(turns):
            asked = monotonic_ns()
            with lock(names) as lease:
                began = monotonic_ns()
                ended = _be_busy(section)
            times.extend((asked, began, ended, getattr(lease, "fence", 0)))
    return times


def _be_busy(section: int) -> int:
    end = monotonic_ns() + section
    while (now := monotonic_ns()) < end:
        pass
    return now


def _unpacked(times: array[int]) -> zip[tuple[int, int, int, int]]:
    numbers = iter(times)
    return zip(numbers, numbers, numbers, numbers, strict=True)
