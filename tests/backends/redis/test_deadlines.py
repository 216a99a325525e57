"""A server that does not answer takes no more of a caller's time than the caller has."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from langchain_core.tools import tool

from clawproof_langgraph import BackendUnavailable, Coordinator, Guard, NotApplied, ToolPolicy
from clawproof_langgraph.backends.redis import RedisBackend, connections
from clawproof_langgraph.errors import ClawproofWarning
from clawproof_langgraph.events import EventFilter
from clawproof_langgraph.model import Granted, SettleReply
from clawproof_langgraph.testing.builders import ask, call, released, settled
from clawproof_langgraph.testing.faces import AsyncFace, Face, SyncFace
from tests.servers import Server
from tests.servers.proxy import Proxy
from tests.waiting import wait_until

SLACK = 2.5
"""Seconds beyond the deadline: a last question, and the withdrawal, with the half second that the tests give each."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LEAST", 0.5)
    monkeypatch.setattr(connections, "REPLY_SOON", 0.25)


@pytest.fixture
def coordinator(proxy: Proxy, namespace: str) -> Iterator[Coordinator]:
    with Coordinator.from_url(proxy.url, namespace=namespace) as coordinator:
        with coordinator.lock("warm"):
            pass
        yield coordinator
        proxy.flow()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds + SLACK


def take(coordinator: Coordinator, wait: float) -> None:
    with coordinator.lock("inventory/1", wait=wait):
        raise AssertionError("nobody can have granted it")


async def atake(coordinator: Coordinator, wait: float) -> None:
    async with coordinator.lock("inventory/1", wait=wait):
        raise AssertionError("nobody can have granted it")


TAKE = pytest.mark.parametrize(
    "take_it",
    [take, lambda coordinator, wait: asyncio.run(atake(coordinator, wait))],
    ids=["sync", "async"],
)
Take = Callable[[Coordinator, float], None]


@TAKE
@pytest.mark.parametrize("wait", [0.0, 1.0])
def test_a_caller_waits_for_a_silent_server_no_longer_than_for_its_turn(
    coordinator: Coordinator, proxy: Proxy, take_it: Take, wait: float
) -> None:
    proxy.black_hole()
    with within(wait), pytest.raises(BackendUnavailable, match="No tool runs without it"):
        take_it(coordinator, wait)


@TAKE
def test_a_caller_waits_for_a_server_that_is_gone_no_longer_than_for_its_turn(
    own_server: Server, take_it: Take
) -> None:
    coordinator = Coordinator.from_url(own_server.url)
    own_server.process.kill()
    own_server.process.wait()

    with within(1), pytest.raises(BackendUnavailable, match="Connect"):
        take_it(coordinator, 1.0)
    coordinator.close()


@TAKE
def test_a_waiter_whose_server_falls_silent_gives_up_in_time(
    redis_server: Server, namespace: str, coordinator: Coordinator, proxy: Proxy, take_it: Take
) -> None:
    elsewhere = RedisBackend(redis_server.url, namespace)
    SyncFace(elsewhere).granted(ask("holder", "inventory/1", session="elsewhere"))

    def silence() -> None:
        wait_until(lambda: elsewhere.snapshot().waiters)
        proxy.black_hole()

    with within(1.5), pytest.raises(BackendUnavailable), _meanwhile(silence):
        take_it(coordinator, 1.5)
    elsewhere.close()


@contextmanager
def _meanwhile(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join()


def test_a_waiter_is_woken_after_its_connection_fell_silent_and_another_was_made(
    redis_server: Server, namespace: str, coordinator: Coordinator, proxy: Proxy
) -> None:
    elsewhere = RedisBackend(redis_server.url, namespace)
    holder = SyncFace(elsewhere).granted(ask("holder", "inventory/1", session="elsewhere"))

    def blink() -> None:
        wait_until(lambda: elsewhere.snapshot().waiters)
        proxy.black_hole()
        time.sleep(0.5)  # how long the network is away
        proxy.flow()
        elsewhere.settle(released(holder))

    with _meanwhile(blink), coordinator.lock("inventory/1", wait=20) as lease:
        assert lease.fence > holder.fence
    elsewhere.close()


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_result_that_cannot_be_recorded_reaches_its_caller_within_the_ttl(
    coordinator: Coordinator, proxy: Proxy, asynchronous: bool
) -> None:
    @tool
    def place_order(order: str) -> str:
        """Place an order."""
        proxy.black_hole()
        return "placed"

    guard = Guard(coordinator, tools={"place_order": ToolPolicy(locks=["order/{order}"], ttl="1s")})
    guarded = guard.wrap_tool(place_order)

    with within(1), pytest.warns(ClawproofWarning, match="could not record it"):
        told = asyncio.run(guarded.ainvoke({"order": "7"})) if asynchronous else guarded.invoke({"order": "7"})
    assert told == "placed"


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_the_error_of_a_tool_is_not_kept_back_for_long(
    coordinator: Coordinator, proxy: Proxy, asynchronous: bool
) -> None:
    @tool
    def place_order(order: str) -> str:
        """Place an order."""
        proxy.black_hole()
        raise NotApplied("sold out")

    guard = Guard(coordinator, tools={"place_order": ToolPolicy(locks=["order/{order}"], ttl="1s", retry=False)})
    guarded = guard.wrap_tool(place_order)
    with within(1), pytest.raises(NotApplied, match="sold out"), pytest.warns(ClawproofWarning):
        asyncio.run(guarded.ainvoke({"order": "7"})) if asynchronous else guarded.invoke({"order": "7"})


@pytest.mark.parametrize("kind", [SyncFace, AsyncFace], ids=["sync", "async"])
def test_an_outcome_that_was_recorded_while_its_server_went_away_is_known_afterwards(
    proxy: Proxy, namespace: str, kind: type[Face]
) -> None:
    backend = RedisBackend(f"{proxy.url}?socket_timeout=0.25", namespace)
    store = kind(backend)
    lease = store.granted(call("a", "inventory/1"))

    def settled_and_away(reply: bytes) -> bytes:
        proxy.black_hole()
        return b""

    proxy.change = settled_and_away
    with pytest.raises(BackendUnavailable):
        store.settle(settled(lease, patience=0.5))
    proxy.cut()
    proxy.change = lambda data: data
    proxy.flow()

    assert store.settle(settled(lease)) is SettleReply.SETTLED
    assert [event.type for event in store.log()] == ["lock.acquired", "call.started", "call.done", "lock.released"]
    store.close()
    backend.close()


@TAKE
def test_a_grant_of_which_its_caller_never_heard_is_given_up_once_the_server_is_back(
    redis_server: Server, namespace: str, coordinator: Coordinator, proxy: Proxy, take_it: Take
) -> None:
    def granted_and_away(reply: bytes) -> bytes:
        if b"granted" not in reply:
            return reply
        proxy.black_hole()
        return b""

    proxy.change = granted_and_away
    with pytest.raises(BackendUnavailable):
        take_it(coordinator, 0.0)
    elsewhere = RedisBackend(redis_server.url, namespace)
    assert elsewhere.snapshot().leases

    proxy.cut()  # what is still under way never comes
    proxy.change = lambda data: data
    proxy.flow()

    wait_until(lambda: not elsewhere.snapshot().leases, within=5)
    assert [event.type for event in elsewhere.events(EventFilter())][-2:] == ["lock.acquired", "lock.released"]
    elsewhere.close()


def test_leases_are_kept_over_a_connection_that_falls_silent(
    redis_server: Server, namespace: str, coordinator: Coordinator, proxy: Proxy
) -> None:
    with coordinator.lock("inventory/1", ttl=3) as lease:
        renewed = lease.renewed_at
        wait_until(lambda: lease.renewed_at > renewed)
        proxy.swallow()  # what is open stays open and says nothing; new connections are fine
        renewed = lease.renewed_at
        wait_until(lambda: lease.renewed_at > renewed)
        lease.check()


async def test_a_cancelled_caller_of_a_silent_server_leaves_in_time(coordinator: Coordinator, proxy: Proxy) -> None:
    proxy.black_hole()
    began = time.monotonic()
    task = asyncio.create_task(atake(coordinator, 1.0))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert time.monotonic() - began < 1.0 + SLACK
    assert task.cancelled()


async def test_many_callers_of_a_silent_server_do_not_wait_for_each_other(
    coordinator: Coordinator, proxy: Proxy
) -> None:
    proxy.black_hole()
    with within(0.5):
        ends = await asyncio.gather(*[atake(coordinator, 0.5) for _ in range(20)], return_exceptions=True)
    assert {type(end) for end in ends} == {BackendUnavailable}


@pytest.mark.parametrize("first", [True, False], ids=["connecting", "connected"])
async def test_a_loop_that_was_blocked_hears_the_reply_that_came_meanwhile(
    redis_server: Server, namespace: str, first: bool
) -> None:
    async with Coordinator.from_url(redis_server.url, namespace=namespace) as coordinator:

        async def take_it(name: str) -> None:
            async with coordinator.lock(name, wait=0.5):
                pass

        if not first:
            await take_it("warm")
        task = asyncio.create_task(take_it("inventory/1"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(1.0)  # noqa: ASYNC251 - longer than a reply or the caller is waited for
        await task


@pytest.mark.timeout(20)  # it cannot be cancelled, either
async def test_a_command_too_big_for_a_connection_that_died_is_given_up(proxy: Proxy, namespace: str) -> None:
    """What the system cannot take in at once waits for the other side, which takes nothing any more."""
    backend = RedisBackend(f"{proxy.url}?socket_timeout=0.5", namespace)
    lease = await backend.abegin(call("a", "inventory/1", key="k"))
    assert isinstance(lease, Granted)
    proxy.black_hole()
    big, small = b"x" * 20_000_000, b"x"

    async with asyncio.timeout(8):
        ends = [backend.asettle(settled(lease, result=each, patience=2.0)) for each in (big, small, big)]
        errors = await asyncio.gather(*ends, return_exceptions=True)

    assert [type(error) for error in errors] == [BackendUnavailable] * 3
    proxy.flow()
    assert await backend.asettle(settled(lease, result=b"42")) is SettleReply.SETTLED
    backend.close()
