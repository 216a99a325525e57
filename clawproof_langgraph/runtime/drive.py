"""The two drivers: they perform a program's steps, one by blocking, the other on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import threading
import time
import warnings
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

from clawproof_langgraph.backends.base import Answered, AsyncBell, Backend, Bell
from clawproof_langgraph.core.steps import (
    Afford,
    AskHuman,
    Draw,
    Ending,
    Finding,
    Notice,
    Now,
    PassOver,
    Probe,
    Program,
    Raised,
    Returned,
    Run,
    Sleep,
    Step,
    Unheld,
    Wait,
    Warn,
)
from clawproof_langgraph.errors import ClawproofError, ClawproofWarning
from clawproof_langgraph.model import (
    Asked,
    Begin,
    BeginReply,
    Granted,
    Note,
    Queued,
    Resolve,
    Settle,
    SettleReply,
    Withdraw,
)
from clawproof_langgraph.runtime.heartbeat import Heartbeat
from clawproof_langgraph.runtime.lease import Lease
from clawproof_langgraph.runtime.threads import Threads

T = TypeVar("T")
_log = logging.getLogger("clawproof_langgraph")

_PULSE = 1.0
"""Seconds of waiting after which the caller is told that this is not a hang."""


class Body(Protocol):
    """The user's code of a call."""

    blocking: bool
    """Whether it must run on a thread of its own, even for an async caller."""

    def run(self, lease: Lease, attempt: int) -> Returned | Raised:
        """Run it once."""

    async def arun(self, lease: Lease, attempt: int) -> Returned | Raised:
        """Run it once on the event loop."""

    def afford_retry(self) -> bool:
        """Take one more retry out of its budget, and tell whether it was there."""

    def probe(self, lease: Lease, attempt: int) -> Finding:
        """Find out what became of the execution before, which is in doubt."""

    async def aprobe(self, lease: Lease, attempt: int) -> Finding:
        """Do what `probe` does, from an event loop."""

    def ask_human(self, step: AskHuman) -> Finding:
        """Ask a human what became of a call; raises what suspends the graph until there is an answer."""

    def pass_over(self, answers: int) -> None:
        """Take so many answers of a human out of the way."""


class Driver:
    """Performs the steps of one program.

    Args:
        backend: where its commands go.
        heartbeat: renews its lease.
        threads: where a blocking body runs under an event loop.
        body: the user's code, for programs that run some.
        pulse: called every second of waiting, so that nobody takes it for a hang.
    """

    def __init__(
        self,
        backend: Backend,
        heartbeat: Heartbeat,
        threads: Threads,
        body: Body | None = None,
        pulse: Callable[[], None] | None = None,
    ) -> None:
        self._backend, self._heartbeat, self._threads = backend, heartbeat, threads
        self._body, self._pulse = body, pulse
        self.lease: Lease | None = None
        self._bell: Bell | None = None
        self._loop_bell: AsyncBell | None = None
        self._waiting: Begin | None = None
        self._answered: Answered | None = None
        self._handed_over = False
        self._pid = os.getpid()

    def take_bell(self) -> str:
        """Get a bell for this thread, for the request of a program that `drive` will perform; give its address."""
        self._bell = self._backend.take_bell()
        return self._bell.address

    def use_loop_bell(self) -> str:
        """Get the bell of the running event loop, for a program that `adrive` will perform; give its address."""
        self._loop_bell = self._backend.loop_bell()
        return self._loop_bell.address

    # --- sync ---------------------------------------------------------------------------------------------------

    def drive(self, program: Program[T], step: Step | None = None) -> T:
        """Perform a program to its end, from its beginning or from a step that it has yielded."""
        try:
            step = next(program) if step is None else step
            while True:
                try:
                    answer = self._perform(step)
                except BaseException as error:  # noqa: BLE001 - the program decides what an interrupt means for the lease
                    step = program.throw(error)
                else:
                    step = program.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except BaseException:  # whoever asked for the lease does not get it
            self.let_go()
            raise
        finally:
            self._clean_up()

    def _perform(self, step: Step) -> Any:
        match step:
            case Begin():
                return self._begin(step)
            case Settle() | Withdraw() | Note() | Resolve() | Asked() if self._is_parents():
                return SettleReply.SETTLED
            case Settle():
                reply = self._backend.settle(step)
                self.let_go()
                return reply
            case Run():
                return self._run(step)
            case Now():
                return time.monotonic()
            case Wait():
                return self._wait(step)
            case Sleep():
                return time.sleep(step.seconds)
            case Draw():
                return random.random()
            case Afford():
                assert self._body is not None
                return self._body.afford_retry()
            case Withdraw():
                self.let_go()
                return self._heartbeat.withdraw(step)
            case Note():
                return _quietly(self._backend.record, step)
            case Resolve() | Asked():
                return self._backend.record(step)
            case Probe():
                body, lease = self._ready()
                return body.probe(lease, step.lease.attempt)
            case AskHuman():
                assert self._body is not None
                return self._body.ask_human(step)
            case PassOver():
                assert self._body is not None
                return self._body.pass_over(step.answers)
            case Warn():
                return warn(step.error)
            case Unheld():
                self.lease = Lease.of_nothing(step.ask, asked_at=time.monotonic())
                return Granted(step.ask.owner, 0, self.lease.ttl, "")
            case Notice():
                assert self.lease is not None
                self.lease.stale, self.lease.versions = step.stale, self.lease.versions + step.versions
                return None

    def _begin(self, ask: Begin) -> BeginReply:
        if self._answered is not None:
            return self._take_answer(ask, self._answered)
        asked_at = time.monotonic()
        return self._began(ask, self._backend.begin(ask), asked_at)

    def _run(self, run: Run) -> Returned | Raised:
        body, lease = self._ready()
        run.begun = True
        try:
            return body.run(lease, run.attempt)
        except BaseException as error:  # noqa: BLE001 - see _cut_short
            return _cut_short(error)

    def _wait(self, wait: Wait) -> None:
        assert self._bell is not None
        end = time.monotonic() + wait.seconds
        while (left := end - time.monotonic()) > 0:
            rang = self._bell.wait(wait.owner, min(left, _PULSE) if self._pulse else left, self._waiting)
            if self._is_over(rang):
                return
            if self._pulse:
                self._pulse()

    # --- async --------------------------------------------------------------------------------------------------

    async def adrive(self, program: Program[T]) -> T:
        """Perform a program on an event loop; from a blocking body on, it goes on in that body's thread."""
        try:
            step = next(program)
            while True:
                try:
                    if isinstance(step, Run) and self._body is not None and self._body.blocking:
                        return await self._hand_over(program, step)
                    answer = await self._aperform(step)
                except BaseException as error:
                    if self._handed_over:
                        raise
                    step = program.throw(error)  # the program decides what a cancellation means for the lease
                else:
                    step = program.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        except BaseException:
            if not self._handed_over:
                self.let_go()
            raise
        finally:
            if not self._handed_over:
                self._clean_up()

    async def _hand_over(self, program: Program[T], step: Run) -> T:
        """Let a thread perform the rest; where this fails, `_handed_over` tells whether the thread has begun."""
        first = threading.Lock()
        context = copy_context()

        def rest() -> T:
            if not first.acquire(blocking=False):  # given up before it began
                raise asyncio.CancelledError
            return context.run(self.drive, program, step)

        self._handed_over = True
        try:
            return await asyncio.wrap_future(self._threads.start(rest))
        except BaseException:
            # Cancelling does not stop a thread: a tool that has begun goes on under its lease, and settles there.
            self._handed_over = not first.acquire(blocking=False)
            raise

    async def _aperform(self, step: Step) -> Any:
        match step:
            case Begin():
                return await self._abegin(step)
            case Settle() | Withdraw() | Note() | Resolve() | Asked() if self._is_parents():
                return SettleReply.SETTLED
            case Settle():
                reply = await self._backend.asettle(step)
                self.let_go()
                return reply
            case Run():
                return await self._arun(step)
            case Wait():
                return await self._await(step)
            case Sleep():
                return await asyncio.sleep(step.seconds)
            case Withdraw():
                self.let_go()
                return await self._heartbeat.awithdraw(step)
            case Note():
                return await _aquietly(self._backend.arecord, step)
            case Resolve() | Asked():
                return await self._backend.arecord(step)
            case Probe():
                body, lease = self._ready()
                return await body.aprobe(lease, step.lease.attempt)
            case Now() | Draw() | Afford() | AskHuman() | PassOver() | Warn() | Unheld() | Notice():
                return self._perform(step)

    async def _abegin(self, ask: Begin) -> BeginReply:
        if self._answered is not None:
            return self._take_answer(ask, self._answered)
        asked_at = time.monotonic()
        return self._began(ask, await self._backend.abegin(ask), asked_at)

    async def _arun(self, run: Run) -> Returned | Raised:
        body, lease = self._ready()
        run.begun = True
        try:
            return await body.arun(lease, run.attempt)
        except BaseException as error:  # noqa: BLE001 - see _cut_short
            return _cut_short(error)

    async def _await(self, wait: Wait) -> None:
        assert self._loop_bell is not None
        end = time.monotonic() + wait.seconds
        while (left := end - time.monotonic()) > 0:
            rang = await self._loop_bell.wait(wait.owner, min(left, _PULSE) if self._pulse else left, self._waiting)
            if self._is_over(rang):
                return
            if self._pulse:
                self._pulse()

    # --- both ---------------------------------------------------------------------------------------------------

    def _is_over(self, rang: bool | Answered) -> bool:
        """Note the answer that a bell has brought; tell whether to look now."""
        if isinstance(rang, Answered):
            self._answered = rang
        return bool(rang)

    def _take_answer(self, ask: Begin, answered: Answered) -> BeginReply:
        self._answered = None
        return self._began(ask, answered.reply, answered.asked_at)

    def _began(self, ask: Begin, reply: BeginReply, asked_at: float) -> BeginReply:
        if isinstance(reply, Granted):
            self.lease = Lease(ask, reply, asked_at=asked_at, renew=self._heartbeat.renew_now)
            self._heartbeat.add(self.lease)
        elif isinstance(reply, Queued) and self._waiting is None:
            self._waiting = ask
            self._heartbeat.add_waiter(ask.owner, ask.bell)
        if isinstance(reply, Queued) and reply.own and not reply.alive:
            self._heartbeat.beat_soon()
        if not isinstance(reply, Queued):
            self._stop_waiting()
        return reply

    def _ready(self) -> tuple[Body, Lease]:
        assert self._body is not None and self.lease is not None
        self.lease.check()  # an attempt must not begin on a lost lease, or for a killed agent
        return self._body, self.lease

    def let_go(self) -> None:
        """Stop renewing the lease, whatever became of giving it back."""
        if self.lease is not None:
            self._heartbeat.remove(self.lease.owner)
            self.lease.end()

    def _is_parents(self) -> bool:
        """Tell whether this is a child, forked in the midst of a call: it leaves the call, too, but does not own it."""
        return self._pid != os.getpid()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._heartbeat.remove_waiter(self._waiting.owner)
            self._waiting = None

    def _clean_up(self) -> None:
        self._stop_waiting()
        if self._body is not None:  # a program without a body leaves its lease to whoever asked for it
            self.let_go()
        if self._bell is not None:
            self._backend.give_bell(self._bell)
            self._bell = None


def _cut_short(error: BaseException) -> Raised:
    # A body gives what the user's code raised as data. Anything else struck around that code, such as an interrupt
    # while its result was encoded: the effect may have happened, and must not pass for a tool that was never started.
    return Raised(error, Ending.CANCELLED)


def _quietly(command: Callable[[Any], Any], argument: Any) -> None:
    try:
        command(argument)
    except ClawproofError as exc:  # it cleans up or tells of something else, which must stay the first error
        _log.warning("%s: %s", type(argument).__name__.lower(), exc)


async def _aquietly(command: Callable[[Any], Awaitable[Any]], argument: Any) -> None:
    try:
        await command(argument)
    except ClawproofError as exc:
        _log.warning("%s: %s", type(argument).__name__.lower(), exc)


def warn(error: ClawproofError) -> None:
    """Tell the operator of something that the caller is spared."""
    _log.warning("%s", error)
    with contextlib.suppress(Warning):  # made an error by a filter, it would hide the result that it is about
        warnings.warn(str(error), ClawproofWarning, stacklevel=2)
