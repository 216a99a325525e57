"""The guarded call: get a turn, run the tool under its lease, settle.

begin -> wait for the turn -> run -> settle
           |                   |  \\__ retry, inside the same lease
           v                   v
         an answer           the tool's own result or error, whatever became of the record
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clawproof_langgraph import events
from clawproof_langgraph.core.acquire import acquire
from clawproof_langgraph.core.outcome import may_have_touched, state_after
from clawproof_langgraph.core.retry import pause_before
from clawproof_langgraph.core.steps import Draw, Now, Program, Raised, Returned, Run, Sleep, Warn
from clawproof_langgraph.errors import BackendUnavailable, LeaseLost, OutcomeUnrecorded
from clawproof_langgraph.model import (
    Begin,
    Granted,
    Held,
    Killed,
    Mismatch,
    Note,
    Replay,
    Settle,
    SettleReply,
    State,
    Withdraw,
)
from clawproof_langgraph.policy import Effect, Retry

_SETTLE_PAUSE = 0.2
"""Seconds between two tries to settle while the store is down."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a policy says of one call.

    Args:
        effect: what the tool does.
        wait: seconds to wait for the turn.
        retry: when to run it again; None for never.
        emits: the type of the domain event of a success; empty for none.
        fields: what that event carries of the arguments.
    """

    effect: Effect
    wait: float
    retry: Retry | None = None
    emits: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


Ended = Returned | Raised | Replay | Held | Killed | Mismatch
"""The tool's own result or error, or the answer that took its place."""


def guarded_call(ask: Begin, terms: Terms) -> Program[Ended]:
    """Run one call under coordination.

    Raises:
        WaitTimeout: the turn did not come in time.
        BackendUnavailable: the store could not be used; the tool was not run.
    """
    verdict = yield from acquire(ask, wait=terms.wait)
    if not isinstance(verdict, Granted):
        return verdict
    outcome, attempt = yield from _run_with_retries(ask, verdict, terms)
    yield from _settle(ask, verdict, terms, outcome, attempt)
    return outcome


def _run_with_retries(ask: Begin, lease: Granted, terms: Terms) -> Program[tuple[Returned | Raised, int]]:
    outcome, attempt = None, lease.attempt
    try:
        started = yield Now()
        while True:
            outcome, attempt = (yield Run(lease, attempt + 1)), attempt + 1
            pause = yield from _pause(ask, terms, outcome, started, attempt - lease.attempt)
            if pause is None:
                return outcome, attempt
            yield _note(events.CALL_RETRYING, ask, lease, {"attempt": attempt, "pause": pause, "error": _name(outcome)})
            yield Sleep(pause)
    except BaseException:
        if outcome is None:  # the tool was never started, for example cancelled before its thread was free
            yield Withdraw(ask.owner)
        else:  # stopped between two attempts: what the last one came to is known
            yield from _settle(ask, lease, terms, outcome, attempt)
        raise


def _pause(ask: Begin, terms: Terms, outcome: Returned | Raised, started: float, tries: int) -> Program[float | None]:
    if isinstance(outcome, Returned) or terms.retry is None:
        return None
    state = state_after(outcome, terms.effect)
    if state is not State.FAILED or not outcome.retryable:
        return None
    elapsed = (yield Now()) - started
    chance = yield Draw()
    return pause_before(terms.retry, tries=tries, elapsed=elapsed, ttl=ask.ttl, chance=chance)


def _settle(ask: Begin, lease: Granted, terms: Terms, outcome: Returned | Raised, attempt: int) -> Program[None]:
    end = _ending(ask, lease, terms, outcome, attempt)
    started = yield Now()
    while True:
        try:
            reply = yield end
        except BackendUnavailable as exc:
            if end.state is not State.DONE:  # while an error unwinds, what became of the record is second to it
                yield Warn(exc)
                return
            if (yield Now()) - started + _SETTLE_PAUSE > ask.ttl:
                yield Warn(OutcomeUnrecorded(lease.key or ask.owner, ask.tool, getattr(outcome, "value", None)))
                return
            yield Sleep(_SETTLE_PAUSE)
        else:
            break
    if reply is not SettleReply.SETTLED:
        names = tuple(want.resource for want in ask.wants)
        yield _note(events.LEASE_LOST, ask, lease, {"tool": ask.tool, "outcome": str(end.state)})
        yield Warn(LeaseLost(names, "it ended before the call did"))


def _ending(ask: Begin, lease: Granted, terms: Terms, outcome: Returned | Raised, attempt: int) -> Settle:
    state = state_after(outcome, terms.effect)
    return Settle(
        ask.owner,
        lease.fence,
        state,
        key=lease.key,
        result=outcome.stored,
        touched=may_have_touched(outcome, terms.effect),
        attempt=attempt,
        error=_name(outcome),
        emits=((terms.emits, terms.fields),) if terms.emits and state is State.DONE else (),
    )


def _name(outcome: Returned | Raised) -> str:
    return type(outcome.error).__name__ if isinstance(outcome, Raised) else ""


def _note(kind: str, ask: Begin, lease: Granted, data: dict[str, Any]) -> Note:
    names = tuple(want.resource for want in ask.wants)
    return Note(kind, ask.agent, ask.thread, ask.owner, lease.key, names, lease.fence, data)
