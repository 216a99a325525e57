"""A run in several processes: starts them, kills and stops them, replaces them, and hears what their agents tell."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from random import Random
from typing import Final

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import BackendUnavailable
from clawproof_langgraph.model import LeaseView
from clawproof_langgraph.testing.stress.chaos import Blow
from clawproof_langgraph.testing.stress.ledger import Kill, Ledger, Pause
from clawproof_langgraph.testing.stress.options import Plan
from clawproof_langgraph.testing.stress.patience import Patience
from clawproof_langgraph.testing.stress.playing import Part
from clawproof_langgraph.testing.stress.scenario import Scenario
from clawproof_langgraph.testing.stress.workers import (
    Orders,
    Ready,
    Unfit,
    Worker,
    check_orders,
    new_context,
    now,
)

_TICK: Final = 0.05
"""Seconds between two looks at what has to be done."""
_START: Final = 60.0
"""Seconds within which the agents of a process must be made."""
_OVERTIME: Final = 0.3
"""Seconds that a process stays stopped after its last lease has ended, so that others take what it held."""
_AIMED: Final = 0.75
"""How often a kill goes to a process that holds something at that moment; a pause always does."""
_AIM: Final = 1.0
"""Seconds for which a blow waits for a process that holds something."""


@dataclass(slots=True)
class _Stopped:
    """A process that is stopped: since when, until when at most, and which of its leases have not ended."""

    worker: Worker
    since: float
    latest: float
    held: int
    owners: frozenset[str]


class Hall:
    """The processes of a run.

    Args:
        source: the scenario, or the target to load it from.
        plan: of the run.
        watcher: a coordinator over its store, to see who holds what.
        ledger: is told everything.

    Raises:
        ConfigurationError: the scenario cannot be sent to other processes.
    """

    def __init__(self, source: Scenario | str, plan: Plan, *, watcher: Coordinator, ledger: Ledger) -> None:
        self._orders = Orders(source, plan.store, plan.terms, (), dict(os.environ))
        self._plan, self._watcher, self._ledger = plan, watcher, ledger
        self._chance = Random(f"{plan.terms.seed}/targets")
        self._workers: list[Worker] = []
        self._stopped: list[_Stopped] = []
        self._until = 0.0
        check_orders(self._orders)
        self._context = new_context()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Start the processes; none outlives the block.

        Raises:
            ConfigurationError: the agents cannot be made.
        """
        try:
            for at in range(self._plan.processes):
                self._workers.append(self._start(self._plan.parts[at :: self._plan.processes]))
            for worker in self._workers:
                worker.wait_until_ready(_START)
            yield
        finally:
            for worker in self._workers:
                worker.kill()

    def play(self, blows: list[Blow]) -> None:
        """Let all agents play, and strike.

        Args:
            blows: what is done to the processes, in order.
        """
        began = now()
        self._until = began + self._plan.seconds
        for worker in self._workers:
            worker.play(self._until)
        left = list(blows)
        patience = Patience(self._plan.patience, after=self._until)
        while self._workers and not patience.is_over():
            wait([worker.line for worker in self._workers], timeout=_TICK)
            self._hear()
            if left and now() >= began + left[0].at and self._strike(left[0], began):
                left.pop(0)
            self._wake(began)

    def _start(self, parts: tuple[Part, ...]) -> Worker:
        return Worker(self._context, replace(self._orders, parts=parts))

    def _hear(self) -> None:
        for worker in list(self._workers):
            for message in worker.messages():
                match message:
                    case Ready(session):
                        worker.session = session
                        worker.play(self._until)
                    case Unfit(why):
                        self._ledger.died.append(f"{', '.join(worker.names)}: {why}")
                    case _:
                        self._ledger.note(message)
            if worker.exit_code is not None:
                self._workers.remove(worker)
                if worker.exit_code:
                    self._ledger.died.append(f"{', '.join(worker.names)}: exit code {worker.exit_code}")

    def _strike(self, blow: Blow, began: float) -> bool:
        """Do something to a process; tell whether that was done, or else is to be tried again."""
        stopped = [each.worker for each in self._stopped]
        targets = [worker for worker in self._workers if worker.session and worker not in stopped]
        leases = self._leases()
        holding = [worker for worker in targets if _of(worker, leases)]
        is_late = now() > began + blow.at + _AIM
        if not holding and not (targets and is_late):
            return False
        if blow.kind == "pause":
            return self._stop(self._chance.choice(holding or targets), is_late=is_late)
        is_aimed = self._chance.random() < _AIMED
        self._kill(self._chance.choice(holding if holding and is_aimed else targets), began)
        return True

    def _kill(self, worker: Worker, began: float) -> None:
        held, at = len(_of(worker, self._leases())), now() - began
        worker.kill()
        for message in worker.messages():  # what it told while it lived
            self._ledger.note(message)
        self._workers.remove(worker)
        self._ledger.kills.append(Kill(round(at, 3), worker.names, held))
        rest = tuple(self._ledger.rest_of(part) for part in worker.parts if part.agent not in self._ledger.left)
        if rest:
            self._workers.append(self._start(rest))

    def _stop(self, worker: Worker, *, is_late: bool) -> bool:
        worker.signal(signal.SIGSTOP)
        owners = frozenset(lease.owner for lease in _of(worker, self._leases()))
        if not owners and not is_late:  # it has ended its lease in the meantime, and a pause would show nothing
            worker.signal(signal.SIGCONT)
            return False
        at = now()
        latest = at + (self._plan.longest_pause if owners else _OVERTIME)
        self._stopped.append(_Stopped(worker, at, latest, len(owners), owners))
        return True

    def _wake(self, began: float) -> None:
        """Let those go on whose leases have ended, or who were stopped for long enough."""
        if not self._stopped:
            return
        live = {lease.owner for lease in self._leases()}
        for pause in list(self._stopped):
            if left := pause.owners & live:
                pause.owners = left
            elif pause.owners:
                pause.owners, pause.latest = frozenset(), now() + _OVERTIME
            if now() >= pause.latest:
                self._stopped.remove(pause)
                pause.worker.signal(signal.SIGCONT)
                outlasted = pause.held - len(pause.owners)
                stood = round(now() - pause.since, 3)
                self._ledger.pauses.append(Pause(round(pause.since - began, 3), pause.worker.names, stood, outlasted))

    def _leases(self) -> tuple[LeaseView, ...]:
        try:
            return self._watcher.snapshot().leases
        except BackendUnavailable:  # the run goes on; what its agents were refused, they tell
            return ()


def _of(worker: Worker, leases: tuple[LeaseView, ...]) -> list[LeaseView]:
    return [lease for lease in leases if lease.owner.startswith(f"{worker.session}-")]
