"""The call that is running here: what a tool may know of it, and the chain of calls around it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass

from clawproof_langgraph.keys import digest
from clawproof_langgraph.model import Want
from clawproof_langgraph.runtime.lease import Lease


class CallContext:
    """The guarded call that is running; a tool gets it from `current_call()`.

    Attributes:
        idempotency_key: names the intended call, the same over every repetition; empty for a plain lock or a read.
        fence: the fencing token of its lease.
        attempt: which execution of the call this is, counted from 1.
        agent: who calls.
        resources: what the call holds.
        deadline: when its lease ends unless renewed, in seconds of `time.monotonic()`.
    """

    def __init__(self, lease: Lease, *, attempt: int) -> None:
        self._lease = lease
        self.attempt = attempt
        self.effect_begun = False
        self._counts: dict[str, itertools.count[int]] = {}

    @property
    def idempotency_key(self) -> str:
        return self._lease.key

    @property
    def fence(self) -> int:
        return self._lease.fence

    @property
    def agent(self) -> str:
        return self._lease.agent

    @property
    def resources(self) -> tuple[str, ...]:
        return self._lease.resources

    @property
    def deadline(self) -> float:
        return self._lease.deadline

    def sub_key(self, name: str) -> str:
        """Derive a key for one of several effects of this call, the same over every repetition."""
        return digest("sub", self.idempotency_key, name)

    def check(self) -> None:
        """Make sure that the lease is still held and the agent may go on.

        Raises:
            LeaseLost: the lease has ended.
            AgentKilled: an operator has stopped the agent.
        """
        self._lease.check()

    def heartbeat(self) -> None:
        """Renew the lease now, and check it.

        Raises:
            LeaseLost, AgentKilled: as `check` does.
            BackendUnavailable: the store could not be used.
        """
        self._lease.heartbeat()

    def effect_begins(self) -> None:
        """Mark that the effect may happen from here on: an error before this mark proves that nothing happened.

        Raises:
            LeaseLost, AgentKilled: as `check` does; nothing has happened yet.
        """
        self.check()
        self.effect_begun = True

    def count(self, name: str) -> int:
        """Count the identical calls made inside this one, from 0."""
        return next(self._counts.setdefault(name, itertools.count()))  # atomic: siblings may run in parallel


@dataclass(frozen=True, slots=True)
class Frame:
    """One link of the call chain: who holds what here, in which coordinator, inside which other link."""

    owner: str
    wants: tuple[Want, ...]
    coordinator: object
    outer: Frame | None

    @property
    def chain(self) -> tuple[str, ...]:
        """The owners of this link and of all around it, innermost last."""
        return (*(self.outer.chain if self.outer else ()), self.owner)

    @property
    def held(self) -> tuple[Want, ...]:
        """What this link and all around it hold."""
        return (*(self.outer.held if self.outer else ()), *self.wants)


_frame: ContextVar[Frame | None] = ContextVar("clawproof_frame", default=None)
_call: ContextVar[CallContext | None] = ContextVar("clawproof_call", default=None)


def current_call() -> CallContext | None:
    """Give the guarded call that is running here, None outside of one."""
    return _call.get()


def current_frame() -> Frame | None:
    """Give the innermost link of the call chain, None at its top."""
    return _frame.get()


def push(lease: Lease, coordinator: object) -> Token[Frame | None]:
    """Add a link to the call chain."""
    return _frame.set(Frame(lease.owner, lease.wants, coordinator, _frame.get()))


def pop(token: Token[Frame | None]) -> None:
    """Take the innermost link off the call chain."""
    try:
        _frame.reset(token)
    except ValueError:  # given back in another context than it was taken in, such as a fixture's
        _frame.set(None)


@contextmanager
def running(call: CallContext, lease: Lease, coordinator: object) -> Iterator[None]:
    """Make a call the current one while its body runs; never held over a step of a program."""
    link, token = push(lease, coordinator), _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)
        pop(link)
