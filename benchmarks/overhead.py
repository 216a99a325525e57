"""What coordination adds to a call nobody else competes with: `python -m benchmarks.overhead [--quick]`."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from benchmarks.calls import measure_calls
from benchmarks.commands import measure_commands
from benchmarks.crowd import measure_records, measure_waiters
from benchmarks.growth import measure_growth
from benchmarks.locking import measure_locking
from benchmarks.measure import Plan
from benchmarks.report import Report, Table
from benchmarks.requests import RESOURCES, Shop
from benchmarks.scale import measure_scale

SECTIONS: Final = ("commands", "calls", "locking", "records", "waiters", "scale", "growth")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int
    burst: int
    records: int
    waiters: int
    held: int
    remote_records: int
    calls: int


FULL_SCALE: Final = Scale(
    rounds=100, burst=5, records=200_000, waiters=10_000, held=100_000, remote_records=1_000_000, calls=10_000
)
QUICK_SCALE: Final = Scale(
    rounds=8, burst=5, records=20_000, waiters=1_000, held=1_000, remote_records=10_000, calls=1_000
)


@click.command()
@click.option("--quick", is_flag=True, help="A small run, in under 15 seconds.")
@click.option("--only", type=click.Choice(SECTIONS), multiple=True, help="Measure only this; may be repeated.")
@click.option("--seed", default=1, show_default=True, help="Chooses resources and the order of measuring.")
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="Where the files go; on the disk to test.")
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there, too.")
def main(quick: bool, only: tuple[str, ...], seed: int, folder: Path | None, file: Path | None) -> None:
    """Measure what coordination adds to a call nobody else competes with."""
    scale = QUICK_SCALE if quick else FULL_SCALE
    with tempfile.TemporaryDirectory(dir=folder, prefix="clawproof-") as made:
        report = Report(
            {"seed": seed, "rounds": scale.rounds, "burst": scale.burst, "resources": RESOURCES, "folder": made}
        )
        for table in _measure(Path(made), scale, seed, only or SECTIONS):
            report.show(table)
        report.conclude(file)


def _measure(folder: Path, scale: Scale, seed: int, sections: tuple[str, ...]) -> Iterator[Table]:
    chance = random.Random(seed)
    shop, plan = Shop(chance), Plan(scale.rounds, scale.burst, chance)
    longer = Plan(4 * scale.rounds, scale.burst, chance)
    if "commands" in sections:
        yield measure_commands(folder, shop, longer)
    if "calls" in sections:
        yield from measure_calls(folder, shop, plan)
    if "locking" in sections:
        yield measure_locking(shop, plan)
    if "records" in sections:
        yield measure_records(folder, shop, longer, records=scale.records)
    if "waiters" in sections:
        yield measure_waiters(folder, shop, plan, waiters=scale.waiters)
    if "scale" in sections:
        yield measure_scale(plan, held=scale.held, waiters=scale.waiters, records=scale.remote_records)
    if "growth" in sections:
        yield measure_growth(folder, calls=scale.calls, seed=seed)


if __name__ == "__main__":
    main()
