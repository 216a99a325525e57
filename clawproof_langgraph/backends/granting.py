"""The rules of locks: who is in whose way, who is next, and what a lease's end means.

A request is granted when, on each of its resources, neither a holder nor an earlier waiter is in conflict. A nested
request (one with ancestors) is never blocked by its ancestors, and competes with holders only: a waiter may be
waiting for its own chain. A grant handed to a waiter is provisional until the waiter claims it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from clawproof_langgraph import events
from clawproof_langgraph.backends import versions
from clawproof_langgraph.backends.records import EXPIRED, Fit, asked_in, doubt_of
from clawproof_langgraph.backends.store import (
    CLAIM_WITHIN,
    LAST_PLACE,
    WAITER_LIFE,
    Holding,
    LeaseRow,
    RecordRow,
    Transaction,
    WaiterRow,
)
from clawproof_langgraph.backends.wants import is_key, is_scope, names_of, of_key
from clawproof_langgraph.model import Begin, Granted, Mode, Want

_LIFE_STEP: Final = 0.25
"""Seconds by which a session's life may fall short of that, to spare most writes of it."""
STEP: Final = 64
"""The most waiters of one resource that are woken in one step; each claim continues where a step has ended."""
_LOOK: Final = 1024
"""The most waiters of one resource that a step looks at, should nearly all of them wait for something else as well."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What keeps a request from its grant: a holder, or an earlier waiter."""

    resource: str
    holder: LeaseRow | None = None
    waiter: WaiterRow | None = None

    @property
    def ask(self) -> Begin:
        """The request of whoever is in the way."""
        row = self.holder or self.waiter
        assert row is not None
        return row.ask

    @property
    def on_key(self) -> bool:
        """Whether it is the idempotency key."""
        return is_key(self.resource)

    @property
    def on_scope(self) -> bool:
        """Whether it is the scope."""
        return is_scope(self.resource)


def first_conflict(
    tx: Transaction, ask: Begin, wants: tuple[Want, ...], *, place: int, arrived: float, first_on: str = ""
) -> Obstacle | None:
    """Find the first holder or earlier waiter in the way of a request, dead or alive.

    Args:
        tx: the step.
        ask: the request.
        wants: its resources, with those that stand for its key and its scope.
        place: its place in the queue.
        arrived: when it came, in ticks.
        first_on: a resource on which it is known to be the first waiter.
    """
    modes = dict(wants)
    for holding in tx.holdings(list(modes)):
        if lease := _conflicting_holder(tx, ask, holding, modes[holding.resource], arrived):
            return Obstacle(holding.resource, holder=lease)
    others = [want for want in wants if want.resource != first_on]
    if ask.ancestors or not others:
        return None
    ahead = tx.ahead(others, place)
    return Obstacle(ahead[0], waiter=ahead[1]) if ahead else None


def _conflicting_holder(tx: Transaction, ask: Begin, holding: Holding, mode: Mode, arrived: float) -> LeaseRow | None:
    resource, owner, held = holding
    if (held is Mode.SHARED and mode is Mode.SHARED) or owner == ask.owner or owner in ask.ancestors:
        return None
    lease = tx.lease(owner)
    # The scope keeps out the heir of a call that may have died. A holder that has shown life since the heir came is not
    # its dead predecessor but a running sibling, and no reason to wait.
    if lease is None or (is_scope(resource) and not tx.is_over(lease) and lease.seen > arrived):
        return None
    return lease


def end_dead_run(tx: Transaction, key: str) -> None:
    """End the run of a call whose lease has expired: nobody may overrule what it leaves behind without knowing it."""
    for holding in tx.holdings([of_key(key).resource]) if key else ():
        lease = tx.lease(holding.owner)
        if lease and tx.is_over(lease):
            expire(tx, lease)


def end_if_dead(tx: Transaction, obstacle: Obstacle) -> bool:
    """End an obstacle that has expired; tell whether it had."""
    if obstacle.holder is not None and tx.is_over(obstacle.holder):
        expire(tx, obstacle.holder)
        return True
    if obstacle.waiter is not None and not tx.is_alive(obstacle.waiter.ask.session):
        leave_queue(tx, obstacle.waiter)
        return True
    return False


def grant(tx: Transaction, fit: Fit, *, held: bool = False) -> Granted:
    """Give a request its lease, claimed; `held` says that its resources are already its own."""
    ask, wants, record = fit.ask, fit.wants, fit.record
    attempt, since = record.attempt if record else 0, ask.waited
    fence = tx.next_cursor()
    lease = LeaseRow(ask, wants, fence, tx.ticks + ask.ttl, tx.ticks, tx.ticks, True, attempt)
    if held:
        tx.put_lease(lease)
    else:
        tx.take(lease)
    names = names_of(wants)
    if names or not ask.tool:  # an entry in any case: the fence is its cursor
        about = {"waited": round(since, 6), **_beside_others(ask)}
        tx.append(events.LOCK_ACQUIRED, ask, resources=names, fence=fence, data=about)
    if ask.tool:
        data = {**ask.data, "tool": ask.tool, "attempt": attempt + 1, "waited": round(since, 6)}
        tx.append(events.CALL_STARTED, ask, resources=names, fence=fence, data=data)
    return granted(tx, ask, lease, record)


def _beside_others(ask: Begin) -> dict[str, Any]:
    """Say what lets others hold the same at the same time, so that whoever reads the log knows whom it kept apart."""
    shared = [resource for resource, mode in ask.wants if mode is Mode.SHARED]
    told: dict[str, Any] = {"shared": shared} if shared else {}
    return told | ({"inside": ask.ancestors[-1]} if ask.ancestors else {})


def granted(tx: Transaction, ask: Begin, lease: LeaseRow, record: RecordRow | None) -> Granted:
    """Tell of a lease, and of what is known of its call from before."""
    key, fence, attempt = lease.ask.key, lease.fence, lease.attempt
    told = versions.told(tx, ask, fence) if ask.versions else ()
    if record is None:
        return Granted(ask.owner, fence, ask.ttl, key, attempt, versions=told)
    doubt = record.fence if record.touched else 0
    return Granted(ask.owner, fence, ask.ttl, key, attempt, doubt, asked_in(ask.task, record), told)


def release(tx: Transaction, lease: LeaseRow) -> None:
    """End a lease."""
    tx.drop(lease)
    tx.freed.extend(tx.contended([want.resource for want in lease.wants]))


def expire(tx: Transaction, lease: LeaseRow) -> None:
    """End a lease whose holder has not renewed it: a claimed call is in doubt, an unclaimed one never happened."""
    release(tx, lease)
    if not lease.claimed:
        return
    ask, names = lease.ask, names_of(lease.wants)
    versions.move(tx, lease)
    if names:
        data = {"held": round(lease.expires - lease.since, 6)}  # it may be noticed long after its end
        tx.append(events.LOCK_EXPIRED, ask, resources=names, fence=lease.fence, data=data)
    if ask.key:
        tx.put_record(doubt_of(tx, lease))
        why = {"tool": ask.tool, "reason": EXPIRED}
        tx.append(events.CALL_IN_DOUBT, ask, resources=names, fence=lease.fence, data=why)


def enqueue(tx: Transaction, ask: Begin, wants: tuple[Want, ...]) -> None:
    """Put a request at the end of the queues of its resources; a nested one goes before all that are not."""
    ticket = max(tx.last_ticket([want.resource for want in wants]) + 1, int(tx.now * 1_000_000))
    place = ticket - LAST_PLACE if ask.ancestors else ticket
    tx.put_waiter(WaiterRow(ask, wants, place, tx.ticks))
    show_life(tx, ask.session)


def show_life(tx: Transaction, session: str) -> None:
    """Note that a session's waiters are alive, unless that was noted a moment ago."""
    if not 0 <= tx.ticks + WAITER_LIFE - tx.session_until(session) <= _LIFE_STEP:
        tx.put_session(session, tx.ticks + WAITER_LIFE)


def leave_queue(tx: Transaction, waiter: WaiterRow) -> None:
    """Take a waiter out of all queues."""
    tx.drop_waiter(waiter)
    tx.freed.extend(want.resource for want in waiter.wants)


def hand_on(tx: Transaction) -> None:
    """Hand freed resources to the waiters whose turn has come."""
    while tx.freed:
        _serve(tx, tx.freed.pop())


def _serve(tx: Transaction, resource: str) -> None:
    after, looked_at, limit, woken = -2 * LAST_PLACE, 0, 1, len(tx.rings)
    while looked_at < _LOOK and len(tx.rings) < woken + STEP:
        waiters = tx.queue(resource, after=after, limit=limit)
        for waiter in waiters:
            if _serve_one(tx, waiter, resource, is_first=looked_at == 0):
                return
        if len(waiters) < limit:
            return
        after, looked_at, limit = waiters[-1].place, looked_at + len(waiters), STEP


def _serve_one(tx: Transaction, waiter: WaiterRow, resource: str, *, is_first: bool) -> bool:
    """Hand a waiter its grant if its turn has come; tell whether nobody behind it can be next."""
    if not tx.is_alive(waiter.ask.session):
        leave_queue(tx, waiter)
        return False
    is_next = _is_next(tx, waiter, first_on=resource if is_first else "")
    if is_next:
        _hand_over(tx, waiter)
    exclusive = any(want.resource == resource and want.mode is Mode.EXCLUSIVE for want in waiter.wants)
    return exclusive and (is_next or not waiter.ask.ancestors)


def _is_next(tx: Transaction, waiter: WaiterRow, *, first_on: str) -> bool:
    """Tell whether nothing living is in the way of a waiter, ending what is dead."""
    ask, wants, place, arrived = waiter
    while obstacle := first_conflict(tx, ask, wants, place=place, arrived=arrived, first_on=first_on):
        if not end_if_dead(tx, obstacle):
            return False
    return True


def _hand_over(tx: Transaction, waiter: WaiterRow) -> None:
    tx.drop_waiter(waiter)
    tx.take(LeaseRow(waiter.ask, waiter.wants, 0, tx.ticks + CLAIM_WITHIN, tx.ticks, tx.ticks, False))
    if waiter.ask.bell:
        tx.rings.append((waiter.ask.bell, waiter.ask.owner))


def mark_suspected(tx: Transaction, lease: LeaseRow) -> LeaseRow:
    """Report, once, a holder that has taken more than twice the usual time."""
    ask = lease.ask
    if lease.suspected or not ask.expected or tx.ticks - lease.since <= 2 * ask.expected:
        return lease
    data = {"tool": ask.tool, "held": round(tx.ticks - lease.since, 6), "expected": ask.expected}
    tx.append(events.DEADLOCK_SUSPECTED, ask, resources=names_of(lease.wants), fence=lease.fence, data=data)
    return lease._replace(suspected=True)
