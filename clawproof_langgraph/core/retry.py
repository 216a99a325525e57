"""Whether and when to run a failed call again, decided with tenacity's stop and wait objects."""

from __future__ import annotations

from typing import Any

from tenacity import RetryCallState, stop_after_attempt, wait_exponential

from clawproof_langgraph.policy import Retry

_JITTER = 0.25
"""The share by which a pause is made longer or shorter, as in LangChain's ToolRetryMiddleware."""


def pause_before(
    retry: Retry, *, tries: int, elapsed: float, ttl: float, chance: float, asked: float | None = None
) -> float | None:
    """Tell how long to wait before the next attempt.

    Args:
        retry: the policy's terms.
        tries: how many attempts were made.
        elapsed: seconds since the first one began.
        ttl: the lease's, in seconds; a pause over half of it ends the retries, since others wait for the lease.
        chance: a random number from 0 to 1.
        asked: the shortest pause in seconds that the service asks for; `max_delay` does not cut it short, and one that
            is too long for the bounds ends the retries, since an earlier attempt is known to be refused.

    Returns:
        Seconds, or None for no further attempt.
    """
    state = _state(tries)
    if stop_after_attempt(retry.max_retries + 1)(state):
        return None
    pause, least = float(_backoff(retry)(state)), asked or 0.0
    room = min(ttl / 2, retry.deadline - elapsed)
    if max(pause, least) > room:
        return None
    if retry.jitter:  # chance varies a pause as far as there is room, and never decides whether there is one
        pause *= 1 + _JITTER * (2 * chance - 1)
        least *= 1 + _JITTER * chance  # all who were asked to wait would else come back at once
    return min(max(pause, least), room)


def _backoff(retry: Retry) -> wait_exponential:
    base = retry.backoff_factor or 1.0  # LangChain: a factor of 0 means a constant delay
    return wait_exponential(multiplier=retry.initial_delay, exp_base=base, max=retry.max_delay)


def _state(tries: int) -> RetryCallState:
    nothing: Any = None
    state = RetryCallState(nothing, nothing, (), {})
    state.attempt_number = tries
    return state
