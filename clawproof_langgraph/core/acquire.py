"""Getting a turn: ask, wait while queued, ask again, give up in time."""

from __future__ import annotations

from clawproof_langgraph.core.steps import Now, Program, Wait
from clawproof_langgraph.errors import CallInProgress, WaitTimeout
from clawproof_langgraph.model import Begin, Granted, Held, Killed, Mismatch, Queued, Replay, Stale, Withdraw

Verdict = Granted | Replay | Held | Killed | Mismatch | Stale


def acquire(ask: Begin, *, wait: float) -> Program[Verdict]:
    """Ask until the turn has come.

    Args:
        ask: the request; it is asked again with the same owner, so that nothing is granted twice.
        wait: seconds to wait at most.

    Returns:
        The lease, or the answer that takes its place.

    Raises:
        WaitTimeout: the turn did not come in time; `CallInProgress` where the same call was in the way.
        BackendUnavailable: the store could not be used.
    """
    # A lost reply or an interrupted wait may hide a grant, so withdraw rather than assume.
    try:
        return (yield from _ask_until_answered(ask, wait))
    except WaitTimeout:
        yield Withdraw(ask.owner, "timeout", ask, within=ask.ttl)
        raise
    except BaseException:
        yield Withdraw(ask.owner, within=ask.ttl)
        raise


def _ask_until_answered(ask: Begin, wait: float) -> Program[Verdict]:
    reply = yield ask
    if not isinstance(reply, Queued):
        return reply  # type: ignore[no-any-return]
    started = yield Now()
    waited = 0.0
    while isinstance(reply, Queued):
        # Keys stand outside the order of locks, so calls that nest could wait for each other's in a circle. A dead
        # holder is waited for, since it ends; a living one is not.
        never = reply.on_key and reply.alive and bool(ask.ancestors)
        if never or waited >= wait:
            kind = CallInProgress if reply.on_key else WaitTimeout
            raise kind(reply.resource, reply.holder, waited)
        yield Wait(ask.owner, max(min(wait - waited, reply.look_again), 0.0))
        waited = (yield Now()) - started
        reply = yield ask._replace(repeated=True, waited=waited)
    return reply  # type: ignore[no-any-return]
