"""Requests that are sent ahead of their turn, behind the command that waits for the bell.

The server carries such a request out as soon as the bell has rung, so that the grant comes with the ring: nobody has to
wake up first, ask for it and wait once more. What it says is in the store by then, as after any other request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from clawproof_langgraph.backends.base import Answered
from clawproof_langgraph.backends.redis.encoding import Argument
from clawproof_langgraph.model import Begin, BeginReply, Queued

_DRIFT: Final = 0.001
"""The share by which the clock of the server may run faster than this machine's."""
_REMEMBERED: Final = 10_000
"""The most requests of which it is remembered when they got in line."""


class Ahead:
    """What is known of the requests of a backend that wait for their turn.

    Args:
        command: writes a request as a command.
        begun: reads its reply.
    """

    def __init__(
        self, command: Callable[[Begin], Sequence[Argument]], begun: Callable[[Begin, Any], BeginReply]
    ) -> None:
        self._command, self._begun = command, begun
        self._queued: dict[str, tuple[float, float]] = {}
        self._sent: set[str] = set()

    def noted(self, ask: Begin, began: float, reply: Any, answer: BeginReply) -> BeginReply:
        """Note when, by both clocks, a request got in line; `began`: before it was sent, by this machine's."""
        if isinstance(answer, Queued):
            self._queued[ask.owner] = began, float(reply[-1])
            if len(self._queued) > _REMEMBERED:
                self.forget(next(iter(self._queued)))
        else:
            self.forget(ask.owner)
        return answer

    def command(self, ask: Begin) -> Sequence[Argument] | None:
        """Write a request to be sent ahead; None for one that is not known to wait."""
        if ask.owner not in self._queued:
            return None
        self._sent.add(ask.owner)
        return self._command(ask)

    def is_unheard(self, owner: str) -> bool:
        """Tell whether a request was sent ahead, and may have been answered without its owner knowing."""
        return owner in self._sent

    def answered(self, ask: Begin, reply: Any) -> Answered | None:
        """Read the reply to a request that was sent ahead; None if it has to be asked anew.

        It was carried out later than it was sent. When, tells the server: not less after it got in line than has
        passed by the server's clock meanwhile.
        """
        self._sent.discard(ask.owner)
        times = self._queued.get(ask.owner)
        if times is None or isinstance(reply, Exception) or reply[0] == b"absent":
            return None
        answer = self._begun(ask, reply)
        if isinstance(answer, Queued):
            return Answered(answer, times[0])
        self.forget(ask.owner)
        passed = (float(reply[-1]) - times[1]) * (1 - _DRIFT) if reply[0] == b"granted" else 0.0
        return Answered(answer, min(times[0] + max(passed, 0.0), time.monotonic()))

    def forget(self, owner: str) -> None:
        """Forget a request that is given up."""
        self._queued.pop(owner, None)
        self._sent.discard(owner)
