"""Measuring: cases that are timed in turns, so that a drift of the machine hits all of them alike."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, TypeVar

T = TypeVar("T")
Burst = Callable[[Sequence[Any]], list[int]]

_WARM_UP = 0.1
"""The share of the rounds that is run before and not counted."""


class Samples:
    """Durations of one case, given in nanoseconds and read in microseconds."""

    def __init__(self, durations: Sequence[int]) -> None:
        self._sorted = sorted(durations)

    def quantile(self, share: float) -> float:
        """Give the smallest duration that at least this share of the samples does not exceed (nearest rank)."""
        rank = -int(-share * len(self._sorted) // 1)
        return self._sorted[max(rank, 1) - 1] / 1000

    @property
    def median(self) -> float:
        return self.quantile(0.5)

    @property
    def p99(self) -> float:
        return self.quantile(0.99)

    @property
    def longest(self) -> float:
        return self._sorted[-1] / 1000

    def __len__(self) -> int:
        return len(self._sorted)


@dataclass(frozen=True, slots=True)
class Plan:
    """How often to measure.

    Args:
        rounds: how often each case has its turn.
        burst: calls of a case in one turn, enough for its caches to be warm.
        chance: mixes the order of the cases in each round.
    """

    rounds: int
    burst: int
    chance: random.Random

    def share(self, part: float) -> Plan:
        """Make the plan of a slower measurement, with this share of the rounds."""
        return Plan(max(int(self.rounds * part), 3), self.burst, self.chance)

    def one_by_one(self) -> Plan:
        """Make the plan with the same number of calls, each of which is a turn of its own."""
        return Plan(self.rounds * self.burst, 1, self.chance)


@dataclass(frozen=True, slots=True)
class Case:
    """Something to time.

    Args:
        prepare: makes the inputs of so many calls; not timed.
        burst: performs one call with each input, and tells how many nanoseconds each took.
    """

    prepare: Callable[[int], Sequence[Any]]
    burst: Burst


def timed(call: Callable[[T], object]) -> Callable[[Sequence[T]], list[int]]:
    """Make the burst of a function of one argument."""

    def burst(inputs: Sequence[T]) -> list[int]:
        durations = []
        for value in inputs:
            start = perf_counter_ns()
            call(value)
            durations.append(perf_counter_ns() - start)
        return durations

    return burst


def timed_on(loop: asyncio.AbstractEventLoop, call: Callable[[T], Awaitable[object]]) -> Burst:
    """Make the burst of a coroutine function of one argument; entering the loop is not timed."""

    async def measure(inputs: Sequence[T]) -> list[int]:
        durations = []
        for value in inputs:
            start = perf_counter_ns()
            await call(value)
            durations.append(perf_counter_ns() - start)
        return durations

    return lambda inputs: loop.run_until_complete(measure(inputs))


def interleave(cases: dict[T, Case], plan: Plan) -> dict[T, Samples]:
    """Time cases in turns: in each round every case has one burst, in an order that changes."""
    durations: dict[T, list[int]] = {name: [] for name in cases}
    order = list(cases)
    with collecting_between() as collect:
        for number in range(-max(int(plan.rounds * _WARM_UP), 1), plan.rounds):
            plan.chance.shuffle(order)
            for name in order:
                case = cases[name]
                found = case.burst(case.prepare(plan.burst))
                if number >= 0:
                    durations[name].extend(found)
            collect()
    return {name: Samples(found) for name, found in durations.items()}


@contextmanager
def collecting_between() -> Iterator[Callable[[], object]]:
    """Keep the garbage collector out of what is timed; gives the function that collects between."""
    gc.collect()
    gc.freeze()  # what was there before need not be looked at again
    gc.disable()
    try:
        yield gc.collect
    finally:
        gc.enable()
        gc.unfreeze()
