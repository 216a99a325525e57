"""Many writers at once, and readers that are killed: nothing is skipped."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import threading
import time
from pathlib import Path

import pytest

from clawproof_langgraph import ConfigurationError, Coordinator, Event
from clawproof_langgraph.backends.store import READER_LIFE
from clawproof_langgraph.subscription import Subscription
from tests.servers import Server
from tests.subscriptions import workers
from tests.waiting import wait_until

WRITERS, EACH = 4, 150
spawn = multiprocessing.get_context("spawn")


@pytest.fixture(params=["sqlite", "redis"])
def shared(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name a fresh store that processes share."""
    monkeypatch.setenv("CLAWPROOF_NAMESPACE", f"shared-{tmp_path}")
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}?synchronous=normal"
    server: Server = request.getfixturevalue("redis_server")
    return server.url


def check_complete(events: list[Event], coordinator: Coordinator) -> None:
    """Make sure that these are all events of the log, in order."""
    assert [event.cursor for event in events] == [event.cursor for event in coordinator.events(limit=100_000)]
    for writer in range(WRITERS):
        numbers = [event.data["n"] for event in events if event.data.get("writer") == writer]
        assert numbers == list(range(EACH))


def test_threads_that_write_leave_no_gap(coordinator: Coordinator) -> None:
    def write(writer: int) -> None:
        for number in range(EACH):
            coordinator.publish("Counted", data={"writer": writer, "n": number})

    events = coordinator.subscribe("view", timeout=1)
    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    found = list(events)
    for thread in threads:
        thread.join()
    found += list(events)
    check_complete(found, coordinator)


@pytest.mark.parametrize("face", ["sync", "async"])
def test_processes_that_write_leave_no_gap(shared: str, face: str) -> None:
    with Coordinator.from_url(shared) as coordinator:
        events = coordinator.subscribe("view", timeout=1)
        processes = [spawn.Process(target=workers.write, args=(shared, writer, EACH)) for writer in range(WRITERS)]
        for process in processes:
            process.start()

        async def read() -> list[Event]:
            return [event async for event in events]

        found: list[Event] = []
        while any(process.is_alive() for process in processes):
            found += list(events) if face == "sync" else asyncio.run(read())
        found += list(events) if face == "sync" else asyncio.run(read())
        assert [process.exitcode for process in processes] == [0] * WRITERS
        check_complete(found, coordinator)


def test_what_a_killed_reader_had_not_acknowledged_is_given_again(shared: str, tmp_path: Path) -> None:
    seen, lives = tmp_path / "seen", 7
    with Coordinator.from_url(shared) as coordinator:
        coordinator.subscribe("view").close()
        cursors = [coordinator.publish("Counted", data={"n": number}) for number in range(20)]
        reader = spawn.Process(target=workers.read_and_die, args=(shared, "view", str(seen), lives))
        reader.start()
        reader.join(30)
        assert reader.exitcode == -signal.SIGKILL
        killed = time.monotonic()

        events = taken_up(coordinator, "view")

        assert time.monotonic() - killed < READER_LIFE + 1
        again = [event.cursor for event in events]
    read = [int(line) for line in seen.read_text().split()]
    assert read == cursors[:lives]
    assert again[0] <= read[-1], "it was not read: nobody asked for the next one"
    assert again == cursors[cursors.index(again[0]) :]


def taken_up(coordinator: Coordinator, name: str) -> Subscription:
    """Take up a subscription as soon as its name is free."""
    found: list[Subscription] = []

    def is_free() -> bool:
        try:
            found.append(coordinator.subscribe(name, timeout=0))
        except ConfigurationError:
            return False
        return True

    wait_until(is_free)
    return found[0]
