"""A reply that is lost after its command was carried out costs nothing but the time to ask again.

Each command is sent twice to the same situation: undisturbed, and with its reply lost. By a clock that stands still,
both must give the same answer, the same log and the same instant, down to the last fence.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.events import EventFilter
from clawproof_langgraph.model import (
    Advance,
    Asked,
    Kill,
    Note,
    Renew,
    Resolve,
    Revive,
    State,
    Subscribe,
    Unsubscribe,
    Withdraw,
)
from clawproof_langgraph.testing.builders import again, ask, call, reading, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.faces import AsyncFace, Face, SyncFace
from tests.servers.proxy import Fate, Proxy

_numbers = itertools.count()
MOMENT = 3.0
"""Seconds that a repetition may take; a lock that its own holder had to wait for would take its TTL, of 30."""

Command = Callable[[], Any]
"""What is sent in a situation, and answered."""


def granted(store: Face) -> Command:
    return lambda: store.begin(call("a", "inventory/1", "inventory/2", key="k", bell="b"))


def granted_to_a_reader(store: Face) -> Command:
    store.granted(call("other", reading("inventory/1")))
    return lambda: store.begin(call("a", reading("inventory/1"), key="k"))


def granted_without_a_key(store: Face) -> Command:
    return lambda: store.begin(ask("a", "inventory/1"))


def granted_without_locks(store: Face) -> Command:
    return lambda: store.begin(call("a", key="k"))


def granted_inside_another(store: Face) -> Command:
    store.granted(call("outer", "inventory/1", key="k"))
    return lambda: store.begin(ask("a", "inventory/1", "inventory/2", ancestors=("outer",)))


def granted_after_a_failure(store: Face) -> Command:
    lease = store.granted(call("first", "inventory/1", key="k"))
    store.settle(settled(lease, State.FAILED, is_open=True, error="ValueError"))
    return lambda: store.begin(call("a", "inventory/1", key="k", rerun_within=60))


def granted_under_the_key_of_another(store: Face) -> Command:
    lease = store.granted(call("first", "inventory/1", key="k", scope="s"))
    store.settle(settled(lease, State.FAILED, is_open=True, error="ValueError"))
    return lambda: store.begin(call("a", "inventory/1", key="other", scope="s", rerun_within=60))


def queued(store: Face) -> Command:
    store.granted(ask("holder", "inventory/1"))
    store.queued(ask("before", "inventory/1"))
    return lambda: store.begin(call("a", "inventory/1", key="k"))


def queued_still(store: Face) -> Command:
    store.granted(ask("holder", "inventory/1"))
    store.queued(ask("a", "inventory/1"))
    return lambda: store.begin(again(ask("a", "inventory/1"), waited=1.0))


def claimed(store: Face) -> Command:
    lease = store.granted(ask("holder", "inventory/1"))
    waiter = call("a", "inventory/1", key="k", bell="b")
    store.queued(waiter)
    store.settle(released(lease))
    return lambda: store.begin(again(waiter, waited=1.0))


def replayed(store: Face) -> Command:
    store.settle(settled(store.granted(call("first", "inventory/1", key="k")), result=b"42"))
    return lambda: store.begin(call("a", "inventory/1", key="k"))


def held(store: Face) -> Command:
    store.settle(settled(store.granted(call("first", "inventory/1", key="k")), State.IN_DOUBT))
    return lambda: store.begin(call("a", "inventory/1", key="k"))


def refused_as_killed(store: Face) -> Command:
    store.record(Kill("orders", "too cheap", "ops"))
    return lambda: store.begin(call("a", "inventory/1", key="k"))


def refused_as_another(store: Face) -> Command:
    store.settle(settled(store.granted(call("first", key="k")), result=b"42"))
    return lambda: store.begin(call("a", key="k", fingerprint="other"))


def settled_as(state: State, **fields: Any) -> Callable[[Face], Command]:
    def situation(store: Face) -> Command:
        lease = store.granted(call("a", "inventory/1", key="k"))
        return lambda: store.settle(settled(lease, state, emits=(("Sold", {"sku": "1"}),), **fields))

    return situation


def settled_and_handed_on(store: Face) -> Command:
    lease = store.granted(call("a", "inventory/1", key="k"))
    store.queued(ask("next", "inventory/1", bell="b"))
    return lambda: store.settle(settled(lease, result=b"42"))


def released_plainly(store: Face) -> Command:
    lease = store.granted(ask("a", "inventory/1"))
    return lambda: store.settle(released(lease))


def withdrawn_from_the_queue(store: Face) -> Command:
    store.granted(ask("holder", "inventory/1"))
    waiter = ask("a", "inventory/1")
    store.queued(waiter)
    return lambda: store.withdraw(Withdraw("a", "timeout", waiter))


def withdrawn_unused(store: Face) -> Command:
    store.granted(call("a", "inventory/1", key="k"))
    return lambda: store.withdraw(Withdraw("a"))


def renewed(store: Face) -> Command:
    store.granted(call("a", "inventory/1", key="k", expected=1.0))
    lease = store.granted(ask("holder", "inventory/2"))
    store.queued(ask("waiter", "inventory/2", bell="b"))
    store.settle(released(lease))
    beat = Renew("s1", (("a", 30.0), ("gone", 30.0)), waiting=True, agents=("orders",))
    return lambda: store.renew(beat)


def swept(store: Face) -> Command:
    store.granted(call("a", "inventory/1", key="k", ttl=0.0))
    return lambda: store.sweep() and None  # a repetition finds less to do


def killed(store: Face) -> Command:
    return lambda: store.record(Kill("orders", "too cheap", "ops"))


def revived(store: Face) -> Command:
    store.record(Kill("orders"))
    return lambda: store.record(Revive("orders", "ops"))


def resolved(store: Face) -> Command:
    store.settle(settled(store.granted(call("first", "inventory/1", key="k")), State.IN_DOUBT))
    return lambda: store.record(Resolve("k", applied=True, result=b"42", by="ops"))


def noted(store: Face) -> Command:
    return lambda: store.record(Note("PriceChanged", resources=("pricing/1",), data={"price": 3}))


def published(store: Face) -> Command:
    return lambda: store.record(Note("PriceChanged", call="a", resources=("pricing/1",), data={"price": 3}))


def subscribed(store: Face) -> Command:
    store.record(Note("PriceChanged"))
    return lambda: store.record(Subscribe("view", "a"))


def advanced(store: Face) -> Command:
    cursor = store.record(Subscribe("view", "a"))
    store.record(Note("PriceChanged"))
    return lambda: store.record(Advance("view", "a", cursor + 1))


def unsubscribed(store: Face) -> Command:
    store.record(Subscribe("view", "a"))
    return lambda: store.record(Unsubscribe("view"))


def asked(store: Face) -> Command:
    lease = store.granted(call("first", "inventory/1", key="k"))
    store.settle(settled(lease, State.IN_DOUBT))

    def command() -> Any:
        store.record(Asked("k", "task-1", lease.fence))
        return store.begin(call("a", "inventory/1", key="k", task="task-1"))

    return command


def snapshot_taken(store: Face) -> Command:
    store.granted(call("a", "inventory/1", key="k"))
    return store.snapshot


def log_read(store: Face) -> Command:
    store.settle(settled(store.granted(call("a", "inventory/1", key="k"))))
    return lambda: store.events(EventFilter())


SITUATIONS = {
    situation.__name__: situation
    for situation in (
        granted, granted_to_a_reader, granted_without_a_key, granted_without_locks, granted_inside_another,
        granted_after_a_failure, granted_under_the_key_of_another, queued, queued_still, claimed, replayed,
        held, refused_as_killed, refused_as_another, settled_and_handed_on, released_plainly,
        withdrawn_from_the_queue, withdrawn_unused, renewed, swept, killed, revived, resolved, noted,
        published, subscribed, advanced, unsubscribed, asked, snapshot_taken, log_read,
    )
} | {
    "settled_as_done": settled_as(State.DONE, result=b"42"),
    "settled_as_rejected": settled_as(State.REJECTED, result=b"no"),
    "settled_as_failed": settled_as(State.FAILED, touched=False, error="ValueError"),
    "settled_as_failed_and_open": settled_as(State.FAILED, is_open=True, error="ValueError"),
    "settled_as_suspended": settled_as(State.SUSPENDED, touched=False),
    "settled_as_in_doubt": settled_as(State.IN_DOUBT, error="ValueError"),
}  # fmt: skip


class Seen(NamedTuple):
    """What there is to be seen of a command, by the clock of the test."""

    answer: Any
    events: Any
    snapshot: Any


def seen(url: str, kind: type[Face], situation: Callable[[Face], Command], disturb: Callable[[], object]) -> Seen:
    """Send a command to a situation, in a namespace of its own."""
    backend = RedisBackend(url, f"lost-{next(_numbers)}", clock=ManualClock())
    store = kind(backend)
    try:
        command = situation(store)
        store.snapshot()  # there is an open connection
        backend.renew(Renew("nobody"))  # and one for the heartbeat
        disturb()
        began = time.monotonic()
        answer = command()
        assert time.monotonic() - began < MOMENT
        return Seen(answer, store.log(), store.snapshot())
    finally:
        store.close()
        backend.close()


@pytest.mark.parametrize("fate", Fate, ids=lambda fate: fate.value)
@pytest.mark.parametrize("kind", [SyncFace, AsyncFace], ids=["sync", "async"])
@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=list(SITUATIONS))
def test_a_lost_reply_changes_nothing(
    proxy: Proxy,
    situation: Callable[[Face], Command],
    kind: type[Face],
    fate: Fate,
) -> None:
    expected = seen(proxy.url, kind, situation, lambda: None)
    url = proxy.url
    if fate is Fate.LATE:
        url += "?socket_timeout=0.2"

    found = seen(url, kind, situation, lambda: proxy.lose_replies(1, fate))

    assert proxy.lost == 1
    assert found == expected


@pytest.mark.parametrize("kind", [SyncFace, AsyncFace], ids=["sync", "async"])
@pytest.mark.parametrize(
    "situation", [granted, claimed, settled_and_handed_on], ids=lambda situation: situation.__name__
)
def test_nor_do_several_in_a_row(proxy: Proxy, situation: Callable[[Face], Command], kind: type[Face]) -> None:
    expected = seen(proxy.url, kind, situation, lambda: None)
    assert seen(proxy.url, kind, situation, lambda: proxy.lose_replies(5)) == expected
