"""What a sweep leaves in the file: no table grows for ever."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawproof_langgraph.backends.sqlite import SqliteBackend
from clawproof_langgraph.model import Granted, Kill, Note, Queued, Renew, Revive, State, Sweep, Withdraw
from clawproof_langgraph.testing.builders import ask, call, released, settled
from clawproof_langgraph.testing.clock import ManualClock

DAY = 86_400.0
SOON = Sweep(keep_results=10 * DAY, keep_events=DAY)


@pytest.fixture
def clock() -> ManualClock:
    """Give the clock that the store goes by."""
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name the file."""
    return tmp_path / "state.db"


@pytest.fixture
def store(path: Path, clock: ManualClock) -> Iterator[SqliteBackend]:
    """Open the store."""
    made = SqliteBackend(path, synchronous="normal", clock=clock)
    yield made
    made.close()


def rows(path: Path) -> dict[str, int]:
    """Count the rows of each table that has any."""
    connection = sqlite3.connect(path)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    counts = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    connection.close()
    return {name: count for name, count in counts.items() if count and name != "namespaces"}


def sweep_all(store: SqliteBackend, terms: Sweep = SOON) -> None:
    """Sweep until there is nothing more to do now."""
    for _ in range(200):
        if not store.sweep(terms).more:
            return
    pytest.fail("there was always more to do")


def use(store: SqliteBackend, number: int) -> None:
    """Make a call of its own session, on resources of its own, that somebody waits for in vain."""
    lease = store.begin(call(f"c{number}", f"r/{number}", key=f"k{number}", scope=f"s{number}", session=f"x{number}"))
    assert isinstance(lease, Granted)
    waiter = ask(f"w{number}", f"r/{number}", session=f"y{number}")
    assert isinstance(store.begin(waiter), Queued)
    store.withdraw(Withdraw(waiter.owner))
    store.settle(settled(lease, result=b"1"))


def test_in_time_nothing_is_left_but_the_newest_event(store: SqliteBackend, clock: ManualClock, path: Path) -> None:
    for number in range(50):
        use(store, number)
    assert rows(path)["records"] == rows(path)["sessions"] == 50

    clock.advance(11 * DAY)
    sweep_all(store, Sweep(limit=7, keep_results=10 * DAY, keep_events=DAY))
    sweep_all(store)

    assert rows(path) == {"events": 1}


def test_results_are_kept_as_long_as_was_promised(store: SqliteBackend, clock: ManualClock, path: Path) -> None:
    use(store, 1)
    clock.advance(9 * DAY)
    use(store, 2)
    clock.advance(2 * DAY)
    sweep_all(store)
    assert rows(path)["records"] == 1


@pytest.mark.parametrize("state", [State.IN_DOUBT, State.SUSPENDED])
def test_what_is_open_stays(store: SqliteBackend, clock: ManualClock, path: Path, state: State) -> None:
    lease = store.begin(call("c", key="k"))
    assert isinstance(lease, Granted)
    store.settle(settled(lease, state))
    clock.advance(1000 * DAY)
    sweep_all(store)
    assert rows(path)["records"] == 1


def test_a_steady_stream_of_calls_keeps_every_table_bounded(
    store: SqliteBackend, clock: ManualClock, path: Path
) -> None:
    most: dict[str, int] = {}
    for number in range(300):
        use(store, number)
        clock.advance(DAY / 10)
        store.sweep(SOON)
        for name, count in rows(path).items() if number > 150 else ():
            most[name] = max(most.get(name, 0), count)

    assert most["records"] <= 110
    assert most["events"] <= 11 * 8
    assert most.get("sessions", 0) <= 5


def test_what_is_young_does_not_hide_what_is_old(store: SqliteBackend, clock: ManualClock, path: Path) -> None:
    """A step looks at a few rows; the next goes on where it ended."""
    for age, names in ((11 * DAY, "wxyz"), (0, "abcde")):
        for name in names:
            lease = store.begin(call(name, name, key=name))
            assert isinstance(lease, Granted)
            store.settle(settled(lease))
        clock.advance(age)

    for _ in range(10):
        store.sweep(Sweep(limit=2, keep_results=10 * DAY))

    assert rows(path)["records"] == 5


def test_events_beyond_the_most_are_deleted_however_young(store: SqliteBackend, clock: ManualClock, path: Path) -> None:
    for number in range(500):
        store.record(Note(f"n{number}"))
    sweep_all(store, Sweep(max_events=100))
    assert 95 <= rows(path)["events"] <= 101


def test_locks_without_a_key_leave_no_record(store: SqliteBackend, path: Path) -> None:
    lease = store.begin(ask("a", "r"))
    assert isinstance(lease, Granted)
    store.settle(released(lease))
    assert "records" not in rows(path)


def test_a_revived_agent_leaves_nothing(store: SqliteBackend, path: Path) -> None:
    store.record(Kill("orders"))
    store.record(Revive("orders"))
    assert "killed" not in rows(path)


def test_dead_waiters_are_all_swept_however_many(store: SqliteBackend, clock: ManualClock, path: Path) -> None:
    """A step ends a bounded number; the next must still know the rest to be dead."""
    lease = store.begin(ask("holder", "r", ttl=1e6))
    for number in range(9):
        store.begin(ask(f"w{number}", "r", session="dead"))
    clock.advance(120)
    store.renew(Renew("s1", (("holder", 1e6),)))

    sweep_all(store, Sweep(limit=2))

    assert store.snapshot().waiters == ()
    assert rows(path).get("queue", 0) == 0
    assert isinstance(lease, Granted)


def test_waiters_that_died_long_ago_are_all_swept(store: SqliteBackend, clock: ManualClock, path: Path) -> None:
    """Also when one step is not enough: what they are found by stays until the last of them is gone."""
    for number in range(20):
        store.begin(ask(f"holder-{number}", f"inventory/{number}", session="other", ttl=DAY))
        store.begin(ask(f"w{number}", f"inventory/{number}", session="dead"))
    clock.advance(3600)

    while store.sweep(Sweep(limit=8)).more:
        pass

    assert store.snapshot().waiters == ()


def test_another_namespace_keeps_what_is_its_own(path: Path, store: SqliteBackend, clock: ManualClock) -> None:
    other = SqliteBackend(path, "other", synchronous="normal", clock=clock)
    for number in range(5):
        use(other, number)
    clock.advance(11 * DAY)
    sweep_all(store)
    assert rows(path)["records"] == 5
    other.close()
