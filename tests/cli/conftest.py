"""A store with something of everything in it, and ways to run the command over it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clawproof_langgraph.backends.sqlite import SqliteBackend
from clawproof_langgraph.cli import main
from clawproof_langgraph.model import Granted, State
from clawproof_langgraph.testing.builders import again, call, reading, settled
from clawproof_langgraph.testing.clock import ManualClock

PAID, UNPAID = "charge/7", "charge/8"
"""The keys of the two calls in doubt."""


@dataclass(frozen=True, slots=True)
class Store:
    """A store, its clock, and the command with its URL."""

    url: str
    backend: SqliteBackend
    clock: ManualClock

    def run(self, *arguments: str, **options: Any) -> Result:
        """Run `clawproof` with these arguments over the store."""
        return CliRunner().invoke(main, [*arguments, "--url", self.url], **options)

    def json(self, *arguments: str) -> Any:
        """Run it and read the document that it prints."""
        result = self.run(*arguments, "--format", "json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def json_lines(self, *arguments: str) -> list[dict[str, Any]]:
        """Run it and read the documents that it prints, one on a line."""
        result = self.run(*arguments, "--format", "json")
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLAWPROOF_URL", "CLAWPROOF_NAMESPACE", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Store]:
    """Give a store in which nothing has happened; its clock starts 100 seconds ago."""
    clock = ManualClock(time.time() - 100, time.monotonic() - 100)
    path = tmp_path / "clawproof.db"
    backend = SqliteBackend(path, synchronous="normal", clock=clock)
    yield Store(f"sqlite:///{path}", backend, clock)
    backend.close()


@pytest.fixture
def busy(empty: Store) -> Store:
    """Give a store with a call of each outcome, a lease, a waiter, two calls in doubt, and a killed agent."""
    _contend(empty)
    _fall_into_doubt(empty, PAID, thread="t7")
    _fall_into_doubt(empty, UNPAID, thread="t8")
    empty.clock.advance(time.time() - empty.clock.time())
    grant(empty, call("holder", "inventory/1", reading("pricing/1"), tool="reserve", ttl=600.0))
    empty.backend.begin(call("waiter", "inventory/1", tool="reprice", agent="pricing", thread="t2"))
    assert empty.run("kill", "rogue", "--reason", "sells too cheap", "--by", "ops").exit_code == 0
    return empty


def grant(store: Store, request: Any) -> Granted:
    """Send a request that must be granted."""
    reply = store.backend.begin(request)
    assert isinstance(reply, Granted)
    return reply


def pasted(text: str, **environment: str) -> Result:
    """Run the one command that a text ends with, as a shell would."""
    [command] = [line.partition("clawproof ")[2] for line in text.splitlines() if "clawproof " in line]
    return CliRunner().invoke(main, shlex.split(command), env=environment)


def _contend(store: Store) -> None:
    """One call after the other; the second waits 2 s and fails, a repetition of the first is replayed."""
    first = grant(store, call("first", "inventory/1", key="k1"))
    second = call("second", "inventory/1", key="k2", agent="pricing", thread="t2", tool="reprice")
    store.backend.begin(second)
    store.clock.advance(2.0)
    store.backend.settle(settled(first))
    lease = grant(store, again(second, waited=2.0))
    store.clock.advance(3.0)
    store.backend.settle(settled(lease, State.FAILED, error="ValueError"))
    store.backend.begin(call("repeated", "inventory/1", key="k1"))


def _fall_into_doubt(store: Store, key: str, *, thread: str) -> None:
    lease = grant(store, call(f"{key}-call", "card", key=key, agent="payments", thread=thread, tool="charge"))
    store.clock.advance(1.0)
    store.backend.settle(settled(lease, State.IN_DOUBT, error="TimeoutError"))
