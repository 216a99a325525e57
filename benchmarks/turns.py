"""What the turns of several processes on one resource say: pure arithmetic over their timestamps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple


class Turn(NamedTuple):
    """One turn of one process; times are nanoseconds of the monotonic clock, which all processes share.

    Args:
        process: whose.
        asked: just before it asked for the lock.
        began: the beginning of its section, with the lock.
        ended: the end of its section, just before it gave the lock back.
        fence: the fencing token of its lease.
    """

    process: int
    asked: int
    began: int
    ended: int
    fence: int


def in_order(turns: Iterable[Turn]) -> list[Turn]:
    """Sort turns by their beginning."""
    return sorted(turns, key=lambda turn: turn.began)


def overlaps(turns: list[Turn]) -> int:
    """Count the turns that began before all earlier ones had ended; their order is that of `in_order`."""
    count, free_from = 0, 0
    for turn in turns:
        count += turn.began < free_from
        free_from = max(free_from, turn.ended)
    return count


def fences_out_of_order(turns: list[Turn]) -> int:
    """Count the turns whose fence is not higher than that of the turn before."""
    return sum(after.fence <= before.fence for before, after in pairwise(turns))


def common_window(turns: list[Turn]) -> list[Turn]:
    """Keep the turns while every process was competing: after all had begun, and before one was finished."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for turn in turns:
        first.setdefault(turn.process, turn.asked)
        last[turn.process] = turn.ended
    start, end = max(first.values()), min(last.values())
    return [turn for turn in turns if turn.began >= start and turn.ended <= end]


def rate(turns: list[Turn]) -> float:
    """Give the turns a second, from the first beginning to the last."""
    return (len(turns) - 1) / ((turns[-1].began - turns[0].began) / 1e9)


def fairness(turns: list[Turn]) -> float:
    """Divide the largest number of turns of a process by the smallest."""
    shares = Counter(turn.process for turn in turns)
    return max(shares.values()) / min(shares.values())


def hand_offs(turns: list[Turn]) -> list[int]:
    """Give the time between the end of a section and the beginning of the next, where somebody waited at that end."""
    return [
        after.began - before.ended
        for before, after in pairwise(turns)
        if after.process != before.process and after.asked < before.ended
    ]


def waits(turns: list[Turn]) -> list[int]:
    """Give the time from asking to beginning, of each turn."""
    return [turn.began - turn.asked for turn in turns]
