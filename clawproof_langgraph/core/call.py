"""The guarded call: get a turn, run the tool under its lease, settle.

begin -> wait for the turn -> run -> settle
           |                   |  \\__ retry, inside the same lease
           v                   v
         an answer           the tool's own result or error, whatever became of the record
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from clawproof_langgraph import events
from clawproof_langgraph.core.acquire import Verdict, acquire
from clawproof_langgraph.core.doubt import Questions, look_into
from clawproof_langgraph.core.looking import look_back
from clawproof_langgraph.core.outcome import may_have_touched, state_after, stays_open
from clawproof_langgraph.core.retry import pause_before
from clawproof_langgraph.core.steps import (
    Afford,
    Draw,
    Ending,
    Notice,
    Now,
    Program,
    Raised,
    Returned,
    Run,
    Sleep,
    Unheld,
    Warn,
)
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
    Stale,
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
        probes: whether the tool's author can look what became of a call in doubt.
        emits: the type of the domain event of a success; empty for none.
        fields: what that event carries of the arguments.
        advisory: resources that the call uses without a lock.
    """

    effect: Effect
    wait: float
    retry: Retry | None = None
    probes: bool = False
    emits: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    advisory: tuple[str, ...] = ()


Ended = Returned | Raised | Replay | Held | Killed | Mismatch | Stale
"""The tool's own result or error, or the answer that took its place."""


def guarded_call(ask: Begin, terms: Terms) -> Program[Ended]:
    """Run one call under coordination.

    Raises:
        WaitTimeout: the turn did not come in time.
        BackendUnavailable: the store could not be used; the tool was not run.
    """
    if terms.advisory and terms.effect is Effect.READ and not ask.wants:
        return (yield from _unheld_read(ask, terms))
    questions = Questions()
    verdict = yield from _verdict(ask, terms, questions)
    if not isinstance(verdict, Granted):
        if isinstance(verdict, Replay):
            yield from questions.pass_over(verdict.asked)
        return verdict
    outcomes, began = yield from _run_with_retries(ask, verdict, terms, questions)
    yield from _settle(ask, verdict, terms, outcomes)
    if terms.advisory:
        try:
            yield from look_back(ask, terms.advisory, began)
        except BackendUnavailable as exc:  # the call is over, and what it came to is known
            yield Warn(exc)
            yield Notice(terms.advisory, ())
    return outcomes[-1]


def _unheld_read(ask: Begin, terms: Terms) -> Program[Ended]:
    """Run a call that changes nothing and locks nothing, and look back afterwards: the only command that it takes."""
    lease = yield Unheld(ask)
    began = yield Now()
    outcomes: Outcomes = []
    while True:
        outcomes.append((yield Run(lease, len(outcomes) + 1)))
        pause = yield from _pause(ask, terms, outcomes, began)
        if pause is None:
            break
        yield Sleep(pause)
    last = outcomes[-1]
    state = state_after(last, terms.effect)
    killed = yield from look_back(ask, terms.advisory, began, state=state, attempt=len(outcomes), error=_name(last))
    return killed or last


def _verdict(ask: Begin, terms: Terms, questions: Questions) -> Program[Verdict]:
    """Get a turn, or the answer in its place, finding out what became of a call in doubt where that can be."""
    while True:
        verdict = yield from acquire(ask, wait=terms.wait)
        if isinstance(verdict, Granted) and verdict.in_doubt and terms.probes:
            verdict = yield from look_into(ask, verdict)
        if not (isinstance(verdict, Held) and ask.task):
            return verdict
        yield from questions.ask(ask, verdict)


Outcomes = list[Returned | Raised]
"""How the attempts of one lease ended, in order; the last one is the call's."""


def _run_with_retries(
    ask: Begin, lease: Granted, terms: Terms, questions: Questions
) -> Program[tuple[Outcomes, float]]:
    """Run the tool until there is no reason to run it again; give how its attempts ended, and when the first began."""
    outcomes: Outcomes = []
    run: Run | None = None
    try:
        yield from questions.pass_over(lease.asked)
        started = yield Now()
        while True:
            run = Run(lease, lease.attempt + len(outcomes) + 1)
            outcomes.append((yield run))
            run = None
            pause = yield from _pause(ask, terms, outcomes, started)
            if pause is None:
                return outcomes, started
            yield _note(events.CALL_RETRYING, ask, lease, _retrying(lease, outcomes, pause))
            yield Sleep(pause)
    except BaseException as error:
        if run is not None and run.begun:  # an interrupt took the place of the answer: nobody knows how it ended
            outcomes.append(Raised(error, Ending.CANCELLED))
        if outcomes:  # stopped between two attempts: what the last one came to is known
            yield from _settle(ask, lease, terms, outcomes)
        else:  # the tool was never started, for example cancelled before its thread had begun
            yield Withdraw(ask.owner, within=ask.ttl)
        raise


def _pause(ask: Begin, terms: Terms, outcomes: Outcomes, started: float) -> Program[float | None]:
    last = outcomes[-1]
    if isinstance(last, Returned) or terms.retry is None:
        return None
    if state_after(last, terms.effect) is not State.FAILED or not last.retryable:
        return None
    elapsed = (yield Now()) - started
    chance = yield Draw()
    pause = pause_before(
        terms.retry, tries=len(outcomes), elapsed=elapsed, ttl=ask.ttl, chance=chance, asked=last.retry_after
    )
    if pause is None or (yield Afford()):  # asked last: what is not retried anyway takes nothing out of the budget
        return pause
    outcomes[-1] = replace(last, unaffordable=True)
    return None


def _retrying(lease: Granted, outcomes: Outcomes, pause: float) -> dict[str, Any]:
    last = outcomes[-1]
    data = {"attempt": lease.attempt + len(outcomes), "pause": pause, "error": _name(last)}
    if isinstance(last, Raised) and last.retry_after is not None:
        data["retry_after"] = last.retry_after
    return data


def _settle(ask: Begin, lease: Granted, terms: Terms, outcomes: Outcomes) -> Program[None]:
    end = _ending(ask, lease, terms, outcomes)
    try:
        reply = yield from _until_settled(end, ask.ttl)
    except BackendUnavailable as exc:
        yield Warn(_unrecorded(ask, lease, outcomes) if end.state is State.DONE else exc)
        return
    except BaseException:  # stopped meanwhile: the caller does not get what the tool returned, so the store must
        if end.state is State.DONE:
            yield from _settle_at_last(end, _unrecorded(ask, lease, outcomes))
        raise
    if reply is not SettleReply.SETTLED:
        names = tuple(want.resource for want in ask.wants)
        yield _note(events.LEASE_LOST, ask, lease, {"tool": ask.tool, "outcome": str(end.state)})
        yield Warn(LeaseLost(names, "it ended before the call did"))


def _until_settled(end: Settle, patience: float) -> Program[SettleReply]:
    started, left = (yield Now()), patience
    while True:
        try:
            return (yield replace(end, patience=left))  # type: ignore[no-any-return]
        except BackendUnavailable as exc:
            # While an error unwinds, what becomes of the record is second to it. A closed coordinator stays closed.
            if end.state is not State.DONE or exc.closed:
                raise
            left = patience - ((yield Now()) - started) - _SETTLE_PAUSE
            if left < 0:
                raise
        yield Sleep(_SETTLE_PAUSE)


def _settle_at_last(end: Settle, unrecorded: OutcomeUnrecorded) -> Program[None]:
    # Settling twice does no harm, and a try that was cut off may or may not have arrived.
    try:
        yield end
    except BaseException:  # noqa: BLE001 - what stopped the call first is raised by the caller
        yield Warn(unrecorded)


def _unrecorded(ask: Begin, lease: Granted, outcomes: Outcomes) -> OutcomeUnrecorded:
    return OutcomeUnrecorded(lease.key, ask.tool, getattr(outcomes[-1], "value", None))


def _ending(ask: Begin, lease: Granted, terms: Terms, outcomes: Outcomes) -> Settle:
    last = outcomes[-1]
    state = state_after(last, terms.effect)
    return Settle(
        ask.owner,
        lease.fence,
        state,
        key=lease.key,
        result=last.stored,
        # An earlier attempt that failed may have had its effect all the same.
        touched=any(may_have_touched(outcome, terms.effect) for outcome in outcomes),
        is_open=any(stays_open(outcome, terms.effect) for outcome in outcomes),
        attempt=lease.attempt + len(outcomes),
        error=_name(last),
        facts={"retries": "suspended, since too many calls of this tool have failed"} if _is_unaffordable(last) else {},
        emits=((terms.emits, terms.fields),) if terms.emits and state is State.DONE else (),
    )


def _is_unaffordable(outcome: Returned | Raised) -> bool:
    return isinstance(outcome, Raised) and outcome.unaffordable


def _name(outcome: Returned | Raised) -> str:
    return type(outcome.error).__name__ if isinstance(outcome, Raised) else ""


def _note(kind: str, ask: Begin, lease: Granted, data: dict[str, Any]) -> Note:
    names = tuple(want.resource for want in ask.wants)
    return Note(kind, ask.agent, ask.thread, ask.owner, lease.key, names, lease.fence, data)
