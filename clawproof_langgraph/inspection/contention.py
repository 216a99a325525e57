"""What was waited for: a pure function of calls."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clawproof_langgraph.inspection.calls import Call


@dataclass(frozen=True, slots=True)
class Contention:
    """How much a resource was wanted.

    Args:
        resource: its name.
        calls: how many calls wanted it.
        waited: seconds that they waited in all. A call that wanted several resources counts for each of them.
        longest: the longest wait in seconds.
        held: seconds that it was held in all.
        p50, p95: seconds that half of the waits, and 95 % of them, did not exceed.
    """

    resource: str
    calls: int
    waited: float
    longest: float
    held: float
    p50: float = 0.0
    p95: float = 0.0


def contention_of(calls: Iterable[Call], *, limit: int = 10) -> tuple[Contention, ...]:
    """Give the resources that were waited for longest, the worst first.

    Args:
        calls: as `calls_of` reads them from a log.
        limit: the most to give.
    """
    wanted: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        for resource in call.resources:
            wanted[resource].append(call)
    found = [_of(resource, those) for resource, those in wanted.items()]
    return tuple(sorted(found, key=lambda each: (-each.waited, -each.calls, each.resource))[:limit])


def _of(resource: str, calls: list[Call]) -> Contention:
    waits = sorted(call.waited for call in calls)
    held = sum(call.held or 0.0 for call in calls)
    return Contention(resource, len(calls), sum(waits), waits[-1], held, _rank(waits, 0.5), _rank(waits, 0.95))


def _rank(waits: Sequence[float], share: float) -> float:
    """Give the smallest wait that a share of all does not exceed (the nearest rank: a wait that there was)."""
    return waits[math.ceil(share * len(waits)) - 1]
