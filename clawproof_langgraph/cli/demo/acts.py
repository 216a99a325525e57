"""One act of the demo: the day's work in many processes, a crash in the middle of a payment, and the count."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

from clawproof_langgraph.cli.demo.crew import PATIENCE, Crew, WorkerFailed
from clawproof_langgraph.cli.demo.shop import Shop, receipt
from clawproof_langgraph.cli.demo.store import Store
from clawproof_langgraph.cli.demo.tally import Tally, calls_so_far, count
from clawproof_langgraph.cli.demo.workers import Workplace, finish_order, open_order, resume_order, run_shift
from clawproof_langgraph.cli.demo.workload import STOCK, Order, Workload

Progress = Callable[[str], None]

LONG = 60.0
"""Seconds that the payment service lets the unlucky process wait: it is killed long before."""


@dataclass(frozen=True, slots=True)
class Crash:
    """The story of the payment whose process was killed.

    Args:
        order: the order that was being paid.
        process: the process that was killed.
        said: the last words of the agent, resumed in another process.
        resolved: the keys that the operator resolved; none without a guard.
        finished: the last words of the agent after that, None if nobody had to ask it again.
        payments: how often the order was paid in the end.
    """

    order: str
    process: int
    said: str
    resolved: tuple[str, ...]
    finished: str | None
    payments: int


@dataclass(frozen=True, slots=True)
class Act:
    """What an act left behind; `seconds` is how long the agents worked, without the crash that is told apart."""

    tally: Tally
    crash: Crash
    seconds: float


def run_act(folder: Path, work: Workload, store: Store | None, progress: Progress) -> Act:
    """Play an act.

    Args:
        folder: an empty folder for the databases.
        work: what the agents do.
        store: where the guard keeps its locks; None for an act without a guard.
        progress: is told what goes on.

    Raises:
        WorkerFailed: a process ended with an error of its own.
    """
    place = Workplace(Shop(folder / "shop.db"), store, folder / "checkpoints.db")
    place.shop.open_for_business(STOCK)
    with Crew() as crew:
        progress("starting processes")
        crew.warm_up()
        began = time.monotonic()
        killed = _work_and_crash(crew, place, work, progress)
        seconds = time.monotonic() - began
        crash = _recover(crew, place, work, killed, progress)
    return Act(count(place.shop, work), crash, seconds)


def _work_and_crash(crew: Crew, place: Workplace, work: Workload, progress: Progress) -> int:
    start = crew.barrier(len(work.shifts))
    shifts = [crew.start(run_shift, place, shift, start) for shift in work.shifts]
    waiting_for_receipt = replace(place, shop=replace(place.shop, receipt=LONG))
    victim = crew.start(open_order, waiting_for_receipt, work.unlucky)
    _kill_once_paid(victim, place.shop, work.unlucky.orders[0])
    crew.wait(shifts, lambda: progress(f"{work.agents} agents at work, {calls_so_far(place.shop)} tool calls"))
    return victim.pid or 0


def _kill_once_paid(victim: BaseProcess, shop: Shop, order: Order) -> None:
    deadline = time.monotonic() + PATIENCE
    while not shop.payments_of(order.id):
        if time.monotonic() > deadline:
            raise WorkerFailed(f"The process that takes the payment has not done so after {PATIENCE:.0f} s.")
        if not victim.is_alive():
            raise WorkerFailed(f"The process that takes the payment ended by itself, exit code {victim.exitcode}.")
        time.sleep(0.01)
    os.kill(victim.pid or 0, signal.SIGKILL)
    victim.join()


def _recover(crew: Crew, place: Workplace, work: Workload, killed: int, progress: Progress) -> Crash:
    order = work.unlucky.orders[0]
    progress(f"resuming order {order.id}, whose process was killed")
    said = crew.ask(resume_order, place, work.unlucky)
    resolved = _look_into_doubts(place.store, place.shop, order) if place.store else ()
    finished = crew.ask(finish_order, place, work.unlucky) if resolved else None
    return Crash(order.id, killed, said, resolved, finished, place.shop.payments_of(order.id))


def _look_into_doubts(store: Store, shop: Shop, order: Order) -> tuple[str, ...]:
    """Do what an operator does: see in the payments what became of each call in doubt, and say so."""
    with store.open() as coordinator:
        keys = tuple(entry.key for entry in coordinator.snapshot().in_doubt if entry.thread == order.id)
        for key in keys:
            if shop.payments_of(order.id):
                coordinator.resolve(key, "applied", result=receipt(order.amount), by="demo")
            else:
                coordinator.resolve(key, "not_applied", by="demo")
    return keys
