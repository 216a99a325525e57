"""The bells, by which waiters sleep until their turn. One that is lost only costs time, but none is lost as a rule."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.model import Begin, BeginReply, Granted, Queued, Withdraw
from clawproof_langgraph.testing.builders import again, ask, released
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import MakeBackend, Suite

PATIENCE = 20.0
PROMPT = 5.0

WakeUp = Callable[[Backend, Granted, ManualClock], None]


def _release(backend: Backend, lease: Granted, clock: ManualClock) -> None:
    backend.settle(released(lease))


def _give_back(backend: Backend, lease: Granted, clock: ManualClock) -> None:
    backend.withdraw(Withdraw(lease.owner))


def _expire(backend: Backend, lease: Granted, clock: ManualClock) -> None:
    clock.advance(2.5)
    backend.begin(ask("newcomer", "inventory/1", session="s9"))


WAKE_UPS = pytest.mark.parametrize("wake_up", [_release, _give_back, _expire])


def start(backend: Backend) -> Granted:
    """Take the lock that the others of a scenario wait for."""
    lease = backend.begin(ask("a", "inventory/1", ttl=2))
    assert isinstance(lease, Granted)
    return lease


class Bells(Suite):
    """Everything happens in one thread: a bell that rang before it was listened to must have kept the ring."""

    @WAKE_UPS
    def test_a_turn_rings_the_bell(self, backend: Backend, clock: ManualClock, wake_up: WakeUp) -> None:
        bell = backend.take_bell()
        waiter = ask("b", "inventory/1", bell=bell.address)
        lease = start(backend)
        assert isinstance(backend.begin(waiter), Queued)
        wake_up(backend, lease, clock)

        began = time.monotonic()
        bell.wait("b", PATIENCE)

        assert time.monotonic() - began < PROMPT
        assert isinstance(backend.begin(again(waiter)), Granted)
        backend.give_bell(bell)

    @WAKE_UPS
    def test_a_turn_rings_the_bell_of_a_loop(self, backend: Backend, clock: ManualClock, wake_up: WakeUp) -> None:
        async def scenario() -> None:
            bell = backend.loop_bell()
            waiter = ask("b", "inventory/1", bell=bell.address)
            lease = start(backend)
            assert isinstance(await backend.abegin(waiter), Queued)
            await asyncio.to_thread(wake_up, backend, lease, clock)

            began = time.monotonic()
            await bell.wait("b", PATIENCE)

            assert time.monotonic() - began < PROMPT
            assert isinstance(await backend.abegin(again(waiter)), Granted)

        asyncio.run(scenario())

    def test_a_release_elsewhere_rings_here(self, make_backend: MakeBackend, clock: ManualClock) -> None:
        here, there = make_backend(clock), make_backend(clock)
        lease = start(there)
        bell = here.take_bell()
        waiter = ask("b", "inventory/1", bell=bell.address)
        here.begin(waiter)
        there.settle(released(lease))

        began = time.monotonic()
        bell.wait("b", PATIENCE)

        assert time.monotonic() - began < PROMPT
        here.give_bell(bell)
        here.close()
        there.close()

    def test_a_bell_that_nobody_rings_lets_its_waiter_go_in_time(self, backend: Backend) -> None:
        bell = backend.take_bell()
        began = time.monotonic()
        bell.wait("b", 0.05)
        assert time.monotonic() - began < PROMPT
        backend.give_bell(bell)

    def test_the_heartbeat_can_ring(self, backend: Backend) -> None:
        bell = backend.take_bell()
        backend.ring(bell.address, "b")

        began = time.monotonic()
        bell.wait("b", PATIENCE)

        assert time.monotonic() - began < PROMPT
        backend.give_bell(bell)

    def test_ringing_where_nobody_listens_is_no_error(self, backend: Backend) -> None:
        backend.ring("", "b")
        backend.ring("gone", "b")
        lease = start(backend)
        backend.begin(ask("b", "inventory/1", bell="gone"))
        backend.settle(released(lease))

    def test_each_loop_waiter_hears_its_own_turn(self, backend: Backend) -> None:
        """All calls of a loop share one bell; the turn of one must reach that one."""

        async def wait_for(waiter: Begin) -> Granted:
            reply: BeginReply = Queued("", "", 0)
            while isinstance(reply, Queued):
                await backend.loop_bell().wait(waiter.owner, PATIENCE)
                reply = await backend.abegin(again(waiter))
            assert isinstance(reply, Granted)
            await backend.asettle(released(reply))
            return reply

        async def scenario() -> list[Granted]:
            lease = start(backend)
            waiters = [ask(f"b{n}", "inventory/1", bell=backend.loop_bell().address) for n in range(5)]
            for waiter in waiters:
                await backend.abegin(waiter)
            tasks = [asyncio.create_task(wait_for(waiter)) for waiter in reversed(waiters)]
            await backend.asettle(released(lease))
            return await asyncio.gather(*tasks)

        began = time.monotonic()
        leases = asyncio.run(scenario())

        assert time.monotonic() - began < PROMPT
        assert len({lease.fence for lease in leases}) == 5
