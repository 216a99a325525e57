"""Waiting for what another thread or process is about to do, with a deadline instead of a guess."""

import asyncio
import time
from collections.abc import Callable

PATIENCE = 10.0
"""Seconds that a test waits for what is certain to come."""
_LOOK = 0.005
"""Seconds between two looks."""


def wait_until(condition: Callable[[], object], *, within: float = PATIENCE) -> None:
    """Wait until a condition holds; fail if it does not within so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"it did not come true within {within} s"
        time.sleep(_LOOK)


async def await_until(condition: Callable[[], object], *, within: float = PATIENCE) -> None:
    """Do what `wait_until` does, on an event loop."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"it did not come true within {within} s"
        await asyncio.sleep(_LOOK)
