"""The processes of a run: what one of them does, and its other end in the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import ForkingPickler
from typing import Any, Final, NamedTuple

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.testing.fork_server import start_fork_server
from clawproof_langgraph.testing.stress.playing import Message, Part, Players, Terms
from clawproof_langgraph.testing.stress.scenario import Scenario, load

_PRELOAD: Final = ["clawproof_langgraph.guard", "langgraph.prebuilt", "langgraph.checkpoint.sqlite"]
"""What the fork server imports once, so that no process pays for importing LangGraph again."""

MAX_EVENTS: Final = 10_000_000
"""The log of a run is read as a whole in the end, so nothing of it may be trimmed."""


class Ready(NamedTuple):
    """The agents of a process are made; the session of its coordinator."""

    session: str


class Unfit(NamedTuple):
    """The agents of a process cannot be made."""

    why: str


@dataclass(frozen=True, slots=True)
class Store:
    """The address of a coordination store, which every process opens for itself."""

    url: str
    namespace: str

    def open(self) -> Coordinator:
        """Open it in this process."""
        return Coordinator.from_url(self.url, namespace=self.namespace, max_events=MAX_EVENTS)


@dataclass(frozen=True, slots=True)
class Orders:
    """What a process is to do.

    Args:
        source: the scenario, or the target that it is loaded from.
        store: where its coordinator is.
        terms: of the run.
        parts: which agents play in it.
        environment: the variables of the process that starts it; a fork server has those of its own start.
    """

    source: Scenario | str
    store: Store
    terms: Terms
    parts: tuple[Part, ...]
    environment: Mapping[str, str]


def work(orders: Orders, line: Connection) -> None:
    """Make the agents, tell so, and let them play once it is said until when."""
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    os.environ.update(orders.environment)
    os.environ.update(LANGSMITH_TRACING="false", LANGCHAIN_TRACING_V2="false")
    try:
        scenario = load(orders.source) if isinstance(orders.source, str) else orders.source
        with orders.store.open() as coordinator:
            players = Players(orders.parts, scenario, orders.terms, coordinator)
            line.send(Ready(coordinator.session))
            players.start(_teller(line), line.recv())
            players.join()
    except ConfigurationError as exc:
        line.send(Unfit(str(exc)))


def _teller(line: Connection) -> Any:
    one_at_a_time = threading.Lock()

    def tell(message: Message) -> None:
        with one_at_a_time:
            line.send(message)

    return tell


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def check_orders(orders: Orders) -> None:
    """Refuse what cannot be sent to another process.

    Raises:
        ConfigurationError: it cannot.
    """
    try:
        ForkingPickler.dumps(orders)
    except (pickle.PicklingError, AttributeError, TypeError) as exc:
        raise ConfigurationError(
            f"The scenario cannot be sent to other processes ({exc}): make_agent, input and expected must be found by "
            f"their names in a module. Move them to the top of one, or name a factory: "
            f'run_agents("shop.stress:scenario", ...). With processes=1 all agents are threads of this process.'
        ) from exc


class Worker:
    """A process of a run, seen from the one that started it.

    Attributes:
        parts: which agents it was given.
        session: of its coordinator, empty until it is ready.
    """

    def __init__(self, context: ForkServerContext, orders: Orders) -> None:
        start_fork_server()
        self.line, theirs = context.Pipe()
        self.parts, self.session = orders.parts, ""
        self._process = context.Process(target=work, args=(orders, theirs), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its agents."""
        return tuple(part.agent for part in self.parts)

    @property
    def exit_code(self) -> int | None:
        """How it ended, None if it has not."""
        return self._process.exitcode

    def play(self, until: float) -> None:
        """Let its agents play until so late on the monotonic clock."""
        with suppress(BrokenPipeError):  # it is gone, which its line tells
            self.line.send(until)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self._process.pid and self._process.is_alive():
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it at once, and wait until it is gone; also if it is stopped."""
        self._process.kill()
        self._process.join()

    def messages(self) -> Iterator[Any]:
        """Give what has come from it, up to a line that is closed or a message that was cut off."""
        try:
            while self.line.poll():
                yield self.line.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            self._process.join(timeout=10)

    def wait_until_ready(self, patience: float) -> None:
        """Wait until its agents are made.

        Raises:
            ConfigurationError: they cannot be.
        """
        names = ", ".join(self.names)
        if not self.line.poll(patience):
            raise ConfigurationError(f"The process of {names} was not ready within {patience:.0f} s.")
        try:
            said = self.line.recv()
        except EOFError:
            self._process.join()
            raise ConfigurationError(
                f"The process of {names} ended with exit code {self.exit_code} before it was ready; what it said is on "
                f"stderr. It must be able to import what makes the agents: a script needs "
                f'`if __name__ == "__main__":` around its call of run_agents.'
            ) from None
        if isinstance(said, Unfit):
            raise ConfigurationError(said.why)
        self.session = said.session


def new_context() -> ForkServerContext:
    """Prepare for starting processes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    return context


def now() -> float:
    """Read the clock that all processes of a machine share."""
    return time.monotonic()
