"""How a contended resource goes from process to process: `python -m benchmarks.handoff [--quick]`."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from benchmarks.contenders import compete
from benchmarks.measure import Samples
from benchmarks.report import Figure, Goal, Report, Table
from benchmarks.stores import FULL, NORMAL, url_of
from benchmarks.turns import Turn, common_window, fairness, fences_out_of_order, hand_offs, overlaps, rate, waits

_SECTION: Final = 0.001
_CROWDS: Final = (1, 2, 10)
_WITH_TARGETS: Final = (NORMAL, 10)
_RATE_AT_LEAST: Final = 0.8
_FAIRNESS_AT_MOST: Final = 1.1
_HAND_OFF_AT_MOST: Final = 500.0
_WAIT_AT_MOST: Final = 3.0

_COLUMNS: Final = {
    "store": "", "processes": "", "rate x alone": ".2f", "fairness": ".3f", "p99.9 wait / FIFO": ".2f",
    "overlaps": "", "fence order": "", "turns/s": ".0f", "hand-off p50 us": ".0f", "p99 us": ".0f",
    "longest wait ms": ".1f", "turns": ",",
}  # fmt: skip
_NOTE: Final = (
    "alone: the rate of one process in the same run; fairness: largest over smallest share of the turns in the common\n"
    "window, worst round; FIFO: (processes - 1) x (section + median hand-off); hand-off: end of a section to the\n"
    "beginning of the next one; overlaps and fence order: violations among all turns"
)

Rounds = dict[int, list[list[Turn]]]


@click.command()
@click.option("--quick", is_flag=True, help="A small run, in under 15 seconds.")
@click.option("--store", "stores", type=click.Choice((NORMAL, FULL)), multiple=True, help="Only this mode of SQLite.")
@click.option("--turns", type=click.IntRange(min=50), help="Turns of each process; the default is 500, quick 60.")
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="Where the files go; on the disk to test.")
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there, too.")
def main(quick: bool, stores: tuple[str, ...], turns: int | None, folder: Path | None, file: Path | None) -> None:
    """Measure how a contended resource goes from process to process."""
    rounds, each = (1, turns or 60) if quick else (3, turns or 500)
    with tempfile.TemporaryDirectory(dir=folder, prefix="clawproof-") as made:
        report = Report({"rounds": rounds, "turns": each, "section": "1ms", "folder": made})
        broken = 0
        for store in stores or (NORMAL, FULL):
            found = _run(Path(made), store, rounds, each)
            broken += sum(_violations(taken) for parts in found.values() for taken in parts)
            report.show(_table(store, found))
        report.conclude(file)
    if broken:
        sys.exit(f"{broken} turns overlapped or had a fence out of order: two processes held one resource.")


def _run(folder: Path, store: str, rounds: int, turns: int) -> Rounds:
    """Let crowds of each size compete in turns, so that a drift of the machine hits all of them."""
    found: Rounds = defaultdict(list)
    for _ in range(rounds):
        for processes in _CROWDS:
            url = url_of(store, folder, "handoff")
            found[processes].append(compete(url, processes=processes, turns=turns, section=_SECTION))
    return found


def _violations(turns: list[Turn]) -> int:
    return overlaps(turns) + fences_out_of_order(turns)


def _table(store: str, found: Rounds) -> Table:
    table = Table(f"Turns of 1 ms on one resource, sqlite {store}", _COLUMNS, _NOTE)
    alone = [rate(turns) for turns in found[1]]
    table.add(
        store, 1, 1.0, None, None, *_order(found[1]), statistics.median(alone), None, None, None, _count(found[1])
    )
    for processes in _CROWDS[1:]:
        table.add(store, processes, *_figures(found[processes], alone, processes, (store, processes) == _WITH_TARGETS))
    return table


def _figures(rounds: list[list[Turn]], alone: list[float], processes: int, targeted: bool) -> Iterator[Figure]:
    windows = [common_window(turns) for turns in rounds]
    rates = [rate(window) for window in windows]
    passing = Samples([gap for window in windows for gap in hand_offs(window)])
    waiting = Samples([wait for window in windows for wait in waits(window)])
    fifo = (processes - 1) * (_SECTION * 1e6 + passing.median)
    against_alone = statistics.median(one / other for one, other in zip(rates, alone, strict=True))
    worst = max(fairness(window) for window in windows)
    late = waiting.quantile(0.999) / fifo
    yield Goal(against_alone, _RATE_AT_LEAST, upper=False) if targeted else against_alone
    yield Goal(worst, _FAIRNESS_AT_MOST) if targeted else worst
    yield Goal(late, _WAIT_AT_MOST) if targeted else late
    yield from _order(rounds)
    yield statistics.median(rates)
    yield Goal(passing.median, _HAND_OFF_AT_MOST) if targeted else passing.median
    yield passing.p99
    yield waiting.longest / 1000
    yield _count(rounds)


def _order(rounds: list[list[Turn]]) -> tuple[Goal, Goal]:
    return Goal(sum(map(overlaps, rounds)), 0), Goal(sum(map(fences_out_of_order, rounds)), 0)


def _count(rounds: list[list[Turn]]) -> int:
    return sum(map(len, rounds))


if __name__ == "__main__":
    main()
