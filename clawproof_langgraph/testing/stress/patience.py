"""How long a run waits for its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_LOOK: Final = 1.0
"""The most seconds that count between two looks."""


class Patience:
    """Counts the seconds that are waited; time in which this process itself stood still counts for one look only.

    A machine that slept, or a debugger, must not look like agents that never end.

    Args:
        seconds: how long to wait.
        after: on the clock; before that nothing counts.
        clock: tells the time in seconds.
    """

    def __init__(self, seconds: float, *, after: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._left, self._after, self._clock = seconds, after, clock
        self._last = clock()

    def is_over(self) -> bool:
        """Tell whether it has been waited for long enough; to be asked every second or more often."""
        now = self._clock()
        if now > self._after:
            self._left -= min(now - max(self._last, self._after), _LOOK)
        self._last = now
        return self._left < 0
