"""Bells: a ring is kept until somebody listens, meant for one owner, and never worth an error."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from clawproof_langgraph.backends.bells import Bells

LONG = 20.0
PROMPT = 5.0


@pytest.fixture
def bells() -> Iterator[Bells]:
    """Give the bells of a backend."""
    made = Bells()
    yield made
    made.close()


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no socket be opened, as where there are no more descriptors."""

    monkeypatch.setattr(socket, "socket", no_more_descriptors)


def no_more_descriptors(*_: Any, **__: Any) -> None:
    """Refuse to open a socket."""
    raise OSError(24, "Too many open files")


def timed(began: float) -> float:
    """Tell how long it took."""
    return time.monotonic() - began


# --- of a thread ------------------------------------------------------------------------------------------------


def test_a_ring_before_the_wait_is_kept(bells: Bells) -> None:
    bell = bells.take()
    bells.ring(bell.address, "me")
    assert bell.wait("me", LONG)


def test_a_ring_wakes_a_sleeper(bells: Bells) -> None:
    bell = bells.take()
    began = time.monotonic()
    threading.Timer(0.05, bells.ring, (bell.address, "me")).start()

    assert bell.wait("me", LONG)
    assert timed(began) < PROMPT


def test_a_bell_that_nobody_rings_lets_its_sleeper_go(bells: Bells) -> None:
    began = time.monotonic()
    assert not bells.take().wait("me", 0.05)
    assert 0.05 <= timed(began) < PROMPT


def test_a_ring_for_an_earlier_user_of_the_bell_is_no_alarm(bells: Bells) -> None:
    bell = bells.take()
    for owner in ("he", "me2", "m", ""):
        bells.ring(bell.address, owner)
    assert not bell.wait("me", 0.05)

    bells.ring(bell.address, "he")
    bells.ring(bell.address, "me")
    assert bell.wait("me", LONG)


def test_no_patience_is_no_wait(bells: Bells) -> None:
    assert not bells.take().wait("me", 0)


def test_a_bell_given_back_is_used_again(bells: Bells) -> None:
    first = bells.take()
    second = bells.take()
    assert first.address != second.address
    bells.give(first)
    assert bells.take() is first


def test_idle_bells_are_bounded(bells: Bells) -> None:
    taken = [bells.take() for _ in range(100)]
    before = len(os.listdir("/proc/self/fd"))
    for bell in taken:
        bells.give(bell)
    assert before - len(os.listdir("/proc/self/fd")) >= 30


@pytest.mark.parametrize("address", ["", "@nobody", "gone", "/nowhere/at/all", "@" + "x" * 300, "x" * 300])
def test_ringing_where_nobody_listens_is_no_error(bells: Bells, address: str) -> None:
    bells.ring(address, "me")


def test_ringing_never_waits_for_a_full_bell(bells: Bells) -> None:
    bell = bells.take()
    began = time.monotonic()
    for n in range(3000):
        bells.ring(bell.address, f"owner-{n}")
    assert timed(began) < PROMPT


@pytest.mark.usefixtures("no_sockets")
def test_without_sockets_a_bell_is_a_short_nap(bells: Bells) -> None:
    bell = bells.take()
    began = time.monotonic()

    assert bell.address == ""
    assert bell.wait("me", LONG), "its owner has to look for itself"
    assert timed(began) < 1
    bells.ring(bell.address, "me")
    bells.give(bell)


@pytest.mark.usefixtures("no_sockets")
def test_ringing_without_sockets_is_no_error(bells: Bells) -> None:
    bells.ring("@somewhere", "me")


def test_closing_closes_what_is_idle_and_what_comes_back_later(bells: Bells) -> None:
    idle, in_use = bells.take(), bells.take()
    bells.give(idle)
    before = len(os.listdir("/proc/self/fd"))
    bells.close()
    bells.give(in_use)
    bells.close()
    assert before - len(os.listdir("/proc/self/fd")) >= 2


def test_a_bell_in_use_survives_the_closing(bells: Bells) -> None:
    bell = bells.take()
    bells.close()
    assert not bell.wait("me", 0.02)


# --- of an event loop -------------------------------------------------------------------------------------------


async def test_a_loop_has_one_bell(bells: Bells) -> None:
    assert bells.of_loop() is bells.of_loop()


def test_each_loop_has_its_own(bells: Bells) -> None:
    async def address() -> str:
        return bells.of_loop().address

    with asyncio.Runner() as one, asyncio.Runner() as other:
        assert one.run(address()) != other.run(address())


async def test_a_ring_before_the_wait_is_kept_on_a_loop(bells: Bells) -> None:
    bell = bells.of_loop()
    bells.ring(bell.address, "me")
    await asyncio.sleep(0.01)  # lets the loop hear it
    assert await bell.wait("me", LONG)


async def test_a_ring_wakes_the_one_it_is_for(bells: Bells) -> None:
    bell = bells.of_loop()
    mine, his = (asyncio.create_task(bell.wait(owner, LONG)) for owner in ("me", "he"))
    await asyncio.sleep(0)
    bells.ring(bell.address, "me")

    assert await asyncio.wait_for(mine, PROMPT)
    assert not his.done()
    his.cancel()


async def test_a_wait_on_a_loop_ends_in_time_and_leaves_the_loop_free(bells: Bells) -> None:
    bell, ticks = bells.of_loop(), 0
    task = asyncio.create_task(bell.wait("me", 0.05))
    while not task.done():
        ticks += 1
        await asyncio.sleep(0.005)
    assert not task.result()
    assert ticks > 2


async def test_a_cancelled_wait_can_be_repeated(bells: Bells) -> None:
    bell = bells.of_loop()
    task = asyncio.create_task(bell.wait("me", LONG))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    bells.ring(bell.address, "me")
    assert await bell.wait("me", LONG)


async def test_rings_for_those_who_never_come_are_forgotten_in_the_end(bells: Bells) -> None:
    bell: Any = bells.of_loop()
    for n in range(3000):
        bells.ring(bell.address, f"gone-{n}")
        if n % 5 == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert len(bell._early) <= 1024


async def test_without_sockets_a_wait_on_a_loop_is_a_short_nap(bells: Bells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", no_more_descriptors)
    bell = bells.of_loop()
    began = time.monotonic()
    assert bell.address == ""
    assert await bell.wait("me", LONG)
    assert timed(began) < 1


async def test_after_closing_a_loop_can_have_a_bell_again(bells: Bells) -> None:
    first = bells.of_loop()
    bells.close()
    await asyncio.sleep(0)
    second = bells.of_loop()

    assert second is not first
    bells.ring(second.address, "me")
    assert await second.wait("me", PROMPT)


def test_closing_from_another_thread_while_the_loop_runs(bells: Bells) -> None:
    async def scenario() -> None:
        bells.of_loop()
        await asyncio.to_thread(bells.close)
        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_a_loop_that_has_ended_leaves_no_socket_to_the_garbage_collector(bells: Bells) -> None:
    """A script that calls `asyncio.run` again and again would collect them, and be warned of each."""

    async def use() -> None:
        bells.of_loop()

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(5):
            asyncio.run(use())
        gc.collect()
    assert [str(warning.message) for warning in found if "clawproof" in str(warning.message)] == []
