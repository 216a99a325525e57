"""Whether and when to run a failed call again, decided with tenacity's stop and wait objects."""

from __future__ import annotations

from typing import Any

from tenacity import RetryCallState, stop_after_attempt, wait_exponential

from clawproof_langgraph.policy import Retry

_JITTER = 0.25
"""The share by which a pause is made longer or shorter, as in LangChain's ToolRetryMiddleware."""


def pause_before(retry: Retry, *, tries: int, elapsed: float, ttl: float, chance: float) -> float | None:
    """Tell how long to wait before the next attempt.

    Args:
        retry: the policy's terms.
        tries: how many attempts were made.
        elapsed: seconds since the first one began.
        ttl: the lease's, in seconds; a pause over half of it ends the retries, since others wait for the lease.
        chance: a random number from 0 to 1.

    Returns:
        Seconds, or None for no further attempt.
    """
    state = _state(tries)
    if stop_after_attempt(retry.max_retries + 1)(state):
        return None
    pause = float(_backoff(retry)(state))
    if retry.jitter:
        pause *= 1 + _JITTER * (2 * chance - 1)
    if pause > ttl / 2 or elapsed + pause > retry.deadline:
        return None
    return pause


def _backoff(retry: Retry) -> wait_exponential:
    base = retry.backoff_factor or 1.0  # LangChain: a factor of 0 means a constant delay
    return wait_exponential(multiplier=retry.initial_delay, exp_base=base, max=retry.max_delay)


def _state(tries: int) -> RetryCallState:
    nothing: Any = None
    state = RetryCallState(nothing, nothing, (), {})
    state.attempt_number = tries
    return state
