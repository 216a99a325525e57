"""A small choice of rows in which every pair of values occurs that occurs in any row."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import combinations
from typing import TypeVar

T = TypeVar("T")


def pairwise(rows: Iterable[T], values: Callable[[T], Sequence[Hashable]]) -> list[T]:
    """Choose rows greedily: each time the first of those that add the most new pairs.

    Two faults that need each a value of its own to show are rare, and those that need three are rarer: what all pairs
    do not find, few rows would.

    Args:
        rows: all that may be chosen.
        values: the value of a row on each axis, always in the same order.
    """
    numbers: dict[Hashable, int] = {}
    left = [(_mask(values(row), numbers), row) for row in rows]
    missing = (1 << len(numbers)) - 1
    chosen: list[T] = []
    while missing:
        mask, best = max(left, key=lambda candidate: (candidate[0] & missing).bit_count())
        chosen.append(best)
        missing &= ~mask
    return chosen


def pairs_of(values: Sequence[Hashable]) -> set[Hashable]:
    """List the pairs in a row, each with the axes that it is of."""
    return set(combinations(enumerate(values), 2))


def _mask(values: Sequence[Hashable], numbers: dict[Hashable, int]) -> int:
    return sum(1 << numbers.setdefault(pair, len(numbers)) for pair in pairs_of(values))
