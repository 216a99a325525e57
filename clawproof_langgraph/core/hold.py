"""A plain lock: get a turn, and give it back."""

from __future__ import annotations

from clawproof_langgraph import events
from clawproof_langgraph.core.acquire import acquire
from clawproof_langgraph.core.steps import Program, Warn
from clawproof_langgraph.errors import AgentKilled, BackendUnavailable, LeaseLost
from clawproof_langgraph.model import Begin, Granted, Killed, Note, Settle, SettleReply, Withdraw


def take(ask: Begin, *, wait: float) -> Program[Granted]:
    """Get the lease of a lock.

    Raises:
        WaitTimeout: the turn did not come in time.
        AgentKilled: the agent is stopped.
        BackendUnavailable: the store could not be used.
    """
    verdict = yield from acquire(ask, wait=wait)
    if isinstance(verdict, Killed):
        raise AgentKilled(verdict.agent, verdict.reason, verdict.by)
    assert isinstance(verdict, Granted), "a request without a key gets no other answer"
    return verdict


def leave(ask: Begin) -> Program[None]:
    """Give up a lock that its taker never got to use."""
    yield Withdraw(ask.owner, within=ask.ttl)


def give_back(ask: Begin, lease: Granted) -> Program[None]:
    """End the lease of a lock; a failure only warns, since the work under the lock is done."""
    try:
        reply = yield Settle(ask.owner, lease.fence, None, patience=ask.ttl)
    except BackendUnavailable as exc:
        yield Warn(exc)
        return
    if reply is not SettleReply.SETTLED:
        names = tuple(want.resource for want in ask.wants)
        yield Note(events.LEASE_LOST, ask.agent, call=ask.owner, resources=names, fence=lease.fence)
        yield Warn(LeaseLost(names, "it ended before the lock was given back"))
