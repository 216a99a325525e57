"""What the backends on the Python engine share: each command of the contract is one step of the engine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from clawproof_langgraph.backends import engine
from clawproof_langgraph.backends.base import AsyncBell, Backend, Bell
from clawproof_langgraph.backends.bells import Bells
from clawproof_langgraph.backends.snapshot import snapshot
from clawproof_langgraph.backends.store import Transaction
from clawproof_langgraph.events import Event, EventFilter
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

    def record(self, fact: Fact) -> None:
        self._step(engine.record, fact)

    def events(self, wanted: EventFilter) -> list[Event]:
        return self._read(_events, wanted)

    def snapshot(self) -> Snapshot:
        return self._read(_snapshot, None)

    async def abegin(self, ask: Begin) -> BeginReply:
        return await self._astep(engine.begin, ask)

    async def asettle(self, end: Settle) -> SettleReply:
        return await self._astep(engine.settle, end)

    async def awithdraw(self, leave: Withdraw) -> None:
        await self._astep(engine.withdraw, leave)

    async def arecord(self, fact: Fact) -> None:
        await self._astep(engine.record, fact)

    async def aevents(self, wanted: EventFilter) -> list[Event]:
        return await self._aread(_events, wanted)

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


def _events(tx: Transaction, wanted: EventFilter) -> list[Event]:
    return tx.events(wanted)


def _snapshot(tx: Transaction, _: None) -> Snapshot:
    return snapshot(tx)
