"""A lock in hands: what `coordinator.lock(...)` gives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol

from clawproof_langgraph import events
from clawproof_langgraph.core.hold import give_back, leave, take
from clawproof_langgraph.errors import ConfigurationError, LockOrderError
from clawproof_langgraph.model import Begin, Granted, Note, Want
from clawproof_langgraph.runtime.context import Frame, Link, current_call, pop, push
from clawproof_langgraph.runtime.drive import Driver
from clawproof_langgraph.runtime.lease import Lease


class Store(Protocol):
    """Where a lock is taken: a coordinator."""

    session: str

    def new_owner(self) -> str:
        """Make the id of a new call."""

    def nesting(self, wants: Iterable[Want]) -> Frame | None:
        """Give the call chain that a new request is nested in, if any."""

    def driver(self) -> Driver:
        """Make the driver of one program."""

    def tell(self, note: Note) -> None:
        """Append an event beside an error that matters more."""

    async def atell(self, note: Note) -> None:
        """Do what `tell` does, from an event loop."""


class HeldLock:
    """What `coordinator.lock(...)` gives: a context manager, sync and async, for one use."""

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
            return Note(events.DEADLOCK_PREVENTED, self._agent, resources=names, data=data)
        data["tool"] = outer.tool
        return Note(events.DEADLOCK_PREVENTED, self._agent or outer.agent, outer.thread, resources=names, data=data)

    def __enter__(self) -> Lease:
        self._check_unused()
        driver = self._coordinator.driver()
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
        driver = self._coordinator.driver()
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
