"""Random schedules of agents over every store: `python -m tests.testing.schedules --schedules 1000`.

Twelve agents share stock, accounts and registers. Three have tools that read, think and write in one call; the others
read in one call, think while no lock is held, and set in another what follows from what they have read: loops with a
ToolNode and agents of `create_agent`, sync and async, some in branches of a Send, some with a shortened history.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, get_args

from clawproof_langgraph.testing import StressReport, Turn, run_agents
from tests.servers import start_server
from tests.testing.books import Books
from tests.testing.thinkers import CROWD, Company
from tests.testing.thinking import Goal

AGENTS = 12

Way = Literal["guarded", "unread", "unguarded"]
"""`unread`: guarded, but nobody checks whether what a write rests on has changed."""


class Played(NamedTuple):
    """A schedule that was played: what the harness says, and how often each goal was refused."""

    report: StressReport
    refused: tuple[int, ...]


def play(seed: int, url: str | None, folder: str, *, way: Way = "guarded", crowd: bool = False) -> Played:
    """Play one schedule: what each agent does and in which order follows from the seed, as far as threads allow.

    Args:
        seed: of all chance.
        url: of the store; None for a new file.
        folder: for the report.
        way: how the tools are guarded.
        crowd: all agents add to one and the same counter.
    """
    options: dict[str, Any] = {"cast": CROWD, "draw": _one_lamp} if crowd else {}
    company = Company(Books(), guarded=way != "unguarded", requires_read=way == "guarded", **options)
    report = run_agents(
        company.make_agent,
        n=AGENTS,
        rounds=1,
        seconds=60,
        input=company.input,
        invariant=company.check,
        seed=seed,
        url=url,
        folder=folder,
    )
    return Played(report, tuple(company.refused.values()))


def _one_lamp(turn: Turn) -> list[Goal]:
    return [Goal(f"{turn.agent}-{turn.number}", "stock", ("lamp",), 1)]


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
    """Play schedules with and without the guard; tell how many broke, and how often agents had to read again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--unguarded", type=int, help="How many of them to play in the other ways, too; default: all.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stores", nargs="+", default=["memory", "sqlite", "redis"])
    parser.add_argument("--crowd", action="store_true", help="All twelve agents add to one and the same counter.")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    others = options.schedules if options.unguarded is None else options.unguarded
    is_as_it_should = True
    for kind in options.stores:
        with _store(kind) as url:
            for way in get_args(Way):
                seeds = range(options.seed, options.seed + (options.schedules if way == "guarded" else others))
                broken = _count_broken(seeds, kind, url, way, crowd=options.crowd)
                is_as_it_should &= broken == (0 if way == "guarded" else len(seeds))
    return 0 if is_as_it_should else 1


def _count_broken(seeds: range, kind: str, url: str | None, way: Way, *, crowd: bool) -> int:
    broken, began, refused = 0, time.monotonic(), list[int]()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            played = play(seed, url, folder, way=way, crowd=crowd)
        refused += played.refused
        if not played.report.ok:
            broken += 1
            if way == "guarded":
                print(played.report)  # noqa: T201
    if seeds:
        took = time.monotonic() - began
        print(f"{kind}, {way}: {broken} of {len(seeds)} broke, {took:.0f} s{_told(refused)}", flush=True)  # noqa: T201
    return broken


def _told(refused: Sequence[int]) -> str:
    if not any(refused):
        return ""
    again = sum(1 for each in refused if each)
    return (
        f"; {len(refused)} goals, {again / len(refused):.0%} of them read again, "
        f"{statistics.mean(refused):.2f} times on average, {max(refused)} at most"
    )


if __name__ == "__main__":
    sys.exit(main())
