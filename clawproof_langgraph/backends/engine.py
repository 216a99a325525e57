"""The six commands of a backend, over one transaction of a small record store.

begin     no place -> queued -> handed over -> claimed      or an answer: replay, held, killed, mismatch, stale
settle    claimed  -> done | failed | rejected | suspended | in_doubt
withdraw  queued, handed over or claimed but not started -> nothing happened
sweep     handed over and expired -> nothing happened;  claimed and expired -> in_doubt
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from clawproof_langgraph import events
from clawproof_langgraph.backends import subscribers, unresolvable
from clawproof_langgraph.backends.granting import (
    Obstacle,
    end_dead_run,
    end_if_dead,
    enqueue,
    expire,
    first_conflict,
    grant,
    granted,
    hand_on,
    leave_queue,
    mark_suspected,
    release,
    show_life,
)
from clawproof_langgraph.backends.looking import look
from clawproof_langgraph.backends.records import (
    Fit,
    deny,
    is_running,
    judge,
    record_outcome,
    settle_late,
)
from clawproof_langgraph.backends.store import LAST_PLACE, LeaseRow, Transaction, WaiterRow
from clawproof_langgraph.backends.versions import move, staleness
from clawproof_langgraph.backends.wants import names_of, shown
from clawproof_langgraph.model import (
    Advance,
    Asked,
    Begin,
    BeginReply,
    Fact,
    Granted,
    Kill,
    Killed,
    Mode,
    Note,
    Queued,
    Renew,
    Renewed,
    Resolve,
    Revive,
    Settle,
    SettleReply,
    Stale,
    State,
    Subscribe,
    Sweep,
    Swept,
    Unsubscribe,
    Want,
    Withdraw,
)

_POLL = 3.0
"""Seconds after which a waiter behind other waiters asks again, should every bell be lost."""
_LIFE_POLL = 0.5
"""Seconds after which a waiter looks whether a holder that may be dead has shown life."""
_OWN_POLL = 0.05
"""The same for a holder of its own session, which was asked to renew."""


# --- begin ------------------------------------------------------------------------------------------------------


def begin(tx: Transaction, ask: Begin) -> BeginReply:
    """Grant, queue or answer a request."""
    if ask.look:
        return look(tx, ask, ask.look)
    tx.foresee(ask)
    lease = tx.lease(ask.owner) if ask.repeated else None
    if lease and lease.claimed:  # the reply to an earlier begin was lost; its TTL counts from this one
        tx.put_lease(lease._replace(expires=tx.ticks + ask.ttl, seen=tx.ticks))
        return granted(tx, ask, lease, tx.record(lease.ask.key) if lease.attempt else None)
    reply = _take_turn(tx, ask, lease)
    hand_on(tx)
    return reply


def _take_turn(tx: Transaction, ask: Begin, handed: LeaseRow | None) -> BeginReply:
    waiter = tx.waiter(ask.owner) if ask.repeated and not handed else None
    arrived = waiter.arrived if waiter else tx.ticks
    # A grant that was claimed too late, or turns out to be for another key, is given up. Its owner may still take what
    # is free before those who wait, and has to queue up again for what is not.
    place = waiter.place if waiter else 0 if handed else LAST_PLACE
    while True:
        judged = judge(tx, ask)
        if not isinstance(judged, Fit):
            _leave(tx, handed, waiter)
            return judged
        ask, wants = judged.ask, judged.wants
        if handed and handed.wants == wants and not tx.is_over(handed):
            return _refused_as_stale(tx, ask, handed, None) or _claim(tx, judged)
        if handed:
            release(tx, handed)
            handed = None
        obstacle = first_conflict(tx, ask, wants, place=place, arrived=arrived)
        if obstacle is None:
            if stale := _refused_as_stale(tx, ask, None, waiter):
                return stale
            _leave(tx, None, waiter)
            return grant(tx, judged)
        if not end_if_dead(tx, obstacle):
            _wait(tx, ask, wants, waiter)
            return _queued(tx, ask, obstacle, arrived)


def _claim(tx: Transaction, fit: Fit) -> Granted:
    # Readers are handed over in steps of a bounded size; each that claims starts the next step.
    tx.freed.extend(want.resource for want in fit.wants if want.mode is Mode.SHARED)
    return grant(tx, fit, held=True)


def _refused_as_stale(tx: Transaction, ask: Begin, handed: LeaseRow | None, waiter: WaiterRow | None) -> Stale | None:
    """Give up the turn of a request whose reads are stale."""
    stale = staleness(tx, ask)
    if stale:
        _leave(tx, handed, waiter)
    return stale


def _leave(tx: Transaction, handed: LeaseRow | None, waiter: WaiterRow | None) -> None:
    if handed:
        release(tx, handed)
    if waiter:
        leave_queue(tx, waiter)


def _wait(tx: Transaction, ask: Begin, wants: tuple[Want, ...], waiter: WaiterRow | None) -> None:
    if waiter is None:
        enqueue(tx, ask, wants)
    elif waiter.wants != wants:
        leave_queue(tx, waiter)
        enqueue(tx, ask, wants)
    else:
        show_life(tx, ask.session)


def _queued(tx: Transaction, ask: Begin, obstacle: Obstacle, arrived: float) -> Queued:
    other, holder = obstacle.ask, obstacle.holder
    who = f'agent "{other.agent}"' if other.agent else f"owner {other.owner}"
    doing = f' running "{other.tool}"' if other.tool else ""
    what = shown(obstacle.resource, other)
    if holder is None:
        return Queued(what, who + doing, _POLL, obstacle.on_key)
    remaining = max(holder.expires - tx.ticks, 0.0)
    if not (obstacle.on_scope or (obstacle.on_key and ask.ancestors)):
        return Queued(what, who + doing, remaining, obstacle.on_key)
    # Whether this one lives decides what is to be done, so it is looked at again soon.
    alive, own = holder.seen > arrived, other.session == ask.session
    return Queued(what, who + doing, min(remaining, _OWN_POLL if own else _LIFE_POLL), obstacle.on_key, alive, own)


# --- settle and withdraw ----------------------------------------------------------------------------------------


def settle(tx: Transaction, end: Settle) -> SettleReply:
    """End a lease, record the outcome, and hand its resources on."""
    lease = tx.lease(end.owner)
    if lease is None or not lease.claimed:
        end_dead_run(tx, end.key)
        reply = settle_late(tx, end)
        hand_on(tx)
        return reply
    release(tx, lease)
    if end.touched and not end.by:  # what somebody has found out was changed before
        move(tx, lease)
    if end.state is not None:
        record_outcome(tx, lease, end, end.state)
    if names := names_of(lease.wants):
        held = {"held": round(tx.ticks - lease.since, 6)}
        tx.append(events.LOCK_RELEASED, lease.ask, resources=names, fence=lease.fence, data=held)
    hand_on(tx)
    return SettleReply.SETTLED


def withdraw(tx: Transaction, leave: Withdraw) -> None:
    """Give up a place in the queue, or a grant of which the tool has not started."""
    lease, waiter = tx.lease(leave.owner), tx.waiter(leave.owner)
    ask = lease.ask if lease else waiter.ask if waiter else leave.call
    _leave(tx, lease, waiter)
    if lease and lease.claimed:
        held = {"held": round(tx.ticks - lease.since, 6)}
        tx.append(events.LOCK_RELEASED, lease.ask, resources=names_of(lease.wants), fence=lease.fence, data=held)
    if leave.reason and ask is not None:
        waited = tx.ticks - waiter.arrived if waiter else ask.waited
        deny(tx, ask._replace(waited=waited), leave.reason)
    hand_on(tx)


# --- renew and sweep --------------------------------------------------------------------------------------------


def renew(tx: Transaction, beat: Renew) -> Renewed:
    """Extend leases, show that waiters are alive, and read what concerns them."""
    lost = [owner for owner, ttl in beat.leases if not _extend(tx, owner, ttl)]
    killed = [row for agent in beat.agents if (row := tx.killed(agent))]
    turns: list[str] = []
    if beat.waiting:
        show_life(tx, beat.session)
        turns = [row.ask.owner for row in tx.leases(session=beat.session) if not row.claimed]
    return Renewed(frozenset(lost), tuple(killed), tuple(turns))


def _extend(tx: Transaction, owner: str, ttl: float) -> bool:
    lease = tx.lease(owner)
    if lease is None or not lease.claimed:
        return False
    tx.put_lease(mark_suspected(tx, lease)._replace(expires=tx.ticks + ttl, seen=tx.ticks))
    return True


def sweep(tx: Transaction, terms: Sweep) -> Swept:
    """End a bounded number of expired leases and dead waiters, and delete what is past its retention."""
    expired = tx.leases(expired=True, limit=terms.limit)
    for lease in expired:
        if tx.lease(lease.ask.owner):
            expire(tx, lease)
    dead = tx.waiters(dead=True, limit=terms.limit)
    for waiter in dead:
        leave_queue(tx, waiter)
    hand_on(tx)
    retired = subscribers.retire(tx, terms)
    more = retired.more or terms.limit in (len(expired), len(dead))
    return Swept(len(expired), len(dead), retired.records, retired.events, more)


# --- administration ---------------------------------------------------------------------------------------------


def record(tx: Transaction, fact: Fact) -> int:
    """Record one administrative fact with its event; give the cursor of a note, or where a subscription stands."""
    match fact:
        case Kill():
            before = tx.killed(fact.agent)  # killed again without a word, what was said before still holds
            reason, by = fact.reason or (before.reason if before else ""), fact.by or (before.by if before else "")
            tx.put_killed(Killed(fact.agent, reason, by, before.at if before else tx.now))
            tx.append(events.AGENT_KILLED, Begin("", "", agent=fact.agent), data={"reason": fact.reason, "by": fact.by})
            _announce(tx, fact.agent)
        case Revive():
            tx.drop_killed(fact.agent)
            tx.append(events.AGENT_REVIVED, Begin("", "", agent=fact.agent), data={"by": fact.by})
            _announce(tx, fact.agent)
        case Resolve():
            _resolve(tx, fact)
        case Asked():
            _note_question(tx, fact)
        case Note():
            about = Begin(fact.call, "", agent=fact.agent, thread=fact.thread, key=fact.key)
            return tx.append(fact.type, about, resources=fact.resources, fence=fact.fence, data=fact.data)
        case Subscribe():
            return subscribers.subscribe(tx, fact)
        case Advance():
            return subscribers.advance(tx, fact)
        case Unsubscribe():
            tx.drop_subscriber(fact.name)
        case _:
            assert_never(fact)
    return 0


def _announce(tx: Transaction, agent: str) -> None:
    """Have those told at once who run calls of an agent."""
    tx.words += [(session, agent) for session in {row.ask.session for row in tx.leases() if row.ask.agent == agent}]


def _resolve(tx: Transaction, fact: Resolve) -> None:
    row = tx.record(fact.key)
    if row and row.same_as:
        fact = replace(fact, key=row.same_as)
    end_dead_run(tx, fact.key)
    row = tx.record(fact.key)
    if row is None:
        raise unresolvable.unknown(fact.key)
    state = State.DONE if fact.applied else State.FAILED
    if row.state is state and not row.touched:
        if fact.applied and fact.result not in (None, row.result):
            raise unresolvable.done_otherwise(fact.key)
        return
    if fact.owner and not _looks_into(tx, fact):  # what is in doubt by now may be an execution that it did not look at
        raise unresolvable.lease_ended(fact.key)
    is_running_elsewhere = is_running(tx, fact.key) and not fact.owner
    if not row.touched or is_running_elsewhere or (fact.fence and fact.fence != row.fence):
        raise unresolvable.in_no_doubt(fact.key, "" if row.touched else row.state)
    # Without its owner, a late settle can no longer overrule what was resolved.
    known = row._replace(state=state, result=fact.result, owner="", touched=False, updated_at=tx.now)
    tx.put_record(known)
    hand_on(tx)
    about = Begin("", "", agent=row.agent, thread=row.thread, tool=row.tool, key=row.key)
    data = {"applied": fact.applied, "by": fact.by, "tool": row.tool}
    tx.append(events.CALL_RESOLVED, about, fence=row.fence, data=data)


def _looks_into(tx: Transaction, fact: Resolve) -> bool:
    """Tell whether whoever resolves a call holds its lease, and so keeps everybody else from running it."""
    lease = tx.lease(fact.owner) if fact.owner else None
    return lease is not None and lease.claimed and lease.ask.key == fact.key


def _note_question(tx: Transaction, fact: Asked) -> None:
    row = tx.record(fact.key)
    if row is None or not row.touched:  # somebody has found out meanwhile
        return
    tx.put_record(row._replace(asked=(*row.asked, (fact.task, fact.fence))))
    if not fact.fence:
        return
    about = Begin("", "", agent=row.agent, thread=row.thread, tool=row.tool, key=row.key)
    tx.append(events.CALL_ASKED, about, resources=row.resources, fence=row.fence, data={"tool": row.tool})
