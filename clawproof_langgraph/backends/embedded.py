"""What the backends on the Python engine share: each command of the contract is one step of the engine."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from clawproof_langgraph.backends import engine
from clawproof_langgraph.backends.base import AsyncBell, Backend, Bell
from clawproof_langgraph.backends.bells import Bells
from clawproof_langgraph.backends.snapshot import snapshot
from clawproof_langgraph.backends.store import Transaction
from clawproof_langgraph.events import EventFilter, Page
from clawproof_langgraph.model import (
    Begin,
    BeginReply,
    Fact,
    Renew,
    Renewed,
    Settle,
    SettleReply,
    Snapshot,
    Sweep,
    Swept,
    Withdraw,
)

T = TypeVar("T")

_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.03
"""Seconds between two looks whether the log goes on, each of which reads one number."""


class EmbeddedBackend(Backend):
    """A backend whose rules run in this process, over a record store."""

    def __init__(self, name: str, bells: Bells) -> None:
        self.name = name
        self._bells = bells

    @abstractmethod
    def _step(self, command: Callable[[Transaction, Any], T], argument: Any) -> T:
        """Run one atomic step, then wake those whose turn it brought."""

    @abstractmethod
    def _read(self, query: Callable[[Transaction, Any], T], argument: Any) -> T:
        """Run a query that writes nothing."""

    @abstractmethod
    async def _astep(self, command: Callable[[Transaction, Any], T], argument: Any) -> T:
        """Run one atomic step without blocking the event loop; it is carried through even if cancelled."""

    @abstractmethod
    async def _aread(self, query: Callable[[Transaction, Any], T], argument: Any) -> T:
        """Run a query without blocking the event loop."""

    def begin(self, ask: Begin) -> BeginReply:
        return self._step(engine.begin, ask)

    def settle(self, end: Settle) -> SettleReply:
        return self._step(engine.settle, end)

    def renew(self, beat: Renew) -> Renewed:
        return self._step(engine.renew, beat)

    def withdraw(self, leave: Withdraw) -> None:
        self._step(engine.withdraw, leave)

    def sweep(self, terms: Sweep) -> Swept:
        return self._step(engine.sweep, terms)

    def record(self, fact: Fact) -> int:
        return self._step(engine.record, fact)

    def page(self, wanted: EventFilter) -> Page:
        return self._read(_page, wanted)

    def follow(self, after: int, timeout: float) -> bool:
        pauses = _pauses(timeout)
        while self._read(_last_cursor, None) <= after:
            if (pause := next(pauses)) is None:
                return False
            time.sleep(pause)
        return True

    def snapshot(self) -> Snapshot:
        return self._read(_snapshot, None)

    async def abegin(self, ask: Begin) -> BeginReply:
        return await self._astep(engine.begin, ask)

    async def asettle(self, end: Settle) -> SettleReply:
        return await self._astep(engine.settle, end)

    async def awithdraw(self, leave: Withdraw) -> None:
        await self._astep(engine.withdraw, leave)

    async def arecord(self, fact: Fact) -> int:
        return await self._astep(engine.record, fact)

    async def apage(self, wanted: EventFilter) -> Page:
        return await self._aread(_page, wanted)

    async def afollow(self, after: int, timeout: float) -> bool:
        pauses = _pauses(timeout)
        while await self._aread(_last_cursor, None) <= after:
            if (pause := next(pauses)) is None:
                return False
            await asyncio.sleep(pause)
        return True

    async def asnapshot(self) -> Snapshot:
        return await self._aread(_snapshot, None)

    def take_bell(self) -> Bell:
        return self._bells.take()

    def give_bell(self, bell: Bell) -> None:
        self._bells.give(bell)

    def loop_bell(self) -> AsyncBell:
        return self._bells.of_loop()

    def ring(self, address: str, owner: str) -> None:
        self._bells.ring(address, owner)


def _page(tx: Transaction, wanted: EventFilter) -> Page:
    found = tx.events(wanted)
    more = bool(found) and len(found) == wanted.limit
    trimmed, last = tx.trimmed(), tx.last_cursor()
    reached = found[-1].cursor if more else max(wanted.after, last)
    return Page(found, reached, trimmed, more, end=max(last, trimmed))


def _last_cursor(tx: Transaction, _: None) -> int:
    return tx.last_cursor()


def _pauses(timeout: float) -> Iterator[float | None]:
    """Give the seconds to wait between two looks, and None once the time is over."""
    end, pause = time.monotonic() + timeout, _FIRST_PAUSE
    while (left := end - time.monotonic()) > 0:
        yield min(pause, left)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    yield None


def _snapshot(tx: Transaction, _: None) -> Snapshot:
    return snapshot(tx)
