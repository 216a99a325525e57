"""Random schedules of agents over every store: `python -m tests.testing.schedules --schedules 1000`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from clawproof_langgraph.testing import StressReport, run_agents
from tests.servers import start_server
from tests.testing.books import Books, asked

AGENTS = 12


def play(seed: int, url: str | None, folder: str, *, guarded: bool = True) -> StressReport:
    """Play one schedule: what each agent does and in which order follows from the seed, as far as threads allow."""
    books = Books()
    return run_agents(
        books.guarded if guarded else books.unguarded,
        n=AGENTS,
        rounds=2,
        seconds=60,
        input=asked,
        invariant=books.check,
        seed=seed,
        url=url,
        folder=folder,
    )


@contextmanager
def _store(kind: str) -> Iterator[str | None]:
    if kind != "redis":
        yield "memory://" if kind == "memory" else None
        return
    server = start_server()
    try:
        yield server.url
    finally:
        server.stop()


def main() -> int:
    """Play schedules with and without the guard; tell how many broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--unguarded", type=int, help="How many of them to play without the guard, too; default: all.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stores", nargs="+", default=["memory", "sqlite", "redis"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    counts = {True: options.schedules, False: options.schedules if options.unguarded is None else options.unguarded}
    is_as_it_should = True
    for kind in options.stores:
        with _store(kind) as url:
            for guarded, count in counts.items():
                broken = _count_broken(range(options.seed, options.seed + count), kind, url, guarded=guarded)
                is_as_it_should &= broken == (0 if guarded else count)
    return 0 if is_as_it_should else 1


def _count_broken(seeds: range, kind: str, url: str | None, *, guarded: bool) -> int:
    broken, began = 0, time.monotonic()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            report = play(seed, url, folder, guarded=guarded)
        if not report.ok:
            broken += 1
            if guarded:
                print(report)  # noqa: T201
    how, took = "guarded" if guarded else "unguarded", time.monotonic() - began
    print(f"{kind}, {how}: {broken} of {len(seeds)} broke, {took:.0f} s", flush=True)  # noqa: T201
    return broken


if __name__ == "__main__":
    sys.exit(main())
