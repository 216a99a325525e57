"""How a contended resource goes from process to process: `python -m benchmarks.handoff [--quick]`."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click

from benchmarks.contenders import compete
from benchmarks.measure import Samples
from benchmarks.peers import OURS, PEERS, POTTERY, PYTHON_REDIS_LOCK, REDIS_PY
from benchmarks.report import Figure, Goal, Report, Table
from benchmarks.stores import FULL, NORMAL, REDIS, opened
from benchmarks.turns import Turn, common_window, fairness, fences_out_of_order, hand_offs, overlaps, rate, waits

_SECTION: Final = 0.001
_FEWER: Final = {REDIS_PY: 0.2, POTTERY: 0.05}
"""The share of the turns for libraries that sleep until they look again: all of them would take an hour."""
_NOTE: Final = (
    "simpler: one process with one lock, or for more locks as many processes with one, in the same round; fairness:\n"
    "largest over smallest share of the turns in the common window, worst round; FIFO: (processes - 1) x (section +\n"
    "median hand-off); hand-off: end of a section to the beginning of the next; overlaps, fence order: violations"
)


class Contest(NamedTuple):
    """Processes that take turns on the same locks of a library."""

    library: str
    processes: int
    locks: int = 1


Rounds = dict[Contest, list[list[Turn]]]

_LOCAL: Final = (Contest(OURS, 1), Contest(OURS, 2), Contest(OURS, 10))
_REMOTE: Final = (*_LOCAL, Contest(OURS, 10, 5))


@click.command()
@click.option("--quick", is_flag=True, help="A small run, in under 15 seconds.")
@click.option("--store", "stores", type=click.Choice((NORMAL, FULL, REDIS)), multiple=True, help="Only this store.")
@click.option("--peer", "peers", type=click.Choice(PEERS), multiple=True, help="On Redis, only this other library.")
@click.option("--turns", type=click.IntRange(min=50), help="Turns of each process; the default is 500, quick 60.")
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="Where the files go; on the disk to test.")
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there, too.")
def main(
    quick: bool,
    stores: tuple[str, ...],
    peers: tuple[str, ...],
    turns: int | None,
    folder: Path | None,
    file: Path | None,
) -> None:
    """Measure how a contended resource goes from process to process."""
    rounds, each = (1, turns or 60) if quick else (3, turns or 500)
    with tempfile.TemporaryDirectory(dir=folder, prefix="clawproof-") as made:
        report = Report({"rounds": rounds, "turns": each, "section": "1ms", "folder": made})
        broken = 0
        for store in stores or (NORMAL, FULL, REDIS):
            contests = _contests(store, peers or (() if quick else PEERS))
            found = _run(Path(made), store, contests, rounds, each)
            broken += sum(
                _violations(taken) for each, parts in found.items() if each.library == OURS for taken in parts
            )
            report.show(_table(store, found))
        report.conclude(file)
    if broken:
        sys.exit(f"{broken} turns overlapped or had a fence out of order: two processes held one resource.")


def _contests(store: str, peers: Sequence[str]) -> tuple[Contest, ...]:
    if store != REDIS:
        return _LOCAL
    return (*_REMOTE, *(Contest(*peer) for name in peers for peer in ((name, 1), (name, 10), (name, 10, 5))))


def _run(folder: Path, store: str, contests: Sequence[Contest], rounds: int, turns: int) -> Rounds:
    """Let crowds compete in turns, so that a drift of the machine hits all of them."""
    found: Rounds = defaultdict(list)
    with opened(store, folder, "handoff") as url:
        for _ in range(rounds):
            for library, processes, locks in contests:
                each = max(int(turns * _FEWER.get(library, 1.0)), 10)
                taken = compete(url, processes=processes, turns=each, section=_SECTION, library=library, locks=locks)
                found[Contest(library, processes, locks)].append(taken)
    return found


def _violations(turns: list[Turn]) -> int:
    return overlaps(turns) + fences_out_of_order(turns)


class _Figures(NamedTuple):
    """What the turns of a contest say; times in microseconds."""

    rate: float
    share: float
    fairness: float
    late: float
    passing: Samples
    longest: float
    overlaps: int
    disorder: int
    turns: int


Judge = Callable[[str, float], Figure]


def _table(store: str, found: Rounds) -> Table:
    table = Table(
        f"Turns of 1 ms on the same resources, {store if store == REDIS else 'sqlite ' + store}",
        {
            "library": "", "processes": "", "locks": "", "rate x simpler": ".2f", "fairness": ".3f",
            "p99.9 wait / FIFO": ".2f", "overlaps": "", "fence order": "", "turns/s": ".0f", "hand-off p50 us": ".0f",
            "p99 us": ".0f", "longest wait ms": ".1f", "turns": ",",
        },
        _NOTE,
    )  # fmt: skip
    figures = {contest: _figures(contest, found) for contest in found}
    for contest, each in figures.items():
        table.add(*contest, *_row(contest, each, _judge(store, contest, figures)))
    return table


def _figures(contest: Contest, found: Rounds) -> _Figures:
    rounds, other = found[contest], Contest(contest.library, contest.processes if contest.locks > 1 else 1)
    windows = [common_window(turns) for turns in rounds]
    rates = [rate(window) for window in windows]
    passing = Samples([gap for window in windows for gap in hand_offs(window)] or [0])
    waiting = Samples([wait for window in windows for wait in waits(window)])
    fifo = (contest.processes - 1) * (_SECTION * 1e6 + passing.median)
    return _Figures(
        rate=statistics.median(rates),
        share=statistics.median(one / rate(turns) for one, turns in zip(rates, found[other], strict=True)),
        fairness=max(fairness(window) for window in windows),
        late=waiting.quantile(0.999) / fifo if fifo else 0.0,
        passing=passing,
        longest=waiting.longest / 1000,
        overlaps=sum(map(overlaps, rounds)),
        disorder=sum(map(fences_out_of_order, rounds)) if contest.library == OURS else 0,
        turns=sum(map(len, rounds)),
    )


def _row(contest: Contest, each: _Figures, judge: Judge) -> Iterator[Figure]:
    competes = contest.processes > 1
    yield judge("share", each.share)
    yield judge("fairness", each.fairness) if competes else None
    yield judge("late", each.late) if competes else None
    yield judge("overlaps", each.overlaps)
    yield judge("disorder", each.disorder) if contest.library == OURS else None
    yield each.rate
    yield judge("p50", each.passing.median) if competes else None
    yield judge("p99", each.passing.p99) if competes else None
    yield each.longest if competes else None
    yield each.turns


def _judge(store: str, contest: Contest, figures: dict[Contest, _Figures]) -> Judge:
    """Give what sets the figures of a contest against their targets."""
    limits: dict[str, float] = {}
    if contest.library == OURS:
        limits = {"overlaps": 0, "disorder": 0}
        if contest == (OURS, 10, 1):
            limits |= _remote_limits(figures) if store == REDIS else _LOCAL_LIMITS if store == NORMAL else {}
        if contest == (OURS, 10, 5):
            limits["share"] = 0.9

    def judge(name: str, figure: float) -> Figure:
        return Goal(figure, limits[name], upper=name != "share") if name in limits else figure

    return judge


_LOCAL_LIMITS: Final = {"share": 0.8, "fairness": 1.1, "late": 3.0, "p50": 500.0}


def _remote_limits(figures: dict[Contest, _Figures]) -> dict[str, float]:
    limits = {"share": 0.9, "fairness": 1.03, "late": 2.0}
    if peer := figures.get(Contest(PYTHON_REDIS_LOCK, 10)):
        limits |= {"p50": peer.passing.median, "p99": peer.passing.p99 / 2}
    return limits


if __name__ == "__main__":
    main()
