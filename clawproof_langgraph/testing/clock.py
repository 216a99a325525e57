"""A clock that a test moves, so that nothing has to sleep until something expires."""

from __future__ import annotations


class ManualClock:
    """Tells the time that a test has set; give it to a backend as its `clock`.

    Args:
        now: the first time that it tells, in seconds since the epoch.
        ticks: the first number of seconds passed; the same as `now` if not given.
    """

    def __init__(self, now: float = 1_800_000_000.0, ticks: float | None = None) -> None:
        self._now = now
        self._ticks = now if ticks is None else ticks

    def time(self) -> float:
        """Tell the seconds since the epoch."""
        return self._now

    def ticks(self) -> float:
        """Tell the seconds that have passed."""
        return self._ticks

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        self._ticks += seconds

    def set_date(self, seconds: float) -> None:
        """Set the date forward, or back with a negative number, as an operator or NTP may do; no time passes."""
        self._now += seconds
