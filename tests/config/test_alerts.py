"""Alerts: each event reaches each sink, once for a namespace, over crashes, and whatever a sink does."""

from __future__ import annotations

import json
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clawproof_langgraph import ConfigurationError, Coordinator, Event, Guard
from clawproof_langgraph.errors import Rejected
from clawproof_langgraph.observe import alerts as alerting
from clawproof_langgraph.observe.alerts import Alerts
from clawproof_langgraph.observe.sinks import FunctionSink, LogSink, Webhook, sink_of
from tests.waiting import wait_until

from . import workers
from .conftest import Write

spawn = multiprocessing.get_context("spawn")


class Hook:
    """A webhook that notes what it gets, and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.answers: list[int] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                code = hook.answers.pop(0) if hook.answers else 204
                hook.got.append({"code": code, **body})
                hook.headers.append(self.headers)
                self.send_response(code)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/secret-token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Go away."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    """Give a webhook."""
    made = Hook()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_STAND_BY", "_POLL", "_FIRST_PAUSE", "_LONGEST_PAUSE"):
        monkeypatch.setattr(alerting, name, 0.05)


@pytest.fixture
def coordinator(project: Path) -> Iterator[Coordinator]:
    """Open a store in a file."""
    with Coordinator.from_url(f"sqlite:///{project / 'state.db'}?synchronous=normal", namespace="shop") as made:
        yield made


def numbers(hook: Hook) -> list[int]:
    """List the numbers of the events that were taken."""
    return [each["data"]["details"]["n"] for each in hook.got if each["code"] < 300]


def publish(coordinator: Coordinator, *values: int) -> None:
    """Publish events with these numbers."""
    for n in values:
        coordinator.publish("Told", resource="inventory/1", data={"n": n})


def started(coordinator: Coordinator, *sinks: Any) -> Alerts:
    """Begin to tell these sinks."""
    made = Alerts(coordinator, ["Told"], sinks, "shop")
    made.start()
    return made


# --- what a sink gets -------------------------------------------------------------------------------------------


def test_a_webhook_gets_a_cloud_event_with_a_text_and_a_key(coordinator: Coordinator, hook: Hook) -> None:
    started(coordinator, Webhook(hook.url, 3))
    publish(coordinator, 1)
    coordinator.publish("NotTold")
    publish(coordinator, 2)
    wait_until(lambda: numbers(hook) == [1, 2])
    body, headers = hook.got[0], hook.headers[0]
    assert (body["specversion"], body["type"], body["subject"]) == ("1.0", "Told", "inventory/1")
    assert body["text"] == "Told in namespace shop: inventory/1; n 1"
    assert headers["Idempotency-Key"] == f"shop-{body['id']}"


def test_the_log_gets_a_line(coordinator: Coordinator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    started(coordinator, LogSink())
    publish(coordinator, 1)
    wait_until(lambda: "Told in namespace shop: inventory/1; n 1" in caplog.messages)


def test_nothing_that_happens_after_the_start_is_missed_and_nothing_before_it_is_told(
    coordinator: Coordinator, hook: Hook
) -> None:
    publish(coordinator, 1)
    teller = Alerts(coordinator, ["Told"], [Webhook(hook.url, 3)], "shop")
    teller._take_note(teller.sinks[0])  # what `start` does before its threads
    publish(coordinator, 2)
    assert teller.drain() == 1
    assert numbers(hook) == [2]


# --- what is told again -----------------------------------------------------------------------------------------


def test_what_a_webhook_does_not_take_is_told_again_in_order(coordinator: Coordinator, hook: Hook) -> None:
    hook.answers = [500, 302, 404, 429, 204]
    started(coordinator, Webhook(hook.url, 3))
    publish(coordinator, 1, 2)
    wait_until(lambda: numbers(hook) == [1, 2])
    assert [each["code"] for each in hook.got] == [500, 302, 404, 429, 204, 204]


def test_what_a_webhook_refuses_for_good_is_logged_and_passed_over(
    coordinator: Coordinator, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answers = [400]
    started(coordinator, Webhook(hook.url, 3))
    publish(coordinator, 1, 2)
    wait_until(lambda: numbers(hook) == [2])
    assert any("refused for good: it answered 400" in message for message in caplog.messages)


def test_a_sink_that_does_not_take_anything_keeps_nothing_from_the_others(
    coordinator: Coordinator, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = Webhook("http://127.0.0.1:9/secret-token", 0.2)
    started(coordinator, nobody, Webhook(hook.url, 3))
    publish(coordinator, 1, 2)
    wait_until(lambda: numbers(hook) == [1, 2])
    wait_until(lambda: "trying again" in caplog.text)
    assert "secret-token" not in caplog.text + nobody.name + nobody.title


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3)])
def test_a_function_that_fails_is_called_again(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    seen: list[int] = []

    def fail_once(event: Event) -> None:
        seen.append(event.data["n"])
        if len(seen) == 1:
            raise error

    monkeypatch.setattr(workers, "note", fail_once)
    started(coordinator, FunctionSink("tests.config.workers:note"))
    publish(coordinator, 1, 2)
    wait_until(lambda: seen == [1, 1, 2])


def test_a_function_may_refuse_an_event_for_good(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def refuse(event: Event) -> None:
        seen.append(event.data["n"])
        raise Rejected("not that one")

    monkeypatch.setattr(workers, "note", refuse)
    started(coordinator, FunctionSink("tests.config.workers:note"))
    publish(coordinator, 1, 2)
    wait_until(lambda: seen == [1, 2])


def test_a_failing_sink_fails_no_call(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    called = threading.Event()

    def fail(event: Event) -> None:
        called.set()
        raise RuntimeError("broken")

    monkeypatch.setattr(workers, "note", fail)
    started(coordinator, FunctionSink("tests.config.workers:note"))
    publish(coordinator, 1)
    assert called.wait(10)
    with coordinator.lock("inventory/1") as lease:
        lease.check()


# --- who tells, and when it ends --------------------------------------------------------------------------------


def test_of_two_that_are_told_to_tell_one_does(project: Path, hook: Hook) -> None:
    url = f"sqlite:///{project / 'state.db'}?synchronous=normal"
    with Coordinator.from_url(url) as first, Coordinator.from_url(url) as second:
        started(first, Webhook(hook.url, 3))
        started(second, Webhook(hook.url, 3))
        publish(first, *range(10))
        wait_until(lambda: len(numbers(hook)) >= 10)
        first.close()
        publish(second, 10)
        wait_until(lambda: 10 in numbers(hook))
    assert numbers(hook) == list(range(11))


def test_closing_waits_for_a_delivery_that_has_begun_so_that_it_is_not_told_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{project / 'state.db'}"
    begun, go_on, seen = threading.Event(), threading.Event(), list[int]()

    def slow(event: Event) -> None:
        begun.set()
        go_on.wait(10)
        seen.append(event.data["n"])

    monkeypatch.setattr(workers, "note", slow)
    with Coordinator.from_url(url) as first:
        started(first, FunctionSink("tests.config.workers:note"))
        publish(first, 1)
        assert begun.wait(10)
        closing = threading.Thread(target=first.close)
        closing.start()
        wait_until(lambda: first.closed)
        go_on.set()
        closing.join(10)
    with Coordinator.from_url(url) as second:
        publish(second, 2)
        assert Alerts(second, ["Told"], [FunctionSink("tests.config.workers:note")], "default").drain() == 1
    assert seen == [1, 2]


def test_closing_waits_for_all_sinks_together_and_no_longer_than_for_one(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go_on = threading.Barrier(5), threading.Event()

    def hang(event: Event) -> None:
        held.wait(10)
        go_on.wait(30)

    monkeypatch.setattr(workers, "note", hang)
    monkeypatch.setattr("clawproof_langgraph.observe.alerts._LAST_DELIVERY", 1.0)
    sinks = [FunctionSink("tests.config.workers:note") for _ in range(4)]
    for number, sink in enumerate(sinks):
        sink.name = f"sink {number}"
    alerts = started(coordinator, *sinks)
    publish(coordinator, 1)
    held.wait(10)
    before = time.monotonic()
    alerts.stop()
    took = time.monotonic() - before
    go_on.set()
    coordinator.close()
    wait_until(lambda: not any("clawproof-alerts-sink" in thread.name for thread in threading.enumerate()))
    assert took < 3.0


def test_closing_ends_the_threads(coordinator: Coordinator) -> None:
    def names() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("clawproof-alerts")]

    started(coordinator, LogSink())
    assert names() == ["clawproof-alerts-log"]
    coordinator.close()
    wait_until(lambda: not names())


def seen_by(project: Path) -> list[tuple[int, int]]:
    """List what the sinks of other processes have seen: number and process."""
    path = project / workers.SEEN
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(number), int(process)) for number, process in (line.split() for line in lines)]


def test_when_the_process_that_tells_is_killed_another_goes_on_where_it_was(project: Path, write: Write) -> None:
    url = f"sqlite:///{project / 'state.db'}?synchronous=normal"
    write(f'url = "{url}"\n[alerts]\nevents = ["Told"]\nsinks = ["tests.config.workers:note"]\n')
    processes = [spawn.Process(target=workers.alert, args=(str(project), die_of)) for die_of in (3, -1)]
    with Coordinator.from_url(url) as coordinator:
        processes[0].start()
        wait_until(lambda: list(project.glob("ready-*")), within=60)
        publish(coordinator, *range(6))
        wait_until(lambda: not processes[0].is_alive(), within=60)
        first = seen_by(project)
        processes[1].start()
        wait_until(lambda: {number for number, _ in seen_by(project)} == set(range(6)), within=60)
        processes[1].kill()
        processes[1].join()
    assert [number for number, _ in first] == [0, 1, 2, 3]
    assert [number for number, process in seen_by(project) if process != first[0][1]] == [3, 4, 5]


# --- made of a file ---------------------------------------------------------------------------------------------


def test_a_guard_of_a_file_tells_its_sinks_unless_it_is_told_not_to(
    write: Write, project: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(f'url = "memory://{project}"\nnamespace = "s"\n[alerts]\nevents = ["Told"]\nsinks = ["env:HOOK", "log"]\n')
    monkeypatch.setenv("HOOK", hook.url)
    with Guard.from_file(alerts=False).coordinator as coordinator:
        publish(coordinator, 0)
    guards = [Guard.from_file(), Guard.from_file(agent="other")]
    with guards[0].coordinator as coordinator:
        publish(coordinator, 1)
        wait_until(lambda: numbers(hook) == [1])
        names = sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("clawproof-alerts"))
        assert len(names) == 2


@pytest.mark.parametrize(
    ("sink", "told"),
    [
        ("env:NO_SUCH_HOOK", "The environment variable NO_SUCH_HOOK has no URL"),
        ("nowhere_at_all:note", "cannot be imported"),
        ("tests.config.workers:SEEN", "is no function"),
    ],
)
def test_a_sink_that_cannot_be_made_is_told_when_the_guard_is_made(write: Write, sink: str, told: str) -> None:
    write(f'[alerts]\nsinks = ["log", "{sink}"]\n')
    with pytest.raises(ConfigurationError, match=rf"clawproof\.toml:2:17: alerts\.sinks: .*{told}"):
        Guard.from_file()


def test_a_sink_is_of_the_kind_that_its_name_says() -> None:
    kinds: list[tuple[str, Callable[..., Any]]] = [("log", LogSink), ("https://a.example/x", Webhook)]
    assert all(isinstance(sink_of(written, timeout=1), kind) for written, kind in kinds)  # type: ignore[arg-type]


def test_a_store_that_is_away_is_tried_again(
    coordinator: Coordinator, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clawproof_langgraph.errors import BackendUnavailable

    really, away, tried = coordinator.subscribe, threading.Event(), list[str]()
    away.set()

    def subscribe(*args: Any, **options: Any) -> Any:
        if away.is_set():
            tried.append(args[0])
            raise BackendUnavailable("store", "it is away")
        return really(*args, **options)

    really("clawproof alerts: " + Webhook(hook.url, 3).name).close()
    monkeypatch.setattr(coordinator, "subscribe", subscribe)
    started(coordinator, Webhook(hook.url, 3))
    publish(coordinator, 1)
    wait_until(lambda: len(tried) > 2)
    assert hook.got == []
    away.clear()
    wait_until(lambda: numbers(hook) == [1])
