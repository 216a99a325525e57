"""Each branch of a graph's history has each event once: over failures, resumes, replays, forks, and kills."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

from clawproof_langgraph import Coordinator
from tests.servers import Server
from tests.subscriptions import workers
from tests.subscriptions.conftest import Open
from tests.subscriptions.graphs import guard_of, numbers, thread, with_inbox

spawn = multiprocessing.get_context("spawn")


class Crash(Exception):
    """Ends a run in the middle."""


class Histories(RuleBasedStateMachine):
    """Publishes, runs, fails, resumes, replays and forks at random, and looks at every checkpoint after each step."""

    open_store: Any

    def __init__(self) -> None:
        super().__init__()
        coordinator: Coordinator = type(self).open_store()
        self.coordinator, self.cursors, self.crashing = coordinator, dict[int, int](), False
        self.begin = coordinator.publish("Begin")
        guard = guard_of(coordinator)
        # The threads of earlier examples are not in the state of this one; their events are, before its beginning.
        inbox = guard.event_inbox(["Counted"], start=self.begin, limit=3, resource="thing/1")
        self.app = with_inbox(inbox, work=self.work, checkpointer=InMemorySaver())

    def work(self, state: Any) -> dict[str, Any]:
        """Do what a graph does after it has looked for events, and fail on the way."""
        if self.crashing:
            raise Crash
        return {}

    @rule(count=st.integers(1, 5), wanted=st.booleans())
    def publish(self, count: int, wanted: bool) -> None:
        """Write events."""
        for _ in range(count):
            number = len(self.cursors)
            cursor = self.coordinator.publish("Counted", resource=f"thing/{int(wanted)}", data={"n": number})
            if wanted:
                self.cursors[number] = cursor

    @rule(crashing=st.booleans(), durability=st.sampled_from(["sync", "async", "exit"]))
    def run(self, crashing: bool, durability: str) -> None:
        """Begin a new run of the thread."""
        self._play({"events": []}, thread(), crashing, durability)

    @rule(crashing=st.booleans())
    def resume(self, crashing: bool) -> None:
        """Go on where the last run stopped."""
        if self.app.get_state(thread()).next:
            self._play(None, thread(), crashing, "sync")

    @rule(index=st.integers(0, 10_000), anew=st.booleans(), crashing=st.booleans())
    def travel(self, index: int, anew: bool, crashing: bool) -> None:
        """Go back to a checkpoint, and replay from it or begin a new run there."""
        history = list(self.app.get_state_history(thread()))
        if history:
            place = history[index % len(history)]
            given = {"events": []} if anew or not place.next else None
            self._play(given, place.config, crashing, "sync")

    @rule(index=st.integers(0, 10_000))
    def fork(self, index: int) -> None:
        """Change the state at a checkpoint, and go on from there."""
        history = list(self.app.get_state_history(thread()))
        if history:
            forked = self.app.update_state(history[index % len(history)].config, {"events": []}, as_node="__start__")
            self._play(None, forked, False, "sync")

    def _play(self, given: Any, config: Any, crashing: bool, durability: str) -> None:
        self.crashing = crashing
        try:
            self.app.invoke(given, config, durability=durability)
        except Crash:
            assert crashing

    @invariant()
    def every_checkpoint_has_each_event_up_to_its_cursor_once(self) -> None:
        """Look at all branches."""
        for place in self.app.get_state_history(thread()):
            cursor = place.values.get("events_cursor")
            upto = cursor["upto"] if cursor else 0
            expected = [number for number, at in self.cursors.items() if at <= upto]
            assert numbers({"events": place.values.get("events", [])}) == expected


def test_every_branch_of_a_history_has_each_event_once(open_store: Open) -> None:
    coordinator = open_store()

    class Bound(Histories):
        pass

    Bound.open_store = lambda: coordinator
    run_state_machine_as_test(Bound, settings=settings(max_examples=40, stateful_step_count=15, deadline=None))


@pytest.fixture(params=["sqlite", "redis"])
def shared(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name a fresh store that processes share."""
    monkeypatch.setenv("CLAWPROOF_NAMESPACE", f"shared-{tmp_path}")
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}?synchronous=normal"
    server: Server = request.getfixturevalue("redis_server")
    return server.url


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_graph_that_is_killed_again_and_again_has_each_event_once(
    shared: str, tmp_path: Path, durability: str
) -> None:
    chance, checkpoints = random.Random(durability), str(tmp_path / "checkpoints.db")
    with Coordinator.from_url(shared) as coordinator:
        numbered, ended = itertools.count(), threading.Event()
        publishing = threading.Thread(target=publish_slowly, args=(coordinator, numbered, ended))
        publishing.start()
        try:
            for place in chance.sample(["in the inbox", "after it", "anywhere", "anywhere"], 4):
                publish(coordinator, numbered, 10)
                life = one_life(shared, checkpoints, durability, place, chance.randint(1, 8))
                assert life == -signal.SIGKILL
        finally:
            ended.set()
            publishing.join()
        assert one_life(shared, checkpoints, durability, "", 0) == 0
        log = coordinator.events(types=["Counted"])
    with SqliteSaver.from_conn_string(checkpoints) as saver:
        branch = saver.get_tuple(thread())  # type: ignore[arg-type]
        assert branch is not None
        assert numbers(branch.checkpoint["channel_values"]) == [event.data["n"] for event in log]


def one_life(url: str, checkpoints: str, durability: str, place: str, when: int) -> int | None:
    """Let a process run the graph until it is killed, or until there are no more events; give how it ended."""
    life = spawn.Process(target=workers.bring, args=(url, checkpoints, durability, place, when))
    life.start()
    life.join(60)
    return life.exitcode


def publish(coordinator: Coordinator, numbered: Iterator[int], count: int = 1) -> None:
    """Publish the next numbers."""
    for number in itertools.islice(numbered, count):
        coordinator.publish("Counted", data={"n": number})


def publish_slowly(coordinator: Coordinator, numbered: Iterator[int], ended: threading.Event) -> None:
    """Publish numbers while lives come and go."""
    while not ended.wait(0.05):
        publish(coordinator, numbered)
