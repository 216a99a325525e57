"""A reply that is lost after its command was carried out costs nothing but the time to ask again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.model import (
    Advance,
    Kill,
    Note,
    Renew,
    Resolve,
    Settle,
    SettleReply,
    State,
    Subscribe,
    Sweep,
    Unsubscribe,
    Withdraw,
)
from clawproof_langgraph.testing.builders import ask, call, reading, settled
from clawproof_langgraph.testing.faces import AsyncFace, Face, SyncFace
from tests.servers import Server
from tests.servers.proxy import Proxy, proxy_to

_numbers = itertools.count()


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[Proxy]:
    with proxy_to(redis_server.port) as proxy:
        yield proxy


@pytest.fixture(params=[SyncFace, AsyncFace], ids=["sync", "async"])
def store(request: pytest.FixtureRequest, proxy: Proxy) -> Iterator[Face]:
    """A store that is reached through the proxy."""
    backend = RedisBackend(proxy.url, f"lost-{next(_numbers)}")
    face: Face = request.param(backend)
    face.snapshot()  # the connections are open
    yield face
    face.close()
    backend.close()


def test_a_grant_is_given_once(store: Face, proxy: Proxy) -> None:
    store.granted(ask("warm", "other"))
    proxy.lose_replies()
    lease = store.granted(call("a", "inventory/1", key="k"))

    assert proxy.lost == 1
    acquired = [event for event in store.log("lock.acquired") if event.call == "a"]
    assert [event.fence for event in acquired] == [lease.fence]
    assert len([event for event in store.log("call.started") if event.call == "a"]) == 1
    assert store.settle(settled(lease, result=b"42")) is SettleReply.SETTLED


def test_a_grant_of_a_reader_is_given_once(store: Face, proxy: Proxy) -> None:
    store.granted(ask("warm", reading("other")))
    proxy.lose_replies()
    lease = store.granted(call("a", reading("inventory/1"), key="k"))

    assert [event.fence for event in store.log("lock.acquired") if event.call == "a"] == [lease.fence]


def test_a_place_in_the_queue_is_taken_once(store: Face, proxy: Proxy) -> None:
    store.granted(ask("a", "inventory/1"))
    proxy.lose_replies()
    store.queued(ask("b", "inventory/1"))

    assert [waiter.owner for waiter in store.snapshot().waiters] == ["b"]


def test_a_result_is_recorded_once(store: Face, proxy: Proxy) -> None:
    store.settle(settled(store.granted(call("warm", key="warm"))))
    lease = store.granted(call("a", "inventory/1", key="k"))
    proxy.lose_replies()

    assert store.settle(settled(lease, result=b"42")) is SettleReply.SETTLED

    assert len([event for event in store.log("call.done") if event.call == "a"]) == 1
    assert store.snapshot().leases == ()


def test_a_plain_lock_is_released_once(store: Face, proxy: Proxy) -> None:
    lease = store.granted(ask("a", "inventory/1"))
    proxy.lose_replies()

    assert store.settle(Settle(lease.owner, lease.fence, None)) is SettleReply.SETTLED

    assert len(store.log("lock.released")) == 1
    store.granted(ask("b", "inventory/1"))


def test_a_failure_of_which_nothing_is_kept_is_told_once(store: Face, proxy: Proxy) -> None:
    lease = store.granted(call("a", "inventory/1", key="k"))
    proxy.lose_replies()

    assert store.settle(settled(lease, State.FAILED)) is SettleReply.SETTLED

    assert len(store.log("call.failed")) == 1


def test_what_is_given_up_is_given_up(store: Face, proxy: Proxy) -> None:
    store.granted(ask("a", "inventory/1"))
    store.queued(ask("b", "inventory/1"))
    proxy.lose_replies()
    store.withdraw(Withdraw("b", "timeout"))

    assert store.snapshot().waiters == ()
    assert len(store.log("lock.denied")) == 1


def test_the_heartbeat_and_the_operator_are_heard(store: Face, proxy: Proxy) -> None:
    lease = store.granted(call("a", "inventory/1", key="k"))
    proxy.lose_replies()
    assert store.renew(Renew("s1", leases=(("a", 30.0),))).lost == frozenset()
    store.settle(settled(lease, State.IN_DOUBT))
    proxy.lose_replies()
    store.record(Resolve("k", applied=True, result=b"42"))
    proxy.lose_replies()
    store.record(Kill("orders"))
    proxy.lose_replies()
    store.sweep(Sweep())
    proxy.lose_replies()
    assert [row.agent for row in store.snapshot().killed] == ["orders"]
    proxy.lose_replies()
    assert len(store.log("call.resolved")) == 1
    assert proxy.lost == 6


def test_what_is_published_is_told_once(store: Face, proxy: Proxy) -> None:
    for number in range(700):
        store.record(Note("Before", call=f"s-{number}"))
    proxy.lose_replies()
    cursor = store.record(Note("PriceChanged", call="s-x", data={"price": 3}))

    assert proxy.lost == 1
    assert [event.cursor for event in store.log("PriceChanged")] == [cursor]


def test_what_was_not_published_yet_is_published(store: Face, proxy: Proxy) -> None:
    """A connection that was cut before the command was sent looks just like a reply that was lost."""
    store.record(Note("PriceChanged", call="s-1", data={"price": 3}))
    proxy.cut()
    store.record(Note("PriceChanged", call="s-2", data={"price": 3}))
    assert [event.call for event in store.log("PriceChanged")] == ["s-1", "s-2"]


def test_subscriptions_stand_where_they_were_told(store: Face, proxy: Proxy) -> None:
    proxy.lose_replies()
    cursor = store.record(Subscribe("view", "a"))
    proxy.lose_replies()
    assert store.record(Advance("view", "a", cursor + 5)) == cursor + 5
    proxy.lose_replies()
    store.record(Unsubscribe("view"))
    assert proxy.lost == 3
    assert store.record(Subscribe("view", "b")) == cursor
