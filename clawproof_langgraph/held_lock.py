"""A lock in hands: what `coordinator.lock(...)` gives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Protocol

from clawproof_langgraph import events
from clawproof_langgraph.core.hold import give_back, leave, take
from clawproof_langgraph.errors import ConfigurationError, LockOrderError, WaitTimeout
from clawproof_langgraph.model import Begin, Granted, Note, Want
from clawproof_langgraph.runtime.context import Frame, Link, current_call, linked, pop, push, within
from clawproof_langgraph.runtime.drive import Driver
from clawproof_langgraph.runtime.lease import Lease


class Store(Protocol):
    """Where a lock is taken: a coordinator."""

    session: str

    def new_owner(self) -> str:
        """Make the id of a new call."""

    def nesting(self, wants: Iterable[Want]) -> Frame | None:
        """Give the call chain that a new request is nested in, if any."""

    def driver(self, body: None = None, pulse: Callable[[], None] | None = None) -> Driver:
        """Make the driver of one program."""

    def tell(self, note: Note) -> None:
        """Append an event beside an error that matters more."""

    async def atell(self, note: Note) -> None:
        """Do what `tell` does, from an event loop."""


class HeldLock:
    """What `coordinator.lock(...)` gives: a context manager, sync and async, for one use."""

    _thread = ""
    _pulse: Callable[[], None] | None = None

    def __init__(self, coordinator: Store, wants: tuple[Want, ...], agent: str, ttl: float, wait: float) -> None:
        self._coordinator, self._wants, self._agent, self._ttl, self._wait = coordinator, wants, agent, ttl, wait
        self._unused = threading.Lock()
        self._held: tuple[Begin, Granted, Driver] | None = None
        self._link: Link | None = None

    def _check_unused(self) -> None:
        if not self._unused.acquire(blocking=False):
            raise ConfigurationError("A lock object is for one use: call coordinator.lock(...) for each `with`.")

    def _ask(self, bell: Callable[[], str]) -> Begin:
        coordinator, wants = self._coordinator, self._wants
        outer = coordinator.nesting(wants)
        ancestors = outer.chain if outer else ()
        return Begin(
            coordinator.new_owner(),
            coordinator.session,
            wants,
            self._ttl,
            self._agent,
            self._thread,
            ancestors=ancestors,
            bell=bell(),
            patience=self._wait,
        )

    def _taken(self, ask: Begin, granted: Granted, driver: Driver) -> Lease:
        assert driver.lease is not None
        self._held = (ask, granted, driver)
        self._link = push(driver.lease, self._coordinator)
        return driver.lease

    def _prevented(self, error: LockOrderError) -> Note:
        names = tuple(want.resource for want in self._wants)
        data = {"wanted": error.wanted, "held": error.held}
        outer = current_call()
        if outer is None:
            return Note(events.DEADLOCK_PREVENTED, self._agent, self._thread, resources=names, data=data)
        data["tool"], agent, thread = outer.tool, self._agent or outer.agent, self._thread or outer.thread
        return Note(events.DEADLOCK_PREVENTED, agent, thread, resources=names, data=data)

    def __enter__(self) -> Lease:
        self._check_unused()
        driver = self._coordinator.driver(None, self._pulse)
        try:
            ask = self._ask(driver.take_bell)
        except LockOrderError as exc:
            self._coordinator.tell(self._prevented(exc))
            raise
        try:
            return self._taken(ask, driver.drive(take(ask, wait=self._wait)), driver)
        except BaseException:
            try:
                if driver.lease is not None:  # interrupted when it was granted already
                    driver.drive(leave(ask))
            finally:
                self._end(driver)
            raise

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        assert self._held is not None, "the lock was not taken"
        ask, granted, driver = self._held
        try:
            driver.drive(give_back(ask, granted))
        finally:
            self._end(driver)

    async def __aenter__(self) -> Lease:
        self._check_unused()
        driver = self._coordinator.driver(None, self._pulse)
        try:
            ask = self._ask(driver.use_loop_bell)
        except LockOrderError as exc:
            await self._coordinator.atell(self._prevented(exc))
            raise
        try:
            return self._taken(ask, await driver.adrive(take(ask, wait=self._wait)), driver)
        except BaseException:
            try:
                if driver.lease is not None:
                    await driver.adrive(leave(ask))
            finally:
                self._end(driver)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self._held is not None, "the lock was not taken"
        ask, granted, driver = self._held
        try:
            await driver.adrive(give_back(ask, granted))
        finally:
            self._end(driver)

    def _end(self, driver: Driver) -> None:
        """Stop renewing the lease and leave the call chain, whatever became of giving it back."""
        driver.let_go()
        if self._link is not None:
            pop(self._link)


class HeldRun(HeldLock):
    """A lock that is held for a run of a graph: inside the call chain only while the graph itself is at work.

    A run is drawn from step by step. Between two steps, the code that draws is none of the run's.

    Args:
        coordinator, wants, agent, ttl, wait: as of a lock.
        thread: the LangGraph thread of the run.
        pulse: tells LangGraph that a wait is not a hang.
        busy: what is added to the error of a turn that did not come.
    """

    def __init__(
        self,
        coordinator: Store,
        wants: tuple[Want, ...],
        agent: str,
        ttl: float,
        wait: float,
        *,
        thread: str = "",
        pulse: Callable[[], None] | None = None,
        busy: str = "",
    ) -> None:
        super().__init__(coordinator, wants, agent, ttl, wait)
        self._thread, self._pulse = thread, pulse
        self._busy = busy
        self._frame: Frame | None = None

    def __enter__(self) -> Lease:
        with self._explained():
            return super().__enter__()

    async def __aenter__(self) -> Lease:
        with self._explained():
            return await super().__aenter__()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except WaitTimeout as exc:
            if self._busy:
                exc.add_note(self._busy)
            raise

    def _taken(self, ask: Begin, granted: Granted, driver: Driver) -> Lease:
        assert driver.lease is not None
        self._held = (ask, granted, driver)
        self._frame = linked(driver.lease, self._coordinator)
        return driver.lease

    def inside(self) -> AbstractContextManager[None]:
        """Enter the call chain for one step of the run."""
        assert self._frame is not None, "the lock was not taken"
        return within(self._frame)

    def _end(self, driver: Driver) -> None:
        super()._end(driver)
        if self._frame is not None:
            self._frame.ended = True
