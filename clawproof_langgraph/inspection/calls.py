"""What became of each call: a pure function of the event log, completed by what a snapshot knows better.

A call has no entry of its own in the log. It is what all events with its id tell together; only the word of the
operator who resolves a call in doubt, and a later execution of the same call, find it by its idempotency key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from clawproof_langgraph import events as log
from clawproof_langgraph.events import Event
from clawproof_langgraph.model import Snapshot, WaiterView


class Outcome(StrEnum):
    """How a call came out, or how far it has come."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REPLAYED = "replayed"  # answered with the stored result
    FAILED = "failed"
    SUSPENDED = "suspended"
    IN_DOUBT = "in_doubt"
    RESOLVED = "resolved"  # was in doubt, and somebody said what happened
    RERUN = "rerun"  # was in doubt, and was run again
    REFUSED = "refused"
    RELEASED = "released"  # given back: a lock that is no tool call, or the turn of a call that was not run
    EXPIRED = "expired"  # the lease ended without a word, and there is nothing to be in doubt of


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool, or one lock.

    Args:
        id: the id of the call (its owner id).
        asked: when it asked for its turn, in seconds since the epoch.
        agent, thread, tool, key: as in its events; the tool is empty for a lock, the key for what has none.
        resources: what it asked for.
        fence: the fencing token, 0 if it got no lease.
        waited: seconds until it got its turn, or so far.
        held: seconds that it held its lease, None if that is not known.
        attempts: how often it was executed, over all calls under its key.
        outcome: how it came out.
        error: the type of the exception that it ended with, if any.
        reason: why it was refused or is in doubt; for a resolved one, `applied` or `not_applied`.
        by: who resolved it.
        alerts: the types of the events that called for attention while it ran.
    """

    id: str
    asked: float
    agent: str = ""
    thread: str = ""
    tool: str = ""
    key: str = ""
    resources: tuple[str, ...] = ()
    fence: int = 0
    waited: float = 0.0
    held: float | None = None
    attempts: int = 0
    outcome: Outcome = Outcome.RUNNING
    error: str = ""
    reason: str = ""
    by: str = ""
    alerts: tuple[str, ...] = ()


def calls_of(events: Iterable[Event]) -> tuple[Call, ...]:
    """Read from events what became of each call, in the order in which they asked.

    Args:
        events: in the order of the log; of one thread or agent, or all.
    """
    reader = _Reader()
    for event in events:
        reader.read(event)
    return tuple(sorted(reader.calls.values(), key=lambda call: call.asked))


def brought_up_to_date(calls: Iterable[Call], snapshot: Snapshot, *, now: float) -> tuple[Call, ...]:
    """Complete calls with what the log does not tell: who waits, what a running call holds, which doubts remain.

    Args:
        calls: of events that tell of grants before the snapshot, and of how these ended until a moment after it.
        snapshot: of the same namespace; all of its waiters become calls.
        now: the time of the snapshot in seconds since the epoch.
    """
    held = {lease.owner: lease.held for lease in snapshot.leases}
    doubts = {entry.key for entry in snapshot.in_doubt}
    known = [_as_of_now(call, held, doubts) for call in calls]
    queued = [_waiting(waiter, now) for waiter in snapshot.waiters]
    return tuple(sorted([*known, *queued], key=lambda call: call.asked))


def _as_of_now(call: Call, held: Mapping[str, float], doubts: set[str]) -> Call:
    if call.outcome is Outcome.RUNNING and call.id in held:
        return replace(call, held=held[call.id])
    if call.outcome is Outcome.RUNNING and call.key in doubts:  # no sweep has come by yet
        return replace(call, outcome=Outcome.IN_DOUBT, reason="the lease expired")
    if call.outcome is Outcome.RUNNING and not call.key:  # nor here
        return replace(call, outcome=Outcome.EXPIRED)
    if call.outcome is Outcome.IN_DOUBT and call.key not in doubts:  # by a call that is not among these
        return replace(call, outcome=Outcome.RERUN)
    return call


def _waiting(waiter: WaiterView, now: float) -> Call:
    return Call(
        waiter.owner,
        now - waiter.waited,
        waiter.agent,
        waiter.thread,
        waiter.tool,
        resources=tuple(want.resource for want in waiter.wants),
        waited=waiter.waited,
        outcome=Outcome.WAITING,
    )


class _Reader:
    """Reads events in order, and keeps what they tell of each call."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self._doubted: dict[str, str] = {}  # the last call under each key that was in doubt
        self._before: dict[str, str] = {}  # the call in doubt whose key a later one has taken up

    def read(self, event: Event) -> None:
        owner = event.call or self._doubted.get(event.key, "")
        if not owner or event.type not in _READ:
            return
        call = self.calls[owner] = _READ[event.type](self.calls.get(owner) or _first_seen(event), event)
        if event.type == log.CALL_STARTED:
            self._take_up(call)
        elif doubted := self.calls.get(self._before.get(owner, "")):
            self._look_into(call, doubted, event)
        if call.outcome is Outcome.IN_DOUBT and call.key:
            self._doubted[call.key] = owner

    def _take_up(self, call: Call) -> None:
        doubted = self.calls.get(self._doubted.get(call.key, ""))
        if doubted and doubted.outcome is Outcome.IN_DOUBT:
            self._before[call.id] = doubted.id
            self.calls[doubted.id] = replace(doubted, outcome=Outcome.RERUN)

    def _look_into(self, call: Call, doubted: Call, event: Event) -> None:
        if event.type == log.CALL_RESOLVED and event.call:  # its probe has found the effect
            self.calls[doubted.id] = _resolved(doubted, event)
            self.calls[call.id] = replace(_not_run(call), outcome=Outcome.REPLAYED, reason="", by="")
        elif call.outcome is Outcome.RELEASED and doubted.outcome is Outcome.RERUN:  # it could not tell
            self.calls[doubted.id] = replace(doubted, outcome=Outcome.IN_DOUBT)


# --- what each type of event tells of its call --------------------------------------------------------------------


def _first_seen(event: Event) -> Call:
    """Make the call of the first event that is known of it, which need not be its first one."""
    before = _number(event.data, "waited") + _number(event.data, "held")
    return Call(event.call, event.time - before, event.agent, event.thread, key=event.key, resources=event.resources)


def _acquired(call: Call, event: Event) -> Call:
    return replace(call, resources=event.resources, fence=event.fence, waited=_number(event.data, "waited"))


def _started(call: Call, event: Event) -> Call:
    return replace(call, tool=_tool(call, event), fence=event.fence, attempts=int(_number(event.data, "attempt")))


def _retrying(call: Call, event: Event) -> Call:
    return replace(call, attempts=int(_number(event.data, "attempt")) + 1)


def _settled(outcome: Outcome) -> Callable[[Call, Event], Call]:
    def read(call: Call, event: Event) -> Call:
        data = event.data
        return replace(
            call,
            tool=_tool(call, event),
            fence=event.fence or call.fence,
            outcome=outcome,
            held=data.get("held", call.held),
            attempts=data.get("attempt", call.attempts),
            error=str(data.get("error", "")),
            reason=str(data.get("reason", "")),
        )

    return read


def _refused(call: Call, event: Event) -> Call:
    reason, waited = str(event.data.get("reason", "")), _number(event.data, "waited")
    return replace(call, tool=_tool(call, event), outcome=Outcome.REFUSED, reason=reason, waited=waited)


def _stale(call: Call, event: Event) -> Call:
    if "changes" not in event.data:  # it went on without a lock, and was told afterwards
        return _alerted(call, event)
    return replace(call, tool=_tool(call, event), outcome=Outcome.REFUSED, reason="stale read")


def _replayed(call: Call, event: Event) -> Call:
    return replace(call, tool=_tool(call, event), outcome=Outcome.REPLAYED, waited=_number(event.data, "waited"))


def _released(call: Call, event: Event) -> Call:
    call = replace(call, held=event.data.get("held", call.held))
    if not call.tool:
        return replace(call, outcome=Outcome.RELEASED)
    # What a tool came to is told before.
    return replace(_not_run(call), outcome=Outcome.RELEASED) if call.outcome is Outcome.RUNNING else call


def _not_run(call: Call) -> Call:
    return replace(call, attempts=max(call.attempts - 1, 0))


def _resolved(call: Call, event: Event) -> Call:
    said = "applied" if event.data.get("applied") else "not_applied"
    return replace(call, outcome=Outcome.RESOLVED, reason=said, by=str(event.data.get("by", "")))


def _alerted(call: Call, event: Event) -> Call:
    return replace(call, alerts=(*call.alerts, event.type))


_READ: Final[Mapping[str, Callable[[Call, Event], Call]]] = {
    log.LOCK_ACQUIRED: _acquired,
    log.LOCK_RELEASED: _released,
    log.LOCK_DENIED: _refused,
    log.LOCK_EXPIRED: _settled(Outcome.EXPIRED),
    log.LEASE_LOST: _alerted,
    log.DEADLOCK_SUSPECTED: _alerted,
    log.CALL_STARTED: _started,
    log.CALL_REPLAYED: _replayed,
    log.CALL_RETRYING: _retrying,
    log.CALL_DONE: _settled(Outcome.DONE),
    log.CALL_FAILED: _settled(Outcome.FAILED),
    log.CALL_SUSPENDED: _settled(Outcome.SUSPENDED),
    log.CALL_IN_DOUBT: _settled(Outcome.IN_DOUBT),
    log.CALL_RESOLVED: _resolved,
    log.CALL_STALE: _stale,
}


def _tool(call: Call, event: Event) -> str:
    return str(event.data.get("tool") or call.tool)


def _number(data: Mapping[str, Any], name: str) -> float:
    value = data.get(name, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0
