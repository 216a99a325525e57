"""A clock that a test moves, so that nothing has to sleep until something expires."""

from __future__ import annotations


class ManualClock:
    """Tells the seconds since the epoch that a test has set; give it to a backend as its `clock`.

    Args:
        now: the first time that it tells.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the time on; a negative number sets the clock back, as an operator or NTP may do."""
        self.now += seconds
