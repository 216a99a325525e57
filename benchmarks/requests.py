"""The requests that are timed: keyed calls on resources of a shop."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence
from time import perf_counter_ns
from typing import Final

from benchmarks.measure import Case
from benchmarks.stores import RESULT
from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.keys import digest
from clawproof_langgraph.model import Begin, BeginReply, Granted, Mode, Settle, State, Want

RESOURCES: Final = 1000
"""How many resources there are; a call takes some at random."""


def resource(number: int) -> str:
    """Name a resource."""
    return f"inventory/sku-{number:04}"


class Shop:
    """Makes requests that were never made before.

    Args:
        chance: chooses the resources.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """Give a number that was not given before."""
        return next(self._numbers)

    def names(self, locks: int) -> list[str]:
        """Choose resources at random."""
        return [resource(number) for number in self._chance.sample(range(RESOURCES), locks)]

    def keyed(self, locks: int) -> Begin:
        """Make the request of a keyed call as a guarded tool makes it."""
        number = self.number()
        thread = f"thread-{number % 100}"
        fingerprint = digest("arguments", str(number))
        return Begin(
            owner=f"0123456789ab-{number}",
            session="0123456789ab",
            wants=tuple(Want(name, Mode.EXCLUSIVE) for name in sorted(self.names(locks))),
            agent="orders",
            thread=thread,
            tool="place_order",
            key=digest("call", thread, str(number)),
            scope=digest("scope", thread, fingerprint),
            fingerprint=fingerprint,
            rerun_within=86400.0,
            bell="@clawproof-0123456789abcdef",
        )

    def case(self, backend: Backend, locks: int, loop: asyncio.AbstractEventLoop | None = None) -> Case:
        """Make the case that times begin and settle of such calls together; on a loop, their async twins."""

        def prepare(count: int) -> Sequence[Begin]:
            return [self.keyed(locks) for _ in range(count)]

        async def on_loop(asks: Sequence[Begin]) -> list[int]:
            return [await _abegin_and_settle(backend, ask) for ask in asks]

        if loop is not None:
            return Case(prepare, lambda asks: loop.run_until_complete(on_loop(asks)))
        return Case(prepare, lambda asks: [_begin_and_settle(backend, ask) for ask in asks])


def _begin_and_settle(backend: Backend, ask: Begin) -> int:
    start = perf_counter_ns()
    granted = backend.begin(ask)
    begun = perf_counter_ns() - start
    end = _end_of(granted)
    start = perf_counter_ns()
    backend.settle(end)
    return begun + perf_counter_ns() - start


async def _abegin_and_settle(backend: Backend, ask: Begin) -> int:
    start = perf_counter_ns()
    granted = await backend.abegin(ask)
    begun = perf_counter_ns() - start
    end = _end_of(granted)
    start = perf_counter_ns()
    await backend.asettle(end)
    return begun + perf_counter_ns() - start


def _end_of(reply: BeginReply) -> Settle:
    assert isinstance(reply, Granted), reply
    return Settle(reply.owner, reply.fence, State.DONE, key=reply.key, result=RESULT)
