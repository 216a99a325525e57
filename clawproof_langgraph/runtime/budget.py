"""How many retries one tool may make in this process before its successes have to pay for more."""

from __future__ import annotations

import logging
import threading
from typing import Final

from clawproof_langgraph.backends.forks import start_anew_in_children

_log = logging.getLogger("clawproof_langgraph")

CAPACITY: Final = 100
"""Tokens of a full budget: 20 retries in a row without a success between them."""

COST: Final = 5
"""Tokens of one retry."""

REWARD: Final = 1
"""Tokens that a success without a retry gives back: five of them pay for one retry."""


class RetryBudget:
    """Ends the retries of a tool while the service behind it is out, so that they do not become a storm.

    A token bucket, as in the standard mode of the AWS SDKs ("Retry behavior" in the AWS SDKs and Tools Reference Guide;
    500 tokens, 5 a retry, 1 back in token_bucket.rs of aws-smithy-runtime): a retry takes tokens, and none is made when
    they do not suffice; a success gives back what its last retry took, or one token if it needed none. The capacity is
    a fifth of theirs, for one tool is not the client of a whole service. gRPC (proposal A6, "Throttling Retry
    Attempts") counts every failure and retries while more than half is left; here a failure that is not retried takes
    nothing, since an agent calls a tool so seldom that its retries would stay off long after an outage. The first
    attempt of a call is never held back, and no clock is needed.

    Args:
        tool: its name, for the log.
    """

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self.start_anew()
        start_anew_in_children(self)

    def start_anew(self) -> None:
        """Be full; in a forked child, with a lock that no thread of the parent holds."""
        self._lock = threading.Lock()
        self._tokens, self._is_out = CAPACITY, False

    def take(self) -> bool:
        """Take what one retry costs, and tell whether it was there."""
        with self._lock:
            enough = self._tokens >= COST
            if enough:
                self._tokens -= COST
            told, self._is_out = self._is_out, self._is_out or not enough
        if not enough and not told:
            _log.warning(
                'The retries of tool "%s" are suspended in this process: so many of its calls failed that their budget '
                "is used up. Each call is still tried once; successes bring the retries back. "
                "Look at what the tool calls.",
                self._tool,
            )
        return enough

    def give_back(self, *, retried: bool) -> None:
        """Count a success, which came after a retry or without one."""
        with self._lock:
            self._tokens = min(CAPACITY, self._tokens + (COST if retried else REWARD))
            resumed = self._is_out and self._tokens >= COST
            if resumed:
                self._is_out = False
        if resumed:
            _log.info('The retries of tool "%s" are resumed.', self._tool)
