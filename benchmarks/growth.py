"""Whether many calls make the process or the file grow: measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import random
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.report import Figure, Goal, Table
from benchmarks.requests import Shop
from benchmarks.shopping import Orders, make_guard, make_tool
from benchmarks.stores import MEMORY, NORMAL
from clawproof_langgraph import Coordinator
from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.backends.memory import MemoryBackend
from clawproof_langgraph.backends.sqlite import SqliteBackend
from clawproof_langgraph.model import Sweep
from clawproof_langgraph.testing.clock import ManualClock

_MEMORY_AT_MOST: Final = 1.03
_FILE_AT_MOST: Final = 1.1
_SWEEPS: Final = 100
"""How often the run sweeps."""


@dataclass(frozen=True, slots=True)
class _Size:
    """What a process, its file and the file's log take, in bytes."""

    memory: int
    file: int = 0
    log: int = 0


def measure_growth(folder: Path, *, calls: int, seed: int) -> Table:
    """Make guarded calls of which a tenth is kept, and compare sizes on the way."""
    early, half = calls // 5, calls // 2
    table = Table(
        f"Growth over {calls:,} guarded calls, of which the last {calls // 10:,} are kept",
        {
            "store": "", f"process x {early:,}": ".3f", f"file x {half:,}": ".3f", "process MB": ".1f",
            "bytes per call": ".0f", "file MB": ".2f", "log MB": ".2f",
        },
        f"process: resident size at the end over that after {early:,} calls; file: over that after {half:,} calls",
    )  # fmt: skip
    for store, sizes in _grow_each((MEMORY, NORMAL), folder, calls, seed).items():
        first, middle, last = sizes[early], sizes[half], sizes[calls]
        file: Figure = Goal(last.file / middle.file, _FILE_AT_MOST) if middle.file else None
        process_ratio = Goal(last.memory / first.memory, _MEMORY_AT_MOST)
        per_call = (last.memory - first.memory) / (calls - early)
        on_disk = (last.file / 1e6, last.log / 1e6) if last.file else (None, None)
        table.add(store, process_ratio, file, last.memory / 1e6, per_call, *on_disk)
    return table


def _grow_each(stores: tuple[str, ...], folder: Path, calls: int, seed: int) -> dict[str, dict[int, _Size]]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(stores), spawn, max_tasks_per_child=1) as processes:
        found = {store: processes.submit(_grow, store, folder, calls, seed) for store in stores}
    return {store: part.result() for store, part in found.items()}


def _grow(store: str, folder: Path, calls: int, seed: int) -> dict[int, _Size]:
    clock, path = ManualClock(), folder / f"growth-{store}.db"
    backend: Backend = MemoryBackend(clock=clock) if store == MEMORY else SqliteBackend(path, clock=clock)
    kept = calls / 10
    terms = Sweep(keep_results=kept, keep_events=kept, max_events=int(4 * kept))
    kept_as: dict[str, Any] = {
        "keep_results": terms.keep_results,
        "keep_events": terms.keep_events,
        "max_events": terms.max_events,
    }
    orders = Orders(Shop(random.Random(seed)), 1)
    marks, sizes = (calls // 5, calls // 2, calls), {}
    with Coordinator(backend, **kept_as) as coordinator:
        tool = make_guard(coordinator).wrap_tool(make_tool(native_async=False))
        for number in range(1, calls + 1):
            tool.invoke(*orders.tool_calls(1)[0])
            clock.advance(1.0)  # so that retention can be told in calls
            if number % (calls // _SWEEPS) == 0:
                _sweep(backend, terms)
            if number in marks:
                sizes[number] = _Size(_resident()) if store == MEMORY else _sizes(path)
    return sizes


def _sweep(backend: Backend, terms: Sweep) -> None:
    while backend.sweep(terms).more:
        pass


def _sizes(path: Path) -> _Size:
    return _Size(_resident(), path.stat().st_size, Path(f"{path}-wal").stat().st_size)


def _resident() -> int:
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # its highest so far
