"""The thread that renews all leases of a coordinator in one batch, shows that its waiters are alive, and sweeps.

It also repeats withdrawals that failed: a grant of which its caller never heard would end as a call in doubt.

It is a thread of its own, for sync and async alike: an event loop blocked by user code must not lose leases. Each
renewal also tells which agents are stopped; where the store can push, word of a change makes it renew at once.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import Final

from clawproof_langgraph.backends.base import Backend, Listening
from clawproof_langgraph.errors import ClawproofError
from clawproof_langgraph.model import Renew, Renewed, Sweep, Withdraw
from clawproof_langgraph.runtime.lease import Lease

_log = logging.getLogger("clawproof_langgraph.heartbeat")

_WAITER_BEAT: Final = 0.5
"""Seconds between two beats while somebody waits."""
_TOGETHER: Final = 0.02
"""Seconds: what is due within them is done at once."""
_SWEEP_EVERY: Final = 10.0
_NEXT_STEP: Final = 0.05
"""Seconds between two steps of a sweep that has more to do."""
_WITHDRAW_EVERY: Final = 1.0
"""Seconds after which a withdrawal that failed is sent again."""
_REMEMBERED: Final = 10_000
"""The most withdrawals that are sent again."""
_IDLE: Final = 3600.0
_SHARE: Final = 3.0
"""A lease is renewed when one third of its TTL has passed."""


@dataclass(slots=True)
class _Waiter:
    """Somebody in a queue.

    Args:
        bell: where it sleeps.
        due: by when, of the monotonic clock, it has to show life.
    """

    bell: str
    due: float


class Heartbeat:
    """Renews what is registered with it, from the first registration on.

    Args:
        backend: where.
        session: the coordinator's name among the store's waiters.
        terms: what the sweeps keep.
    """

    def __init__(self, backend: Backend, session: str, terms: Sweep) -> None:
        self._backend, self._session, self._terms = backend, session, terms
        self._leases: dict[str, Lease] = {}
        self._waiters: dict[str, _Waiter] = {}
        self._wake = threading.Condition()
        self._withdrawals: dict[str, tuple[Withdraw, float]] = {}
        self._next = float("inf")
        self._swept, self._more, self._overdue = time.monotonic(), False, True
        self._thread: threading.Thread | None = None
        self._listening: Listening | None = None
        self._heard: dict[str, float] = {}
        self._asked, self._stopped = False, False

    def add(self, lease: Lease) -> None:
        """Renew a lease from now on."""
        self._leases[lease.owner] = lease
        self._be_awake_by(lease.renewed_at + lease.ttl / _SHARE)
        if lease.agent:
            if self._listening is None:
                self._listen()
            if self._heard.get(lease.agent, 0.0) >= lease.renewed_at:  # while the grant was on its way
                self.beat_soon()

    def remove(self, owner: str) -> None:
        """Stop renewing a lease."""
        self._leases.pop(owner, None)

    def add_waiter(self, owner: str, bell: str) -> None:
        """Show from now on that a waiter is alive; ring its bell should its own ring get lost."""
        due = time.monotonic() + _WAITER_BEAT
        self._waiters[owner] = _Waiter(bell, due)
        self._be_awake_by(due)

    def remove_waiter(self, owner: str) -> None:
        """Stop showing that a waiter is alive."""
        self._waiters.pop(owner, None)

    def withdraw(self, leave: Withdraw) -> None:
        """Give up a request, now or as soon as the store is there; never fails."""
        try:
            self._backend.withdraw(leave)
        except ClawproofError as exc:
            self._withdraw_later(leave, exc)

    async def awithdraw(self, leave: Withdraw) -> None:
        """Do what `withdraw` does, on an event loop."""
        try:
            await self._backend.awithdraw(leave)
        except ClawproofError as exc:
            self._withdraw_later(leave, exc)

    def _withdraw_later(self, leave: Withdraw, why: ClawproofError) -> None:
        _log.warning("withdraw: %s", why)
        if leave.within <= 0 or self._stopped:
            return
        now = time.monotonic()
        # It may have been carried out: without the request, what is gone is not told again.
        self._withdrawals[leave.owner] = replace(leave, call=None), now + leave.within
        if len(self._withdrawals) > _REMEMBERED:
            self._withdrawals.pop(next(iter(self._withdrawals)), None)
        self._be_awake_by(now + _WITHDRAW_EVERY)

    def hear(self, agent: str) -> None:
        """Look at once whether an agent is stopped, if it holds a lease here: somebody has said that this changed."""
        self._heard[agent] = time.monotonic()
        if any(lease.agent == agent for lease in list(self._leases.values())):
            self.beat_soon()

    def beat_soon(self) -> None:
        """Renew all leases at once, on the thread: somebody wants to know which of them still live."""
        self._asked = True
        self._be_awake_by(time.monotonic())

    def sweep_later(self) -> None:
        """Sweep when it is due: somebody who holds no lease has written something that is to go some day."""
        self._be_awake_by(self._swept + _SWEEP_EVERY)

    def renew_now(self, lease: Lease) -> None:
        """Renew one lease at once, on the calling thread.

        Raises:
            BackendUnavailable: the store could not be used.
        """
        self._renew([lease], [])

    def stop(self) -> None:
        """End the thread, with a last sweep: short-lived processes must not leave the sweeping to others."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
            listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
        if self._thread is None or self._thread is threading.current_thread():
            return
        self._thread.join(timeout=5)
        self._withdraw_again()
        try:
            self._backend.sweep(self._terms)
        except ClawproofError as exc:
            _log.info("no last sweep: %s", exc)

    def _listen(self) -> None:
        with self._wake:
            if self._listening is not None or self._stopped:
                return
            try:
                self._listening = self._backend.listen(self._session, self.hear)
            except (RuntimeError, OSError) as exc:  # the heartbeat goes on, and the next lease tries again
                _log.warning("an agent that is stopped is told at the next heartbeat, not at once: %s", exc)

    def _be_awake_by(self, due: float) -> None:
        # The thread is seldom woken: a lease that is newer than its next look is due later than that.
        if due >= self._next:
            return
        with self._wake:
            if self._thread is None and not self._stopped:
                thread = threading.Thread(target=self._run, name="clawproof-heartbeat", daemon=True)
                thread.start()  # first of all: where the system gives no thread, the next lease shall try again
                self._thread = thread
            self._next = min(self._next, due)
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (left := self._next - time.monotonic()) > 0:
                    self._wake.wait(left)
                if self._stopped:
                    return
                self._next = time.monotonic() + _IDLE
            self._beat()

    def _beat(self) -> None:
        leases, waiters = self._due()
        try:
            if leases or waiters:
                self._renew(leases, waiters)
            self._withdraw_again()
            self._sweep_if_due(waited=bool(waiters))
        except ClawproofError as exc:
            _log.warning("could not renew %d leases: %s", len(leases), exc)
        except Exception:  # noqa: BLE001 - a defect of a backend must not end the thread that all leases hang on
            _log.exception("could not renew %d leases", len(leases))
        self._report_losses(leases)
        self._plan()

    def _due(self) -> tuple[list[Lease], list[str]]:
        """Give the leases and the waiters if it is time for one of them: most end before."""
        asked, self._asked = self._asked, False
        leases, waiters = list(self._leases.values()), dict(self._waiters)
        soon = time.monotonic() + _TOGETHER
        is_due = asked or any(lease.renewed_at + lease.ttl / _SHARE <= soon for lease in leases)
        if not is_due and not any(waiter.due <= soon for waiter in waiters.values()):
            return [], []
        for waiter in waiters.values():
            waiter.due = soon + _WAITER_BEAT
        return leases, list(waiters)

    def _renew(self, leases: list[Lease], waiters: list[str]) -> None:
        asked_at = time.monotonic()
        agents = tuple({lease.agent for lease in leases if lease.agent})
        pairs = tuple((lease.owner, lease.ttl) for lease in leases)
        found = self._backend.renew(Renew(self._session, pairs, bool(waiters), agents))
        self._overdue = found.overdue
        for lease in leases:
            self._apply(lease, found, asked_at)
        for owner in found.turns:
            if waiter := self._waiters.get(owner):
                self._backend.ring(waiter.bell, owner)

    def _withdraw_again(self) -> None:
        """Repeat what failed, up to the first that fails again: the renewals of leases wait for it."""
        for owner, (leave, until) in list(self._withdrawals.items()):
            try:
                if time.monotonic() < until:
                    self._backend.withdraw(leave)
            except ClawproofError as exc:
                _log.info("withdraw, again: %s", exc)
                return
            self._withdrawals.pop(owner, None)

    def _apply(self, lease: Lease, found: Renewed, asked_at: float) -> None:
        if lease.owner not in found.lost:
            lease.mark_renewed(asked_at)
        elif lease.owner in self._leases:  # else it was settled while the request was under way
            lease.mark_lost("the store has no such lease any more: it was not renewed in time")
        lease.mark_killed(next((killed for killed in found.killed if killed.agent == lease.agent), None), asked_at)

    def _sweep_if_due(self, *, waited: bool) -> None:
        now = time.monotonic()
        # Those who wait see to it that what has ended is passed on.
        every = _WAITER_BEAT if waited and self._overdue else _SWEEP_EVERY
        if now - self._swept < every and not self._more:
            return
        self._swept = now
        self._more = self._backend.sweep(self._terms).more  # one step, so that the renewals never wait for long

    def _report_losses(self, leases: list[Lease]) -> None:
        for lease in leases:
            if lease.lost and self._leases.get(lease.owner) is lease:
                lease.mark_lost("it could not be renewed in time")
                self.remove(lease.owner)

    def _plan(self) -> None:
        now = time.monotonic()
        # A renewal that failed is tried again soon, but not at once.
        dues = [
            max(lease.renewed_at + lease.ttl / _SHARE, now + lease.ttl / 20) for lease in list(self._leases.values())
        ]
        dues += [waiter.due for waiter in list(self._waiters.values())]
        if self._more:
            dues.append(now + _NEXT_STEP)
        if self._withdrawals:
            dues.append(now + _WITHDRAW_EVERY)
        dues.append(max(self._swept + _SWEEP_EVERY, now + 1.0) if self._leases else now + _IDLE)
        with self._wake:
            self._next = min(self._next, *dues)
