"""Resources that a call uses without a lock: whether somebody had one alone meanwhile, in one more command."""

from __future__ import annotations

from clawproof_langgraph import events
from clawproof_langgraph.core.steps import Notice, Now, Program
from clawproof_langgraph.model import Begin, Glance, Killed, Look, Looked, Note, State

_LATE = 1.0
"""Seconds that an answer may take to be relied on: the store looks no further back than that."""


def look_back(
    ask: Begin,
    resources: tuple[str, ...],
    since: float,
    *,
    state: State | None = None,
    attempt: int = 1,
    error: str = "",
) -> Program[Killed | None]:
    """Find out whether what was used without a lock was changed meanwhile, and note it.

    Args:
        ask: the request of the call.
        resources: what it used.
        since: when it began, in seconds of the monotonic clock.
        state, attempt, error: how it came out, where nothing else will tell; then a stopped agent is found out, too.

    Raises:
        BackendUnavailable: the store could not be used.
    """
    sent = yield Now()
    found: Looked | Killed = yield ask._replace(look=Look(resources, sent - since, state, attempt, error))
    if isinstance(found, Killed):
        return found
    answered = yield Now()
    # By the store's clock, the call began at the earliest as long before its answer as the caller had to wait for that.
    began = found.now - (answered - since)
    is_late = answered - sent > _LATE
    stale = tuple([glance.resource for glance in found.glances if is_late or _was_written(glance, began)])
    if stale and not found.told:
        data = {"tool": ask.tool, "in_flight": [], "changed": list(stale)}
        yield Note(events.CALL_STALE, ask.agent, ask.thread, ask.owner, ask.key, resources, data=data)
    fresh = tuple([(glance.resource, glance.version) for glance in found.glances if glance.resource not in stale])
    yield Notice(stale, fresh)
    return None


def _was_written(glance: Glance, began: float) -> bool:
    return glance.in_flight or glance.ended >= began
