"""Guarded calls without a guard: what a tool sees of one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from clawproof_langgraph.model import Granted
from clawproof_langgraph.runtime.context import CallContext, running
from clawproof_langgraph.runtime.lease import Lease
from clawproof_langgraph.testing.builders import call

TTL = 60.0


def attempt_of(key: str, *, attempt: int = 1, fence: int = 7) -> CallContext:
    """Make one attempt of the call with this key; empty for a read or a plain lock."""
    return CallContext(_lease(key, fence), attempt=attempt)


@contextmanager
def inside(key: str) -> Iterator[CallContext]:
    """Run as the body of a new attempt of the call with this key."""
    made = attempt_of(key)
    with running(made, _lease(key, 7), "a coordinator"):
        yield made


def _lease(key: str, fence: int) -> Lease:
    granted = Granted("me", fence, TTL, key)
    return Lease(call("me", "a", key=key, ttl=TTL), granted, asked_at=time.monotonic(), renew=lambda lease: None)
