"""The lease of a running call, as its holder sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

from clawproof_langgraph.errors import AgentKilled, LeaseLost
from clawproof_langgraph.model import Begin, Granted, Killed, Want

_MARGIN = 0.01
"""The share of the TTL by which a holder takes its lease to end early: clocks drift."""


class Lease:
    """The time-bounded right of one call to a set of resources.

    Attributes:
        owner: the id of the call.
        fence: the fencing token; hand it to stores that can refuse an older one.
        key: the idempotency key, empty for a plain lock.
        agent, thread: who holds it, and in which LangGraph thread, if any.
        resources: what it holds.
        ttl: seconds that it lives without renewal.
        lineage: what the call came out of, as in `Begin`.
        versions: of what it holds, where they were asked for.
        stale: what was used without a lock, and somebody had alone meanwhile; known once the call is over.
        deadline: when it ends unless renewed, in seconds of `time.monotonic()`.
    """

    def __init__(
        self,
        ask: Begin,
        granted: Granted,
        *,
        asked_at: float,
        renew: Callable[[Lease], None],
    ) -> None:
        self.owner, self.fence, self.key = granted.owner, granted.fence, granted.key
        self.agent, self.ttl, self.lineage = ask.agent, granted.ttl, ask.lineage
        self.thread = ask.thread
        self.wants: tuple[Want, ...] = ask.wants
        self.versions = granted.versions
        self.stale: tuple[str, ...] = ()
        self.renewed_at = asked_at
        self._renew = renew
        self._lost: str = ""
        self._killed: Killed | None = None
        self._told_at = asked_at
        self._on_lost: Callable[[], None] | None = None

    @classmethod
    def of_nothing(cls, ask: Begin, *, asked_at: float) -> Lease:
        """Make the lease of a call that holds nothing: the store knows nothing of it, and it never ends."""
        return cls(ask, Granted(ask.owner, 0, inf, ""), asked_at=asked_at, renew=_needs_no_renewal)

    def __repr__(self) -> str:
        state = "lost" if self.lost else "held"
        return f"<Lease {self.owner} on {', '.join(self.resources) or 'nothing'}, fence {self.fence}, {state}>"

    @property
    def resources(self) -> tuple[str, ...]:
        return tuple(want.resource for want in self.wants)

    @property
    def deadline(self) -> float:
        # Counted from before the request was sent: the store may have taken its time to answer.
        return self.renewed_at + self.ttl * (1 - _MARGIN)

    def check(self) -> None:
        """Make sure that the lease is still held and the agent may go on.

        Raises:
            LeaseLost: the lease has ended.
            AgentKilled: an operator has stopped the agent.
        """
        if self.lost:
            raise self.loss()
        if self._killed is not None:
            raise AgentKilled(self._killed.agent, self._killed.reason, self._killed.by)

    def heartbeat(self) -> None:
        """Renew the lease now.

        Raises:
            LeaseLost, AgentKilled: as `check` does.
            BackendUnavailable: the store could not be used.
        """
        self._renew(self)
        self.check()

    @property
    def lost(self) -> bool:
        """Whether the lease has ended."""
        if not self._lost and time.monotonic() > self.deadline:
            self._lost = "it could not be renewed in time"
        return bool(self._lost)

    def loss(self) -> LeaseLost:
        """Make the error that tells of the loss."""
        return LeaseLost(self.resources, self._lost)

    def on_lost(self, call: Callable[[], None] | None) -> None:
        """Have a function called when the lease is lost, mostly on the heartbeat's thread; None to end this."""
        self._on_lost = call
        if self._lost:  # perhaps a moment ago, when nobody was to be told yet
            self._tell()

    def mark_renewed(self, at: float) -> None:
        """Note a renewal that was asked for at `at`."""
        self.renewed_at = max(self.renewed_at, at)

    def mark_killed(self, killed: Killed | None, at: float) -> None:
        """Note that the agent is stopped, or is not, as the reply to a request of `at` says."""
        if at >= self._told_at:  # else another thread has asked since, and heard already
            self._killed, self._told_at = killed, at

    def end(self) -> None:
        """Note that the lease was given back: from now on, `check` refuses."""
        self._lost = self._lost or "it was given back"
        self._on_lost = None

    def mark_lost(self, why: str) -> None:
        """Note that the lease has ended."""
        self._lost = self._lost or why
        self._tell()

    def _tell(self) -> None:
        call, self._on_lost = self._on_lost, None
        if call is not None:
            call()


def _needs_no_renewal(lease: Lease) -> None:
    pass
