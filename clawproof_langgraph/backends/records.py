"""The rules of records: what is known of a call, and what it means for a request that turns out to be that call.

done, rejected      answered with what is stored
failed, suspended   free to run again
failed, touched     the same as long as the request's policy lets a call in doubt run again; then it is in doubt
in_doubt            run again or held, as the request's policy says; a further run that tells only of itself, because
                    nothing happened in it or it waits for a human, leaves the doubt as it was
"""

from __future__ import annotations

from typing import Any, Final, assert_never

from clawproof_langgraph import events
from clawproof_langgraph.backends import versions
from clawproof_langgraph.backends.store import LeaseRow, RecordRow, Transaction
from clawproof_langgraph.backends.wants import all_wants, names_of, of_key
from clawproof_langgraph.model import Begin, Held, Killed, Mismatch, Replay, Settle, SettleReply, State

EXPIRED: Final = "the lease expired"
"""Why a call is in doubt of which nothing more was heard."""

EVENT_OF: Final = {
    State.DONE: events.CALL_DONE,
    State.FAILED: events.CALL_FAILED,
    State.REJECTED: events.CALL_FAILED,
    State.SUSPENDED: events.CALL_SUSPENDED,
    State.IN_DOUBT: events.CALL_IN_DOUBT,
}
_FREE: Final = (State.FAILED, State.SUSPENDED)
"""How a call ends that is free to run again."""


# --- judging a request ------------------------------------------------------------------------------------------


class Fit:
    """A request that may be granted: perhaps under the key that it adopts, which its record knows."""

    __slots__ = ("ask", "record", "wants")

    def __init__(self, ask: Begin, record: RecordRow | None = None) -> None:
        self.ask, self.record, self.wants = ask, record, all_wants(ask)


def judge(tx: Transaction, ask: Begin) -> Fit | Replay | Held | Killed | Mismatch:
    """Say whether a request may be granted, or what answers it."""
    if ask.agent and (killed := tx.killed(ask.agent)):
        deny(tx, ask, "killed")
        return killed
    if not ask.key:
        return Fit(ask)
    record = tx.record(ask.key)
    if record and record.same_as:
        ask = ask._replace(key=record.same_as)
        record = tx.record(ask.key)
    elif record is None and ask.scope and (record := _adoptable(tx, ask)):
        # It is that call, whatever its own key, and stays it: when it is asked again, and when it is resolved.
        alias = record._replace(key=ask.key, state=State.DONE, touched=False, owner="", same_as=record.key, asked=())
        tx.put_record(alias._replace(updated_at=tx.now))
        ask = ask._replace(key=record.key)
    return Fit(ask) if record is None else _judge_record(tx, ask, record)


def _adoptable(tx: Transaction, ask: Begin) -> RecordRow | None:
    """Read the unsettled call that a request may be, and that nobody runs again already: what is running is another."""
    for record in tx.unsettled(ask.scope):
        if not is_running(tx, record.key) and not _are_apart(record.lineage, ask.lineage):
            return record
    return None


def _are_apart(one: str, other: str) -> bool:
    """Tell whether two calls came out of one place as different members of it: both are meant.

    The members of an AIMessage are its calls, and those of a step of a graph its tasks. A call that a model emits again
    comes out of another message, in another step.
    """
    members = dict(word.split(":") for word in one.split())
    return any(members.get(group, member) != member for group, member in (word.split(":") for word in other.split()))


def _judge_record(tx: Transaction, ask: Begin, record: RecordRow) -> Fit | Replay | Held | Mismatch:
    if record.fingerprint != ask.fingerprint:
        deny(tx, ask, "other arguments under the same key")
        return Mismatch(ask.key, ask.tool)
    match record.state:
        case State.DONE | State.REJECTED:
            data = {"tool": ask.tool, "waited": round(ask.waited, 6)}
            tx.append(events.CALL_REPLAYED, ask, resources=names_of(ask.wants), data=data)
            asked = asked_in(ask.task, record)
            return Replay(record.key, record.result, record.state is State.REJECTED, asked, record.fence)
        case State.IN_DOUBT | State.FAILED if _may_not_rerun(tx, ask, record):
            return _hold(tx, ask, record)
        case State.IN_DOUBT | State.SUSPENDED | State.FAILED:
            return Fit(ask, record)
        case _:
            assert_never(record.state)


def _may_not_rerun(tx: Transaction, ask: Begin, record: RecordRow) -> bool:
    is_late = not ask.rerun_within or tx.now - record.first_at > ask.rerun_within
    return record.touched and is_late and not is_running(tx, record.key)


def _hold(tx: Transaction, ask: Begin, record: RecordRow) -> Held:
    if record.state is State.FAILED:  # until now, it could have been run again
        tx.put_record(record._replace(state=State.IN_DOUBT, updated_at=tx.now))
        why = {"tool": record.tool, "reason": record.reason, "attempt": record.attempt}
        tx.append(events.CALL_IN_DOUBT, ask, resources=record.resources, fence=record.fence, data=why)
    deny(tx, ask, "in doubt")
    return Held(record.key, record.tool, record.fence, asked_in(ask.task, record))


def asked_in(task: str, record: RecordRow) -> tuple[int, ...]:
    """List about which executions of a call a human was asked in a task, in order."""
    return tuple([fence for where, fence in record.asked if where == task]) if record.asked else ()


def is_running(tx: Transaction, key: str) -> bool:
    """Tell whether the call of a key is being run, for the first time or again."""
    leases = [tx.lease(holding.owner) for holding in tx.holdings([of_key(key).resource])]
    return any(lease and lease.claimed and not tx.is_over(lease) for lease in leases)


def deny(tx: Transaction, ask: Begin, reason: str) -> None:
    """Note that a request was refused, or given up."""
    data = {"reason": reason, "tool": ask.tool, "waited": round(ask.waited, 6)}
    tx.append(events.LOCK_DENIED, ask, resources=names_of(ask.wants), data=data)


# --- recording an outcome ---------------------------------------------------------------------------------------


def record_outcome(tx: Transaction, lease: LeaseRow, end: Settle, state: State) -> None:
    """Record how the call of a lease came out."""
    ask, earlier = lease.ask, _earlier(tx, lease)
    if ask.key and state in _FREE and earlier and earlier.touched:
        reason = _reason_before(earlier, end.attempt)
        tx.put_record(_record_of(tx, lease, earlier, earlier.state, end, reason=reason, touched=True))
    elif ask.key and (state is not State.FAILED or end.is_open or (earlier and earlier.asked)):
        touched = state is State.IN_DOUBT or (state is State.FAILED and end.is_open)
        tx.put_record(_record_of(tx, lease, earlier, state, end, reason=end.error, touched=touched))
    elif earlier:
        tx.drop_record(ask.key)
    data = {"held": round(tx.ticks - lease.since, 6)}
    _tell_outcome(tx, ask, end, state, names_of(lease.wants), data)


def settle_late(tx: Transaction, end: Settle) -> SettleReply:
    """Record the outcome of a call whose lease has ended, unless somebody knows better by now."""
    record = tx.record(end.key) if end.key else None
    if record is None or record.owner != end.owner or end.state is None:
        return SettleReply.GONE
    state = record.state if end.state in _FREE and record.doubted_before else end.state
    unheard = record.state is State.IN_DOUBT and record.reason == EXPIRED
    if record.state is state and not unheard:  # the reply to an earlier settle was lost
        return SettleReply.SETTLED
    if record.state is not State.IN_DOUBT or is_running(tx, record.key):
        return SettleReply.GONE
    touched = state is State.IN_DOUBT or (state is State.FAILED and end.is_open)
    if state is State.FAILED and not (touched or record.asked):
        tx.drop_record(record.key)
    else:
        now_known = record._replace(state=state, result=end.result, reason=end.error, touched=touched)
        tx.put_record(now_known._replace(updated_at=tx.now))
    ask = Begin(end.owner, "", agent=record.agent, thread=record.thread, tool=record.tool, key=record.key)
    if end.touched:  # since its lease expired, it may have changed them once more
        versions.move_all(tx, record.resources, ask, end.fence)
    if end.state is not State.IN_DOUBT:  # that was told when the lease expired
        _tell_outcome(tx, ask, end, end.state, record.resources, {"late": True})
    return SettleReply.LATE


def doubt_of(tx: Transaction, lease: LeaseRow) -> RecordRow:
    """Make the record of a call whose lease has expired."""
    unknown = Settle(lease.ask.owner, lease.fence, State.IN_DOUBT, attempt=lease.attempt + 1)
    return _record_of(tx, lease, _earlier(tx, lease), State.IN_DOUBT, unknown, reason=EXPIRED, touched=True)


def _earlier(tx: Transaction, lease: LeaseRow) -> RecordRow | None:
    return tx.record(lease.ask.key) if lease.attempt else None


def _reason_before(earlier: RecordRow, attempt: int) -> str:
    """Tell why the effect of a call may have happened of which a later run knows nothing new."""
    told = earlier.doubted_before and earlier.reason != EXPIRED
    return earlier.reason if told else f"{earlier.reason}, before run {attempt}"


def _record_of(
    tx: Transaction,
    lease: LeaseRow,
    earlier: RecordRow | None,
    state: State,
    end: Settle,
    *,
    reason: str,
    touched: bool,
) -> RecordRow:
    ask = lease.ask
    return RecordRow(
        key=ask.key,
        state=state,
        agent=ask.agent,
        thread=ask.thread,
        tool=ask.tool,
        scope=ask.scope,
        fingerprint=ask.fingerprint,
        owner=ask.owner,
        fence=lease.fence,
        attempt=end.attempt,
        result=end.result,
        first_at=earlier.first_at if earlier else lease.fence / 1_000_000,
        updated_at=tx.now,
        resources=names_of(lease.wants) if touched else (),
        reason=reason if touched else "",
        doubted_before=earlier is not None and earlier.touched,
        touched=touched,
        asked=earlier.asked if earlier else (),
        lineage=ask.lineage,
    )


def _tell_outcome(
    tx: Transaction, ask: Begin, end: Settle, state: State, names: tuple[str, ...], data: dict[str, Any]
) -> None:
    data |= {"tool": ask.tool, "attempt": end.attempt, **end.facts}
    if end.error:
        data["error"] = end.error
        data["touched"] = end.touched
    if end.by:
        data |= {"applied": True, "by": end.by}
    tx.append(events.CALL_RESOLVED if end.by else EVENT_OF[state], ask, resources=names, fence=end.fence, data=data)
    for kind, fields in end.emits:
        tx.append(kind, ask, resources=names, fence=end.fence, data={**fields, "version": end.fence})
