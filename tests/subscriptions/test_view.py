"""A view: what events add up to, without a gap and without counting anything twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.tools import tool

from clawproof_langgraph import ConfigurationError, Coordinator, Event, Guard, ToolPolicy
from clawproof_langgraph.events import EventFilter
from clawproof_langgraph.model import Sweep
from clawproof_langgraph.view import Saved, View
from tests.subscriptions.conftest import Open

MODES = ["sync", "async"]
Numbers = tuple[int, ...]


def gather(state: Numbers, event: Event) -> Numbers:
    """Keep what each event says."""
    return (*state, event.data["n"])


def publish(coordinator: Coordinator, *values: int, type: str = "Counted", **about: str) -> list[int]:
    """Publish numbers; give their cursors."""
    return [coordinator.publish(type, data={"n": value}, **about) for value in values]


def look(view: View[Any], mode: str, **options: Any) -> Any:
    """Ask a view for its state."""
    return view.state(**options) if mode == "sync" else asyncio.run(view.astate(**options))


def trim(coordinator: Coordinator, keep: int) -> None:
    """Delete all but the newest events."""
    coordinator._backend.sweep(Sweep(max_events=keep))


def readings(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> list[EventFilter]:
    """Note what is read of the log."""
    asked: list[EventFilter] = []
    page = coordinator._backend.page
    monkeypatch.setattr(coordinator._backend, "page", lambda wanted: (asked.append(wanted), page(wanted))[1])
    return asked


@pytest.mark.parametrize("mode", MODES)
def test_a_view_goes_on_from_its_snapshot(coordinator: Coordinator, mode: str) -> None:
    publish(coordinator, 1, 2)
    view = View(coordinator, gather, snapshot=lambda: (100,), types=["Counted"])
    assert look(view, mode) == (100,)
    publish(coordinator, 3)
    publish(coordinator, 9, type="Other")
    assert look(view, mode) == (100, 3)
    publish(coordinator, 4)
    assert look(view, mode) == (100, 3, 4)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_written_while_the_snapshot_is_taken_is_not_missed(coordinator: Coordinator, mode: str) -> None:
    def snapshot() -> Numbers:
        publish(coordinator, 1)
        return ()

    assert look(View(coordinator, gather, snapshot=snapshot, types="Counted"), mode) == (1,)


async def test_a_snapshot_may_be_async(coordinator: Coordinator) -> None:
    async def snapshot() -> Numbers:
        await coordinator.apublish("Counted", data={"n": 1})
        return ()

    view = View(coordinator, gather, snapshot=snapshot, types="Counted")
    with pytest.raises(ConfigurationError, match=r"await view\.astate\(\)"):
        view.state()
    assert await view.astate() == (1,)
    assert view.state() == (1,), "once there is a state, it takes no snapshot"


@pytest.mark.parametrize("mode", MODES)
def test_a_state_that_was_saved_with_its_cursor_catches_up(open_store: Open, mode: str) -> None:
    first = open_store()
    early = View(first, gather, snapshot=lambda: Saved((), 0), types=["Counted"])
    publish(first, *range(3))
    saved = early.saved()
    publish(first, *range(3, 1203))  # while nobody looks

    view = View(open_store(), gather, snapshot=lambda: saved, types=["Counted"])

    assert look(view, mode) == tuple(range(1203))
    assert view.saved().cursor == first.events(limit=5000)[-1].cursor


def test_filters_are_those_of_the_log(coordinator: Coordinator) -> None:
    filters: list[dict[str, Any]] = [
        {"resource": "thing/1"}, {"agent": "a"}, {"except_agent": "a"}, {"except_thread": "t"}, {"types": ["Other"]},
    ]  # fmt: skip
    views = [View(coordinator, gather, snapshot=tuple, **about) for about in filters]
    for view in views:
        view.state()
    publish(coordinator, 1, resource="thing/1", agent="a")
    publish(coordinator, 2, resource="thing/2", agent="b")
    publish(coordinator, 3, type="Other")
    assert [view.state() for view in views] == [(1,), (1,), (2, 3), (1, 2, 3), (3,)]


def test_looking_costs_one_reading_or_none(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    view = View(coordinator, gather, snapshot=tuple, types=["Counted"])
    view.state()
    publish(coordinator, 1)
    asked = readings(coordinator, monkeypatch)

    assert view.state() == (1,)
    assert len(asked) == 1

    publish(coordinator, 2)
    assert view.state(max_age="1h") == (1,)
    assert len(asked) == 1
    assert view.state() == (1, 2)


@pytest.mark.parametrize("mode", MODES)
def test_after_a_gap_it_begins_anew(coordinator: Coordinator, mode: str, caplog: pytest.LogCaptureFixture) -> None:
    source = list(range(5))
    view = View(coordinator, gather, snapshot=lambda: tuple(source), types=["Counted"])
    assert look(view, mode) == (0, 1, 2, 3, 4)
    source += range(5, 25)
    publish(coordinator, *range(5, 25))
    trim(coordinator, 3)

    assert look(view, mode) == tuple(range(25))

    assert "deleted unread; it begins anew" in caplog.text
    publish(coordinator, 25)
    assert look(view, mode) == tuple(range(26))


@pytest.mark.parametrize("mode", MODES)
def test_a_saved_state_that_the_log_cannot_complete_is_refused(coordinator: Coordinator, mode: str) -> None:
    [cursor, *_] = publish(coordinator, *range(10))
    trim(coordinator, 3)
    kept = [Saved((0,), cursor)]
    view = View(coordinator, gather, snapshot=lambda: kept[0], types=["Counted"])
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=rf"stands at cursor {cursor}.*Give a newer snapshot"):
            look(view, mode, max_age="1h")

    kept[0] = Saved(tuple(range(10)), coordinator.events()[-1].cursor)
    assert look(view, mode) == tuple(range(10))


def test_an_event_that_cannot_be_applied_is_tried_again(coordinator: Coordinator) -> None:
    broken = [True]

    def apply(state: Numbers, event: Event) -> Numbers:
        if event.data["n"] == 2 and broken:
            raise KeyError(broken.pop())
        return gather(state, event)

    view = View(coordinator, apply, snapshot=tuple, types=["Counted"])
    view.state()
    publish(coordinator, 1, 2, 3)
    with pytest.raises(KeyError):
        view.state()
    assert view.state() == (1, 2, 3)


def test_an_apply_that_gives_nothing_is_told_what_to_do(coordinator: Coordinator) -> None:
    view = View(coordinator, lambda state, event: state.append(event), snapshot=list)  # type: ignore[func-returns-value]
    view.state()
    publish(coordinator, 1)
    with pytest.raises(ConfigurationError, match="let it return the state"):
        view.state()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"apply": None}, "apply=None is no function"),
        ({"snapshot": {}}, r"snapshot=\{\} is no function"),
        ({"types": [""]}, "does not name an event type"),
        ({"resource": " x"}, "resource name"),
        ({"locks": [" x"]}, "resource name"),
    ],
)
def test_a_view_that_cannot_be_is_refused_at_once(
    coordinator: Coordinator, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        View(coordinator, **{"apply": gather, "snapshot": tuple, **options})


def test_a_cursor_that_is_none_is_refused(coordinator: Coordinator) -> None:
    view = View(coordinator, gather, snapshot=lambda: Saved((), -1))
    with pytest.raises(ConfigurationError, match=r"Saved\(cursor=-1\)"):
        view.state()


def test_a_forked_child_has_a_view_of_its_own(coordinator: Coordinator) -> None:
    view = View(coordinator, gather, snapshot=tuple, types=["Counted"])
    view.state()
    publish(coordinator, 1)
    with view._changing:
        child = os.fork()
        if not child:
            os._exit(0 if coordinator.store.startswith("memory") or view.state() == (1,) else 1)
    assert os.waitpid(child, 0)[1] == 0


class Shop:
    """Counts units of several things, in a way that loses updates where writers are not kept apart."""

    def __init__(self, coordinator: Coordinator, on_write: Callable[[], object] = lambda: None) -> None:
        self.coordinator, self.units, self.on_write = coordinator, Counter[str](), on_write

        @tool
        def add(thing: str, units: int) -> str:
            """Add units."""
            had = self.units[thing]
            self.on_write()
            self.units[thing] = had + units
            coordinator.publish("Added", resource=f"thing/{thing}", data={"units": units})
            return "done"

        policy = ToolPolicy(locks=["thing/{thing}"], emits="Settled")
        self.add = Guard(coordinator, agent="shop", tools={"add": policy}).wrap_tool(add)

    def view(self, **options: Any) -> View[Counter[str]]:
        """Give a view of the units, which would show whatever is counted twice or not at all."""
        options = {"locks": ["thing/a", "thing/b", "thing/c"], **options}
        return View(self.coordinator, add_up, snapshot=lambda: Counter(self.units), types=["Added"], **options)


def add_up(units: Counter[str], event: Event) -> Counter[str]:
    """Add what was added."""
    return units + Counter({event.resources[0].removeprefix("thing/"): event.data["units"]})


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_missed_or_counted_twice_while_others_write(coordinator: Coordinator, mode: str) -> None:
    shop, views, stop = Shop(coordinator), list[View[Counter[str]]](), threading.Event()

    def write(thing: str) -> int:
        count = 0
        while count < 10 or (count < 500 and not stop.is_set()):
            shop.add.invoke({"thing": thing, "units": 1})
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, thing) for thing in "abca"]
        try:
            for _ in range(12):  # each begins somewhere else, in the middle of it all
                views.append(shop.view())
                for view in views:
                    look(view, mode)
        finally:
            stop.set()
        counts = [each.result() for each in writing]

    expected = Counter(a=counts[0] + counts[3], b=counts[1], c=counts[2])
    assert shop.units == expected
    assert [look(view, mode) for view in views] == [expected] * len(views)


def test_threads_and_tasks_may_share_a_view(coordinator: Coordinator) -> None:
    view, stop = View(coordinator, gather, snapshot=tuple, types=["Counted"]), threading.Event()
    view.state()

    def read(mode: str) -> None:
        seen: Numbers = ()
        while not stop.is_set():
            now = look(view, mode)
            assert now[: len(seen)] == seen, "it never goes back"
            seen = now

    async def read_in_tasks() -> None:
        while not stop.is_set():
            await asyncio.gather(*[view.astate() for _ in range(3)])

    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(read, mode) for mode in MODES] + [pool.submit(asyncio.run, read_in_tasks())]
        try:
            publish(coordinator, *range(150))
        finally:
            stop.set()
        for each in reading:
            each.result()
    assert view.state() == tuple(range(150))


@pytest.mark.parametrize("mode", MODES)
def test_looking_ends_however_fast_others_write(coordinator: Coordinator, mode: str) -> None:
    def apply(state: Numbers, event: Event) -> Numbers:
        publish(coordinator, event.data["n"] + 1)
        return gather(state, event)

    view = View(coordinator, apply, snapshot=tuple, types=["Counted"])
    look(view, mode)
    publish(coordinator, *range(0, 600))
    assert 600 <= len(look(view, mode)) < 1200


def test_what_another_thread_has_applied_meanwhile_is_not_applied_again(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = View(coordinator, gather, snapshot=tuple, types=["Counted"])
    view.state()
    publish(coordinator, 1, 2)
    read, overtaken = coordinator.read_log, [True]

    def slowly(program: Any) -> Any:
        found = read(program)
        if overtaken and overtaken.pop():
            assert view.state() == (1, 2)
        return found

    monkeypatch.setattr(coordinator, "read_log", slowly)
    assert view.state() == (1, 2)


@pytest.mark.parametrize("mode", MODES)
def test_a_log_that_is_trimmed_again_and_again_leaves_nothing_out(open_store: Open, mode: str) -> None:
    coordinator, stop = open_store(), threading.Event()
    shop = Shop(coordinator)
    view = shop.view()

    def write() -> int:
        count = 0
        while not stop.is_set():
            shop.add.invoke({"thing": "a", "units": 1})
            count += 1
            if count % 5 == 0:
                trim(coordinator, 6)
        return count

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            for _ in range(25):
                with contextlib.suppress(ConfigurationError):  # trimmed between the snapshot and the log
                    look(view, mode)
        finally:
            stop.set()
        count = writing.result()
    assert look(view, mode) == shop.units == Counter(a=count)
