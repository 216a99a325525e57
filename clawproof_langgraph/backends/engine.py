"""The six commands of a backend, over one transaction of a small record store.

begin     no place -> queued -> handed over -> claimed      or an answer: replay, held, killed, mismatch
settle    claimed  -> done | failed | rejected | suspended | in_doubt
withdraw  queued, handed over or claimed but not started -> nothing happened
sweep     handed over and expired -> nothing happened;  claimed and expired -> in_doubt
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from clawproof_langgraph import events
from clawproof_langgraph.backends.granting import (
    Obstacle,
    all_wants,
    end_if_dead,
    enqueue,
    expire,
    first_conflict,
    grant,
    hand_on,
    leave_queue,
    mark_suspected,
    names_of,
    record_of,
    release,
    show_life,
)
from clawproof_langgraph.backends.store import LAST_PLACE, LeaseRow, RecordRow, Transaction, WaiterRow
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.model import (
    Begin,
    BeginReply,
    Fact,
    Granted,
    Held,
    InDoubt,
    Kill,
    Killed,
    LeaseView,
    Mismatch,
    Mode,
    Note,
    Queued,
    Renew,
    Renewed,
    Replay,
    Resolve,
    Revive,
    Settle,
    SettleReply,
    Snapshot,
    State,
    Sweep,
    Swept,
    WaiterView,
    Want,
    Withdraw,
)

_POLL = 3.0
"""Seconds after which a waiter behind other waiters asks again, should every bell be lost."""
_SCOPE_POLL = 0.5
"""Seconds after which the heir of a call looks whether its predecessor has shown life."""


# --- begin ------------------------------------------------------------------------------------------------------


def begin(tx: Transaction, ask: Begin) -> BeginReply:
    """Grant, queue or answer a request."""
    lease = tx.lease(ask.owner) if ask.repeated else None
    if lease and lease.claimed:  # the reply to an earlier begin was lost; its TTL counts from this one
        tx.put_lease(replace(lease, expires=tx.now + ask.ttl, seen=tx.now))
        return Granted(ask.owner, lease.fence, ask.ttl, lease.ask.key, lease.attempt)
    reply = _take_turn(tx, ask, lease)
    hand_on(tx)
    return reply


def _take_turn(tx: Transaction, ask: Begin, handed: LeaseRow | None) -> BeginReply:
    tx.foresee(ask)
    waiter = tx.waiter(ask.owner) if ask.repeated and not handed else None
    arrived = waiter.arrived if waiter else tx.now
    # A grant that turns out to be for another key is given up for a place before everybody.
    place = waiter.place if waiter else 0 if handed else LAST_PLACE
    while True:
        judged = _judge(tx, ask)
        if not isinstance(judged, _Fit):
            _leave(tx, handed, waiter)
            return judged
        ask, wants, attempt = judged.ask, judged.wants, judged.attempt
        if handed and handed.wants == wants:
            return _claim(tx, ask, wants, attempt)
        if handed:
            release(tx, handed, touched=False)
            handed = None
        obstacle = first_conflict(tx, ask, wants, place=place, arrived=arrived)
        if obstacle is None:
            _leave(tx, None, waiter)
            return grant(tx, ask, wants, attempt=attempt, since=ask.waited)
        if not end_if_dead(tx, obstacle):
            return _wait(tx, ask, wants, obstacle, waiter)


def _claim(tx: Transaction, ask: Begin, wants: tuple[Want, ...], attempt: int) -> Granted:
    # Readers are handed over in steps of a bounded size; each that claims starts the next step.
    tx.freed.extend(want.resource for want in wants if want.mode is Mode.SHARED)
    return grant(tx, ask, wants, attempt=attempt, since=ask.waited, held=True)


def _leave(tx: Transaction, handed: LeaseRow | None, waiter: WaiterRow | None) -> None:
    if handed:
        release(tx, handed, touched=False)
    if waiter:
        leave_queue(tx, waiter)


def _wait(tx: Transaction, ask: Begin, wants: tuple[Want, ...], obstacle: Obstacle, waiter: WaiterRow | None) -> Queued:
    if waiter is None:
        enqueue(tx, ask, wants)
    elif waiter.wants != wants:
        leave_queue(tx, waiter)
        enqueue(tx, ask, wants)
    else:
        show_life(tx, ask.session)
    other = obstacle.ask
    who = f'agent "{other.agent}"' if other.agent else f"owner {other.owner}"
    doing = f' running "{other.tool}"' if other.tool else ""
    resource = obstacle.resource[1:] if obstacle.on_key or obstacle.on_scope else obstacle.resource
    same_call = obstacle.on_key or obstacle.on_scope
    return Queued(resource, who + doing, _look_again(tx, obstacle), same_call)


def _look_again(tx: Transaction, obstacle: Obstacle) -> float:
    if obstacle.holder is None:
        return _POLL
    remaining = max(obstacle.holder.expires - tx.now, 0.0)
    return min(remaining, _SCOPE_POLL) if obstacle.on_scope else remaining


class _Fit:
    """A request that may be granted: perhaps under the key that it adopts, after so many executions."""

    __slots__ = ("ask", "attempt", "wants")

    def __init__(self, ask: Begin, attempt: int) -> None:
        self.ask, self.attempt, self.wants = ask, attempt, all_wants(ask)


def _judge(tx: Transaction, ask: Begin) -> _Fit | Replay | Held | Killed | Mismatch:
    if ask.agent and (killed := tx.killed(ask.agent)):
        _deny(tx, ask, "killed")
        return killed
    if not ask.key:
        return _Fit(ask, 0)
    record = tx.record(ask.key)
    if record and record.same_as:
        ask = replace(ask, key=record.same_as)
        record = tx.record(ask.key)
    elif record is None and ask.scope and (record := _adoptable(tx, ask.scope)):
        # It is that call, whatever its own key, and stays it: when it is asked again, and when it is resolved.
        tx.put_record(replace(record, key=ask.key, state=State.DONE, owner="", result=None, same_as=record.key))
        ask = replace(ask, key=record.key)
    return _Fit(ask, 0) if record is None else _judge_record(tx, ask, record)


def _adoptable(tx: Transaction, scope: str) -> RecordRow | None:
    """Read the unsettled call of a scope, unless somebody runs it again already: then this is another call."""
    record = tx.unsettled(scope)
    return record if record and not _running(tx, record.key) else None


def _deny(tx: Transaction, ask: Begin, reason: str) -> None:
    data = {"reason": reason, "tool": ask.tool, "waited": round(ask.waited, 6)}
    tx.append(events.LOCK_DENIED, ask, resources=names_of(ask.wants), data=data)


def _judge_record(tx: Transaction, ask: Begin, record: RecordRow) -> _Fit | Replay | Held | Mismatch:
    if record.fingerprint != ask.fingerprint:
        _deny(tx, ask, "other arguments under the same key")
        return Mismatch(ask.key, ask.tool)
    match record.state:
        case State.DONE | State.REJECTED:
            data = {"tool": ask.tool, "waited": round(ask.waited, 6)}
            tx.append(events.CALL_REPLAYED, ask, resources=names_of(ask.wants), data=data)
            return Replay(record.key, record.result, record.state is State.REJECTED)
        case State.IN_DOUBT if _may_not_rerun(tx, ask, record) and not _running(tx, record.key):
            _deny(tx, ask, "in doubt")
            return Held(record.key, record.tool)
        case State.IN_DOUBT | State.SUSPENDED | State.FAILED:
            return _Fit(ask, record.attempt)
        case _:
            assert_never(record.state)


def _may_not_rerun(tx: Transaction, ask: Begin, record: RecordRow) -> bool:
    return not ask.rerun_within or tx.now - record.first_at > ask.rerun_within


def _running(tx: Transaction, key: str) -> bool:
    """Tell whether the call of a key is being run, for the first time or again."""
    names = [want.resource for want in all_wants(Begin("", "", key=key))]
    leases = [tx.lease(holding.owner) for holding in tx.holdings(names)]
    return any(lease and lease.claimed and lease.expires > tx.now for lease in leases)


# --- settle and withdraw ----------------------------------------------------------------------------------------

_EVENT_OF = {
    State.DONE: events.CALL_DONE,
    State.FAILED: events.CALL_FAILED,
    State.REJECTED: events.CALL_FAILED,
    State.SUSPENDED: events.CALL_SUSPENDED,
    State.IN_DOUBT: events.CALL_IN_DOUBT,
}


def settle(tx: Transaction, end: Settle) -> SettleReply:
    """End a lease, record the outcome, and hand its resources on."""
    lease = tx.lease(end.owner)
    if lease is None or not lease.claimed:
        return _settle_late(tx, end)
    release(tx, lease, touched=end.touched)
    if end.state is not None:
        _record_outcome(tx, lease, end, end.state)
    if names := names_of(lease.wants):
        held = {"held": round(tx.now - lease.since, 6)}
        tx.append(events.LOCK_RELEASED, lease.ask, resources=names, fence=lease.fence, data=held)
    hand_on(tx)
    return SettleReply.SETTLED


def _record_outcome(tx: Transaction, lease: LeaseRow, end: Settle, state: State) -> None:
    ask = lease.ask
    if ask.key and state is not State.FAILED:
        tx.put_record(record_of(tx, lease, state, end.attempt, end.result))
    elif ask.key and lease.attempt:
        tx.drop_record(ask.key)
    _tell_outcome(tx, lease.ask, end, state, names_of(lease.wants), {"held": round(tx.now - lease.since, 6)})


def _tell_outcome(
    tx: Transaction, ask: Begin, end: Settle, state: State, names: tuple[str, ...], data: dict[str, object]
) -> None:
    data |= {"tool": ask.tool, "attempt": end.attempt}
    if end.error:
        data["error"] = end.error
    tx.append(_EVENT_OF[state], ask, resources=names, fence=end.fence, data=data)
    for kind, fields in end.emits:
        tx.append(kind, ask, resources=names, fence=end.fence, data={**fields, "version": end.fence})


def _settle_late(tx: Transaction, end: Settle) -> SettleReply:
    record = tx.record(end.key) if end.key else None
    if record is None or record.owner != end.owner:
        return SettleReply.GONE
    if record.state is end.state:  # the reply to an earlier settle was lost
        return SettleReply.SETTLED
    if record.state is not State.IN_DOUBT or _running(tx, record.key):
        return SettleReply.GONE
    assert end.state is not None
    ask = Begin(end.owner, "", agent=record.agent, thread=record.thread, tool=record.tool, key=record.key)
    if end.state is State.FAILED:
        tx.drop_record(record.key)
    else:
        tx.put_record(replace(record, state=end.state, result=end.result, updated_at=tx.now))
    _tell_outcome(tx, ask, end, end.state, (), {"late": True})
    return SettleReply.LATE


def withdraw(tx: Transaction, leave: Withdraw) -> None:
    """Give up a place in the queue, or a grant of which the tool has not started."""
    lease, waiter = tx.lease(leave.owner), tx.waiter(leave.owner)
    ask = lease.ask if lease else waiter.ask if waiter else leave.call
    _leave(tx, lease, waiter)
    if lease and lease.claimed and (names := names_of(lease.wants)):
        held = {"held": round(tx.now - lease.since, 6)}
        tx.append(events.LOCK_RELEASED, lease.ask, resources=names, fence=lease.fence, data=held)
    if leave.reason and ask is not None:
        waited = tx.now - waiter.arrived if waiter else ask.waited
        _deny(tx, replace(ask, waited=waited), leave.reason)
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
    tx.put_lease(replace(mark_suspected(tx, lease), expires=tx.now + ttl, seen=tx.now))
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
    retired = tx.retire(terms)
    more = retired.more or terms.limit in (len(expired), len(dead))
    return Swept(len(expired), len(dead), retired.records, retired.events, more)


# --- administration ---------------------------------------------------------------------------------------------


def record(tx: Transaction, fact: Fact) -> None:
    """Record one administrative fact with its event."""
    match fact:
        case Kill():
            tx.put_killed(Killed(fact.agent, fact.reason, fact.by, tx.now))
            tx.append(events.AGENT_KILLED, Begin("", "", agent=fact.agent), data={"reason": fact.reason, "by": fact.by})
        case Revive():
            tx.drop_killed(fact.agent)
            tx.append(events.AGENT_REVIVED, Begin("", "", agent=fact.agent), data={"by": fact.by})
        case Resolve():
            _resolve(tx, fact)
        case Note():
            about = Begin(fact.call, "", agent=fact.agent, thread=fact.thread, key=fact.key)
            tx.append(fact.type, about, resources=fact.resources, fence=fact.fence, data=fact.data)
        case _:
            assert_never(fact)


def _resolve(tx: Transaction, fact: Resolve) -> None:
    row = tx.record(fact.key) or _expired_call(tx, fact.key)
    if row and row.same_as:
        fact = replace(fact, key=row.same_as)
        row = tx.record(fact.key)
    if row is None:
        raise ConfigurationError(
            f'No call is recorded under key "{fact.key}"; `clawproof locks` lists the calls in doubt with their keys.'
        )
    state = State.DONE if fact.applied else State.FAILED
    if row.state is state:
        return
    if row.state is not State.IN_DOUBT or _running(tx, fact.key):
        state_now = "running" if row.state is State.IN_DOUBT else row.state
        raise ConfigurationError(f'The call under key "{fact.key}" is not in doubt: it is {state_now}.')
    # Without its owner, a late settle can no longer overrule what was resolved.
    tx.put_record(replace(row, state=state, result=fact.result, owner="", updated_at=tx.now))
    hand_on(tx)
    about = Begin("", "", agent=row.agent, thread=row.thread, tool=row.tool, key=row.key)
    data = {"applied": fact.applied, "by": fact.by, "tool": row.tool}
    tx.append(events.CALL_RESOLVED, about, fence=row.fence, data=data)


def _expired_call(tx: Transaction, key: str) -> RecordRow | None:
    for lease in [row for row in tx.leases(expired=True) if row.claimed and row.ask.key == key]:
        expire(tx, lease)
    return tx.record(key)


def snapshot(tx: Transaction) -> Snapshot:
    """Read the namespace at one instant; what has expired is shown as it will be swept."""
    claimed = [row for row in tx.leases() if row.claimed]
    live = [row for row in claimed if row.expires > tx.now]
    running = {row.ask.key for row in live}
    dead = [row for row in claimed if row.expires <= tx.now and row.ask.key]
    in_doubt = [row for row in tx.in_doubt() if row.key not in running]
    in_doubt += [
        replace(record_of(tx, row, State.IN_DOUBT, row.attempt + 1, None), updated_at=row.expires) for row in dead
    ]
    return Snapshot(
        tuple(_lease_view(tx, row) for row in live),
        tuple(_waiter_view(tx, row) for row in tx.waiters()),
        tuple(InDoubt(row.key, row.agent, row.thread, row.tool, row.attempt, row.updated_at) for row in in_doubt),
        tuple(tx.all_killed()),
    )


def _lease_view(tx: Transaction, row: LeaseRow) -> LeaseView:
    ask = row.ask
    return LeaseView(
        ask.owner, ask.agent, ask.thread, ask.tool, ask.key, ask.wants, row.fence, tx.now - row.since,
        row.expires - tx.now,
    )  # fmt: skip


def _waiter_view(tx: Transaction, row: WaiterRow) -> WaiterView:
    ask = row.ask
    return WaiterView(ask.owner, ask.agent, ask.thread, ask.tool, ask.wants, row.place, tx.now - row.arrived)
