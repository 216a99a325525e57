"""The two clocks of a store: one that tells the date, and one that nobody can set."""

from __future__ import annotations

from time import monotonic, time
from typing import Protocol


class Clock(Protocol):
    """What a store goes by."""

    def time(self) -> float:
        """Tell the seconds since the epoch: for the log, fences, and how long a record is kept."""

    def ticks(self) -> float:
        """Tell the seconds that have passed since some moment: for leases and waiters.

        All processes that share the store must see the same moment. An operator or NTP that sets the date must not
        end a lease or keep a dead one alive.
        """


class SystemClock:
    """The machine's own clocks; the second is one for all of its processes, and starts anew when it boots."""

    time = staticmethod(time)
    ticks = staticmethod(monotonic)
