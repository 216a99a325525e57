"""Several processes over one file: they exclude each other, and one that dies is in nobody's way for long."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawproof_langgraph import Coordinator
from clawproof_langgraph.backends.sqlite import SqliteBackend
from clawproof_langgraph.backends.sqlite import backend as sqlite_backend
from clawproof_langgraph.model import Granted
from clawproof_langgraph.testing.builders import again, ask, released
from tests.backends import workers
from tests.waiting import wait_until

PROCESSES, TIMES = 4, 100
spawn = multiprocessing.get_context("spawn")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Name a fresh file."""
    return f"sqlite:///{tmp_path / 'state.db'}?synchronous=normal"


@pytest.fixture
def coordinator(url: str) -> Iterator[Coordinator]:
    """Open it."""
    with Coordinator.from_url(url) as made:
        yield made


def test_processes_exclude_each_other(url: str, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [spawn.Process(target=workers.increment, args=(url, str(counter), TIMES)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert counter.read_text() == str(PROCESSES * TIMES)


@pytest.mark.parametrize("lock", ["DEFERRED", "IMMEDIATE", "EXCLUSIVE"])
def test_a_new_file_that_another_process_is_making_is_waited_for(tmp_path: Path, lock: str) -> None:
    """The workers of a server start together; SQLite waits for some of these locks by itself, and for others not."""
    maker = sqlite3.connect(tmp_path / "new.db", isolation_level=None, check_same_thread=False)
    maker.execute(f"BEGIN {lock}")
    maker.execute("SELECT * FROM sqlite_master")
    threading.Timer(0.2, maker.execute, ("COMMIT",)).start()

    SqliteBackend(tmp_path / "new.db").close()

    maker.close()


def test_a_new_file_can_be_opened_by_many_at_once(tmp_path: Path) -> None:
    failures = []

    def open_it(path: Path, start: threading.Barrier) -> None:
        start.wait()
        try:
            SqliteBackend(path).close()
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    for number in range(5):
        arguments = (tmp_path / f"{number}.db", threading.Barrier(8))
        threads = [threading.Thread(target=open_it, args=arguments) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert failures == []


def test_the_lock_of_a_killed_process_passes_on_when_its_lease_ends(url: str, coordinator: Coordinator) -> None:
    ttl = 1.0
    holder = spawn.Process(target=workers.hold, args=(url, ttl))
    holder.start()
    wait_until(lambda: coordinator.snapshot().leases)
    holder.kill()
    holder.join()
    killed = time.monotonic()

    with coordinator.lock("a", wait=10):
        assert time.monotonic() - killed <= ttl + 0.5

    (expired,) = coordinator.events(types=["lock.expired"])
    assert expired.resources == ("a",)


async def test_a_slow_write_elsewhere_does_not_block_the_loop(coordinator: Coordinator, tmp_path: Path) -> None:
    writer = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    async def use() -> None:
        async with coordinator.lock("a"):
            pass

    task = asyncio.create_task(use())
    longest, last, end = 0.0, time.monotonic(), time.monotonic() + 0.4
    while (now := time.monotonic()) < end:
        longest, last = max(longest, now - last), now
        await asyncio.sleep(0.005)

    assert not task.done()
    writer.execute("COMMIT")
    writer.close()
    await asyncio.wait_for(task, 5)
    assert longest < 0.35


async def test_cancelling_while_the_file_is_busy_leaves_no_grant(coordinator: Coordinator, tmp_path: Path) -> None:
    """The command is on its way already, so it is carried through, and then taken back."""
    writer = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(coordinator.lock("a").__aenter__())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.sleep(0.05)
    writer.execute("COMMIT")
    writer.close()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert coordinator.snapshot().leases == ()


def test_a_reader_is_not_kept_out_by_a_writer(coordinator: Coordinator, tmp_path: Path) -> None:
    writer = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    coordinator.snapshot()
    assert time.monotonic() - began < 1
    writer.execute("ROLLBACK")
    writer.close()


def test_who_was_woken_goes_before_a_new_request_of_the_process_that_woke_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteBackend(tmp_path / "state.db", synchronous="normal")
    bell, naps = store.take_bell(), []
    lease = store.begin(ask("a", "inventory/1"))
    waiter = ask("b", "inventory/1", bell=bell.address)
    store.begin(waiter)
    monkeypatch.setattr(sqlite_backend, "_COURTESY", 60.0)  # however slow the machine
    monkeypatch.setattr(sqlite_backend.time, "sleep", naps.append)

    store.begin(ask("early", "inventory/2"))
    assert naps == [], "nobody was woken yet"
    assert isinstance(lease, Granted)
    store.settle(released(lease))
    store.begin(again(waiter))
    assert naps == [], "a claim is what is made way for"
    store.begin(ask("late", "inventory/3"))
    assert naps == [60.0]
    store.give_bell(bell)
    store.close()
