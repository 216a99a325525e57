"""The call that is running here: what a tool may know of it, and the chain of calls around it."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

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
        thread: the LangGraph thread that it is called in; empty outside of one.
        resources: what the call holds.
        stale: the resources of its advisory locks that somebody had alone meanwhile; known once the call is over.
        deadline: when its lease ends unless renewed, in seconds of `time.monotonic()`.
        tool: the tool that is called.
        arguments: what the model gave, validated.
        task: the task of a graph that runs it; empty outside of one.
    """

    def __init__(
        self,
        lease: Lease,
        *,
        attempt: int,
        tool: str = "",
        arguments: Mapping[str, Any] = MappingProxyType({}),
        task: str = "",
    ) -> None:
        self._lease = lease
        self.attempt, self.tool, self.arguments, self.task = attempt, tool, arguments, task
        self.effect_begun = False
        self._inner: dict[str, dict[Hashable, int]] = {}
        self._raised_inside: list[BaseException] = []
        self._lock = threading.Lock()

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
    def stale(self) -> tuple[str, ...]:
        return self._lease.stale

    @property
    def thread(self) -> str:
        return self._lease.thread

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

    def raised_inside(self, error: BaseException) -> None:
        """Note that a guarded call inside this one ended with an error: what it proves, it proves of that call."""
        self._raised_inside.append(error)

    def was_raised_inside(self, error: BaseException) -> bool:
        """Tell whether an error is that of a guarded call inside this one."""
        return any(error is each for each in self._raised_inside)

    @property
    def lineage(self) -> str:
        """What it came out of, as in `Begin`."""
        return self._lease.lineage

    def number(self, name: str, call: Hashable) -> int:
        """Number the identical calls that are made inside this one, from 0; a call that is made again keeps its number.

        Args:
            name: what makes them identical.
            call: which of them it is.
        """
        with self._lock:  # siblings may run in parallel
            numbers = self._inner.setdefault(name, {})
            return numbers.setdefault(call, len(numbers))


@dataclass(slots=True)
class Frame:
    """One link of the call chain: who holds what here, in which coordinator, inside which other link.

    A context that was copied may outlive the link, and so may a forked process, which holds nothing of its parent's.
    """

    owner: str
    wants: tuple[Want, ...]
    coordinator: object
    outer: Frame | None
    pid: int
    ended: bool = False

    @property
    def links(self) -> Iterator[Frame]:
        """This link and those around it that still hold, innermost first."""
        frame: Frame | None = self
        while frame is not None:
            if not frame.ended and frame.pid == os.getpid():
                yield frame
            frame = frame.outer

    @property
    def chain(self) -> tuple[str, ...]:
        """The owners of this link and of all around it, innermost last."""
        return tuple([frame.owner for frame in self.links][::-1])

    @property
    def held(self) -> tuple[tuple[Want, ...], ...]:
        """What this link and each around it hold, innermost first."""
        return tuple(frame.wants for frame in self.links)


_frame: ContextVar[Frame | None] = ContextVar("clawproof_frame", default=None)
_call: ContextVar[CallContext | None] = ContextVar("clawproof_call", default=None)


def current_call() -> CallContext | None:
    """Give the guarded call that is running here, None outside of one."""
    return _call.get()


def current_frame() -> Frame | None:
    """Give the innermost live link of the call chain, None at its top."""
    frame = _frame.get()
    return None if frame is None else next(frame.links, None)


Link = tuple[Frame, Token[Frame | None]]


def linked(lease: Lease, coordinator: object) -> Frame:
    """Make a link inside those that are around this code, for `within` to enter."""
    # Who holds nothing is in nobody's way, and none of those who may go before others.
    return Frame(lease.owner, lease.wants, coordinator, _frame.get(), os.getpid(), ended=not lease.fence)


@contextmanager
def within(frame: Frame) -> Iterator[None]:
    """Run code inside a link; never held while a generator waits for whoever draws from it."""
    token = _frame.set(frame)
    try:
        yield
    finally:
        _frame.reset(token)


def push(lease: Lease, coordinator: object) -> Link:
    """Add a link to the call chain."""
    frame = linked(lease, coordinator)
    return frame, _frame.set(frame)


def pop(link: Link) -> None:
    """Take a link off the call chain."""
    frame, token = link
    frame.ended = True
    with suppress(ValueError):  # given back in another context than it was taken in, such as a fixture's
        _frame.reset(token)


@contextmanager
def running(call: CallContext, lease: Lease, coordinator: object) -> Iterator[None]:
    """Make a call the current one while its body runs; never held over a step of a program."""
    link, token = push(lease, coordinator), _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)
        pop(link)
