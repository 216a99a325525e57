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
from clawproof_langgraph.testing.stress.playing import Part, Terms
from clawproof_langgraph.testing.stress.scenario import Scenario
from clawproof_langgraph.testing.stress.workers import (
    Orders,
    Ready,
    Store,
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
"""How often a blow goes to a process that holds something at that moment, if there is one."""


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
        store: the coordination store.
        terms: of the run.
        watcher: a coordinator over the store, to see who holds what.
        ledger: is told everything.
        longest_pause: seconds.
    """

    def __init__(
        self,
        source: Scenario | str,
        store: Store,
        terms: Terms,
        *,
        watcher: Coordinator,
        ledger: Ledger,
        longest_pause: float,
    ) -> None:
        self._orders = Orders(source, store, terms, (), dict(os.environ))
        self._watcher, self._ledger, self._longest_pause = watcher, ledger, longest_pause
        self._chance = Random(f"{terms.seed}/targets")
        self._workers: list[Worker] = []
        self._until = 0.0
        self._stopped: list[_Stopped] = []
        check_orders(self._orders)
        self._context = new_context()

    @contextmanager
    def opened(self, agents: int, processes: int) -> Iterator[None]:
        """Start the processes; none outlives the block.

        Raises:
            ConfigurationError: the agents cannot be made.
        """
        parts = [Part(number) for number in range(1, agents + 1)]
        try:
            for at in range(min(processes, agents)):
                self._workers.append(self._start(tuple(parts[at::processes])))
            for worker in self._workers:
                worker.wait_until_ready(_START)
            yield
        finally:
            for worker in self._workers:
                worker.kill()

    def play(self, blows: list[Blow], *, seconds: float, patience: float) -> None:
        """Let all agents play, and strike.

        Args:
            blows: what is done to the processes, in order.
            seconds: after which no turn begins.
            patience: seconds after that in which all must have ended.
        """
        began = now()
        self._until = began + seconds
        for worker in self._workers:
            worker.play(self._until)
        left = list(blows)
        while self._workers and now() < self._until + patience:
            wait([worker.line for worker in self._workers], timeout=_TICK)
            self._hear()
            while left and self._workers and now() >= began + left[0].at:
                self._strike(left.pop(0), began)
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

    def _strike(self, blow: Blow, began: float) -> None:
        stopped = [each.worker for each in self._stopped]
        targets = [worker for worker in self._workers if worker.session and worker not in stopped]
        if not targets:
            return
        leases = self._leases()
        holding = [worker for worker in targets if _of(worker, leases)]
        aimed = holding and self._chance.random() < _AIMED
        worker = self._chance.choice(holding if aimed else targets)
        if blow.kind == "kill":
            self._kill(worker, began)
        else:
            self._stop(worker)

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

    def _stop(self, worker: Worker) -> None:
        worker.signal(signal.SIGSTOP)
        owners = frozenset(lease.owner for lease in _of(worker, self._leases()))
        at = now()
        self._stopped.append(_Stopped(worker, at, at + self._longest_pause, len(owners), owners))

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
