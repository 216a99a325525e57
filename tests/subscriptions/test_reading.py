"""Reading through a coordinator: waiting, acknowledging, closing; with threads and with event loops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import Counter

import pytest

from clawproof_langgraph import BackendUnavailable, ConfigurationError, Coordinator, Event
from clawproof_langgraph import subscription as module
from clawproof_langgraph.model import Advance
from clawproof_langgraph.subscription import Subscription
from tests.subscriptions.conftest import Open
from tests.waiting import wait_until


def numbers(events: list[Event]) -> list[int]:
    """Give what was published in order."""
    return [event.data["n"] for event in events]


def fill(coordinator: Coordinator, count: int, first: int = 0) -> None:
    """Publish numbers."""
    for number in range(first, first + count):
        coordinator.publish("Counted", resource=f"thing/{number % 2}", agent="counter", data={"n": number})


def counted(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the commands that go to the store."""
    counts: Counter[str] = Counter()
    backend = coordinator._backend
    for name in ("page", "record"):

        def count(argument: object, name: str = name, send: object = getattr(backend, name)) -> object:
            counts[type(argument).__name__ if name == "record" else name] += 1
            return send(argument)  # type: ignore[operator]

        monkeypatch.setattr(backend, name, count)
    return counts


def test_an_iteration_ends_when_nothing_comes(coordinator: Coordinator) -> None:
    with coordinator.subscribe("view", timeout=0.05) as events:
        fill(coordinator, 5)
        assert numbers(list(events)) == [0, 1, 2, 3, 4]
        fill(coordinator, 2, first=5)
        assert numbers(list(events)) == [5, 6]
        assert list(events) == []


async def test_an_async_iteration_ends_when_nothing_comes(coordinator: Coordinator) -> None:
    async with await coordinator.asubscribe("view", timeout=0.05) as events:
        fill(coordinator, 5)
        assert numbers([event async for event in events]) == [0, 1, 2, 3, 4]
        assert [event async for event in events] == []


def test_filters_are_those_of_the_log(coordinator: Coordinator) -> None:
    by_resource = coordinator.subscribe("by resource", resource="thing/1", timeout=0)
    by_agent = coordinator.subscribe("by agent", agent="nobody", timeout=0)
    by_type = coordinator.subscribe("by type", types="Counted", timeout=0)
    fill(coordinator, 4)
    coordinator.publish("Other")
    assert numbers(list(by_resource)) == [1, 3]
    assert list(by_agent) == []
    assert numbers(list(by_type)) == [0, 1, 2, 3]


def test_who_waits_is_woken_by_another_process(open_store: Open) -> None:
    reader, writer = open_store(), open_store()
    events = reader.subscribe("view")
    threading.Timer(0.3, fill, (writer, 1)).start()

    event = next(events)

    assert time.time() - event.time < 1
    assert event.data == {"n": 0}


async def test_an_event_loop_is_woken_and_never_blocked(open_store: Open) -> None:
    reader, writer = open_store(), open_store()
    events = await reader.asubscribe("view")
    task = asyncio.create_task(anext(events))
    threading.Timer(0.5, fill, (writer, 1)).start()
    longest, last = 0.0, time.monotonic()
    while not task.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()

    assert (await task).data == {"n": 0}
    assert longest < 0.3
    await events.aclose()


async def test_one_that_is_cancelled_loses_nothing(coordinator: Coordinator) -> None:
    events = await coordinator.asubscribe("view")
    found: list[Event] = []

    async def read() -> None:
        async for event in events:
            found.append(event)  # noqa: PERF401 - what came before the cancellation counts

    for number in range(12):
        task = asyncio.create_task(read())
        await asyncio.sleep(0.002 * number)
        await coordinator.apublish("Counted", data={"n": number})
        await asyncio.sleep(0.002 * number)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    while event := await events.apoll(0.2):
        found.append(event)
    await events.aclose()

    assert numbers(found) == list(range(12))


async def test_leaving_by_cancellation_frees_the_name(coordinator: Coordinator) -> None:
    async def read() -> None:
        async with await coordinator.asubscribe("view") as events:
            entered.set()
            async for _ in events:
                pass

    entered = asyncio.Event()
    task = asyncio.create_task(read())
    await entered.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await (await coordinator.asubscribe("view")).aclose()


def test_a_poll_gives_one_event_or_none(coordinator: Coordinator) -> None:
    events = coordinator.subscribe("view")
    assert events.poll() is None
    fill(coordinator, 2)
    assert numbers([events.poll(), events.poll("50ms")]) == [0, 1]  # type: ignore[list-item]
    assert events.poll(0.05) is None


def test_what_is_acknowledged_is_not_given_again(open_store: Open) -> None:
    events = open_store().subscribe("view")
    fill(open_store(), 3)
    next(events)
    cursor = next(events).cursor
    events.ack()
    events.close()

    again = open_store().subscribe("view", timeout=0)

    assert again.cursor == cursor
    assert numbers(list(again)) == [2]


def test_what_was_not_asked_past_is_given_again(open_store: Open) -> None:
    with open_store().subscribe("view") as events:
        fill(open_store(), 3)
        next(events)
        next(events)
    assert numbers(list(open_store().subscribe("view", timeout=0))) == [1, 2]


async def test_acknowledging_works_from_an_event_loop(coordinator: Coordinator) -> None:
    events = await coordinator.asubscribe("view")
    fill(coordinator, 2)
    await events.apoll()
    await events.aack()
    await events.aclose()
    async with await coordinator.asubscribe("view") as again:
        assert numbers([await again.apoll()]) == [1]  # type: ignore[list-item]


def test_a_batch_costs_one_reading_and_one_acknowledgement(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SAVE_EVERY", 60.0)
    events = coordinator.subscribe("view", timeout=0)
    fill(coordinator, 1200)
    counts = counted(coordinator, monkeypatch)

    assert numbers(list(events)) == list(range(1200))

    assert counts["page"] <= 4
    assert counts["Advance"] == 3


def test_waiting_does_not_read_the_log(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    events = coordinator.subscribe("view")
    counts = counted(coordinator, monkeypatch)
    assert events.poll(0.5) is None
    assert counts["page"] <= 3
    assert counts["Advance"] == 0


def told(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> list[Advance]:
    """Note what the store is told of how far was read."""
    facts: list[Advance] = []
    record = coordinator._backend.record
    monkeypatch.setattr(coordinator._backend, "record", lambda fact: (facts.append(fact), record(fact))[1])
    return facts


def test_an_acknowledgement_does_not_wait_for_the_next_event(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = open_store(), open_store()
    events = reader.subscribe("view")
    fill(writer, 1)
    last, facts = writer.events()[-1].cursor, told(reader, monkeypatch)
    thread = threading.Thread(target=lambda: list(events))
    thread.start()
    try:
        wait_until(lambda: facts and facts[-1].cursor == last)
    finally:
        events.close()
        thread.join(10)
    assert not thread.is_alive()


def test_closing_ends_an_iteration_that_waits(coordinator: Coordinator) -> None:
    events, ended = coordinator.subscribe("view"), threading.Event()

    def read() -> None:
        for _ in events:
            pass
        ended.set()

    threading.Thread(target=read).start()
    wait_until(events._unused.locked)
    events.close()
    assert ended.wait(5)


def test_a_reader_that_waits_leaves_its_name_when_it_is_closed_elsewhere(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, waits, go_on = open_store(), threading.Event(), threading.Event()
    events = store.subscribe("view", types=["Wanted"])
    store.publish("Unwanted")  # which it has passed, and not yet noted

    def follow(after: int, timeout: float) -> bool:
        waits.set()
        go_on.wait(10)
        return False

    monkeypatch.setattr(store._backend, "follow", follow)
    reading = threading.Thread(target=list, args=(events,))
    reading.start()
    assert waits.wait(10)
    events.close()
    go_on.set()
    reading.join(10)

    open_store().subscribe("view").close()


def test_one_that_was_closed_says_so(coordinator: Coordinator) -> None:
    events = coordinator.subscribe("view")
    events.close()
    events.close()
    assert list(events) == []
    with pytest.raises(ConfigurationError, match=r'"view" was closed.*subscribe\("view"\)'):
        events.poll()


def test_closing_the_coordinator_notes_what_was_read(open_store: Open) -> None:
    reader = open_store()
    events = reader.subscribe("view")
    fill(open_store(), 2)
    next(events)
    next(events)
    reader.close()
    assert numbers(list(open_store().subscribe("view", timeout=0))) == [1]


def test_two_readers_of_one_name_are_one_too_many(open_store: Open) -> None:
    with open_store().subscribe("view"), pytest.raises(ConfigurationError, match='"view" is read by somebody else'):
        open_store().subscribe("view")
    open_store().subscribe("view")


def test_a_reader_that_waits_keeps_its_name(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SAVE_EVERY", 0.1)
    monkeypatch.setattr(module, "_SHOW_LIFE_EVERY", 0.1)
    reader = open_store()
    events, signs = reader.subscribe("view"), told(reader, monkeypatch)
    assert events.poll(1) is None
    assert len(signs) >= 3
    assert all(isinstance(fact, Advance) and not fact.over for fact in signs)


def test_one_subscription_is_not_read_by_two_threads(coordinator: Coordinator) -> None:
    events = coordinator.subscribe("view")
    thread = threading.Thread(target=lambda: list(events))
    thread.start()
    wait_until(events._unused.locked)
    with pytest.raises(ConfigurationError, match="another thread or task"):
        events.poll()
    events.close()
    thread.join(10)


def test_a_store_that_fails_loses_nothing(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    events = coordinator.subscribe("view", timeout=0)
    found: list[Event] = []
    fill(coordinator, 3)
    page, failing = coordinator._backend.page, [True, False, True, False]

    def fail(wanted: object) -> object:
        if failing and failing.pop(0):
            raise BackendUnavailable("the store", "the test says so")
        return page(wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(coordinator._backend, "page", fail)
    for _ in range(3):
        with contextlib.suppress(BackendUnavailable):
            for event in events:
                found.append(event)  # noqa: PERF402 - what came before the failure counts
    assert numbers(found) == [0, 1, 2]


def test_lag_is_the_age_of_what_was_not_read(coordinator: Coordinator) -> None:
    events = coordinator.subscribe("view")
    assert events.lag() == 0.0
    fill(coordinator, 2)
    wait_until(lambda: events.lag() > 0.05)
    while events.poll():
        pass
    assert events.lag() == 0.0


async def test_lag_can_be_asked_for_on_an_event_loop(coordinator: Coordinator) -> None:
    events = await coordinator.asubscribe("view")
    assert await events.alag() == 0.0
    await events.aclose()


def test_a_name_that_was_forgotten_is_gone(coordinator: Coordinator) -> None:
    events: Subscription = coordinator.subscribe("view")
    coordinator.unsubscribe("view")
    fill(coordinator, 1)
    assert numbers([next(events)]) == [0]
    with pytest.raises(ConfigurationError, match="forgotten"):
        events.ack()
    events.close()


async def test_a_name_is_forgotten_from_an_event_loop(coordinator: Coordinator) -> None:
    await (await coordinator.asubscribe("view")).aclose()
    await coordinator.aunsubscribe("view")
    assert await coordinator.aevents() == []


def test_a_forked_child_does_not_read_for_its_parent(coordinator: Coordinator) -> None:
    events = coordinator.subscribe("view", timeout=0)
    fill(coordinator, 1)
    if not (child := os.fork()):
        try:
            events.poll()
        except ConfigurationError:
            events.close()
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert numbers(list(events)) == [0]
