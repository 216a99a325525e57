"""The coordinator: a namespace in a store, its locks, and its admin face."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Literal, Self

from clawproof_langgraph import codec
from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.backends.forks import start_anew_in_children
from clawproof_langgraph.backends.urls import open_backend
from clawproof_langgraph.core.order import check_order
from clawproof_langgraph.core.waits import WaitFor, wait_for
from clawproof_langgraph.durations import seconds
from clawproof_langgraph.errors import BackendUnavailable, ConfigurationError, LockOrderError
from clawproof_langgraph.event_log import EventLog
from clawproof_langgraph.events import Event, EventFilter
from clawproof_langgraph.held_lock import HeldLock
from clawproof_langgraph.model import (
    Kill,
    Killed,
    Mode,
    Note,
    Resolve,
    Revive,
    Snapshot,
    Sweep,
    Want,
)
from clawproof_langgraph.runtime.budget import RetryBudget
from clawproof_langgraph.runtime.context import Frame, current_frame
from clawproof_langgraph.runtime.drive import Body, Driver
from clawproof_langgraph.runtime.heartbeat import Heartbeat
from clawproof_langgraph.runtime.threads import Threads
from clawproof_langgraph.templates import agent_name, canonical

_log = logging.getLogger("clawproof_langgraph")

_LAST_CALLS = 5.0
"""Seconds that closing waits for calls that run on threads of the coordinator."""

_LAST_CURSOR = 2**63 - 1
"""The highest number that a store can compare."""

Modes = Literal["exclusive", "shared"]


class Coordinator(EventLog):
    """Coordinates all who use the same store and namespace.

    One coordinator serves any number of threads and event loops at once. It is a context manager, sync and async.

    Args:
        backend: the store.
        keep_results: how long settled calls are remembered; part of the promise that nothing is repeated.
        keep_events: how long the log is kept.
        max_events: the most events that are kept, whatever their age.
        results: dataclasses, pydantic models and enums that the results of tools may contain, so that a repetition of
            a call can be answered with them; each must be named, in every process that answers. What is not on the
            list is never stored.

    Raises:
        ConfigurationError: a duration or a number is none, or something else is named among `results`.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        keep_results: str | float = "30d",
        keep_events: str | float = "7d",
        max_events: int = 100_000,
        results: Iterable[type] = (),
    ) -> None:
        if isinstance(backend, str | os.PathLike):
            raise ConfigurationError(
                f"Coordinator() takes a backend; for a URL write Coordinator.from_url({backend!r})."
            )
        if not isinstance(results, Iterable):  # a class by itself
            raise ConfigurationError(f"results is a list of types; got {results!r}. Write results=[Receipt].")
        if not isinstance(max_events, int) or max_events < 0:
            raise ConfigurationError(f"max_events={max_events!r} is no number of events; write, for example, 100_000.")
        codec.allow(*results)
        super().__init__(backend)
        self._terms = Sweep(
            keep_results=seconds(keep_results, "keep_results"),
            keep_events=seconds(keep_events, "keep_events"),
            max_events=max_events,
        )
        self._closed = False
        self._at_close: list[Callable[[], None]] = []
        self._budgets: dict[str, RetryBudget] = {}
        self.start_anew()
        start_anew_in_children(self)

    @classmethod
    def from_url(
        cls, url: str | None = None, *, namespace: str | None = None, replicas: int | None = None, **options: Any
    ) -> Self:
        """Open the store that a URL names.

        Args:
            url: `sqlite:///clawproof.db` (add `?synchronous=normal` for speed at the price of the last moments before
                a power failure), `memory://`, or `memory://name` to share it by name in this process; `redis://host`,
                `rediss://`, `unix://`, `redis+sentinel://` or `redis+cluster://` for many machines. The default is
                `CLAWPROOF_URL`, else what `clawproof.toml` says, else `.clawproof/state.db` in the project's folder.
            namespace: nothing is shared between namespaces; the default is `CLAWPROOF_NAMESPACE`, else, where no `url`
                is given, what `clawproof.toml` says, else `default`.
            replicas: how many replicas of a Redis or Valkey server must have a grant or an outcome before it counts,
                so that a failover does not lose it; also `?replicas=1` in the URL. The default is none.
            options: as for the class.

        Raises:
            ConfigurationError: the URL is not known, its file or server cannot be used, or it has no replicas.
            BackendUnavailable: the server cannot be reached.
        """
        return cls(open_backend(url, namespace, replicas), **options)

    def start_anew(self) -> None:
        """Be somebody else in a forked child: the leases and threads of the parent are not its own."""
        self.session = secrets.token_hex(6)
        self._numbers = itertools.count(1)
        self._heartbeat = Heartbeat(self._backend, self.session, self._terms)
        self._threads = Threads(self.store)

    @property
    def store(self) -> str:
        """The store for humans, without credentials."""
        return self._backend.name

    @property
    def reach(self) -> str:
        """Who alone can reach the store, in words; empty where any machine can."""
        return self._backend.reach

    @property
    def secret(self) -> bytes:
        """The secret of the namespace, with which fingerprints are keyed."""
        return self._backend.secret

    def new_owner(self) -> str:
        """Make the id of a new call."""
        return f"{self.session}-{next(self._numbers)}"

    def retry_budget(self, tool: str) -> RetryBudget:
        """Give the budget of a tool's retries in this process, which outlives guards that are made for one run."""
        return self._budgets.get(tool) or self._budgets.setdefault(tool, RetryBudget(tool))

    def driver(self, body: Body | None = None, pulse: Callable[[], None] | None = None) -> Driver:
        """Make the driver of one program over this coordinator's store.

        Raises:
            BackendUnavailable: the coordinator was closed.
        """
        if self._closed:
            raise BackendUnavailable.after_close(self.store)
        return Driver(self._backend, self._heartbeat, self._threads, body, pulse)

    def nesting(self, wants: Iterable[Want]) -> Frame | None:
        """Give the call chain that a new request is nested in, if any.

        Raises:
            LockOrderError: the request would break the global order inside it.
        """
        outer = current_frame()
        if outer is None:
            return None
        if outer.coordinator is not self:
            held = next((want.resource for link in outer.held for want in link), "a call")
            first = next((want.resource for want in wants), "a call")
            why = "it is held in another coordinator, and no order spans the two"
            remedy = "Use one coordinator for both, or give the one back before the other is taken."
            raise LockOrderError(first, held, why, remedy)
        check_order(tuple(wants), outer.held)
        return outer

    def lock(
        self,
        *resources: str,
        agent: str = "",
        mode: Modes = "exclusive",
        ttl: str | float = 30.0,
        wait: str | float | None = None,
    ) -> HeldLock:
        """Lock resources for a block of code: `with coordinator.lock("inventory/1") as lease:`, or `async with`.

        Args:
            resources: their names, in any order; they are taken in one step.
            agent: who asks; a stopped agent gets no lock.
            mode: `exclusive`, or `shared`.
            ttl: seconds that the lease lives without renewal; it is renewed while this process lives.
            wait: seconds to wait at most; the default is one and a half times the ttl.

        Raises:
            ConfigurationError: no name, a name that is none, or a ttl of zero.
        """
        if not resources:
            raise ConfigurationError("lock() needs at least one resource name.")
        if mode not in ("exclusive", "shared"):
            raise ConfigurationError(f'mode="{mode}" is not known; there are "exclusive" and "shared".')
        life = seconds(ttl, "ttl")
        if life <= 0:
            raise ConfigurationError(
                'ttl must be more than zero: a lease that ends at once protects nothing. Try "30s".'
            )
        patience = 1.5 * life if wait is None else seconds(wait, "wait")
        wants = tuple(Want(name, Mode(mode)) for name in sorted({canonical(name) for name in resources}))
        return HeldLock(self, wants, agent_name(agent), life, patience)

    # --- the admin face -----------------------------------------------------------------------------------------

    def kill(self, agent: str, *, reason: str = "", by: str = "") -> None:
        """Stop an agent: its tools are refused from now on, and `check()` in a running one raises AgentKilled.

        Running calls are told at once where the store can push, else at their next heartbeat.
        """
        name = _agent(agent)
        self._backend.record(Kill(name, reason, by))
        self._heartbeat.hear(name)

    async def akill(self, agent: str, *, reason: str = "", by: str = "") -> None:
        """Do what `kill` does, from an event loop."""
        name = _agent(agent)
        await self._backend.arecord(Kill(name, reason, by))
        self._heartbeat.hear(name)

    def revive(self, agent: str, *, by: str = "") -> None:
        """Let a stopped agent go on; `check()` in a call that still runs passes again."""
        name = _agent(agent)
        self._backend.record(Revive(name, by))
        self._heartbeat.hear(name)

    async def arevive(self, agent: str, *, by: str = "") -> None:
        """Do what `revive` does, from an event loop."""
        name = _agent(agent)
        await self._backend.arecord(Revive(name, by))
        self._heartbeat.hear(name)

    def killed(self) -> tuple[Killed, ...]:
        """List the stopped agents."""
        return self.snapshot().killed

    async def akilled(self) -> tuple[Killed, ...]:
        """Do what `killed` does, from an event loop."""
        return (await self.asnapshot()).killed

    def snapshot(self) -> Snapshot:
        """Show leases, waiters, calls in doubt and stopped agents at one instant."""
        return self._backend.snapshot()

    async def asnapshot(self) -> Snapshot:
        """Do what `snapshot` does, from an event loop."""
        return await self._backend.asnapshot()

    def wait_for(self) -> WaitFor:
        """Show which call waits for which, over all holders and waiters of the namespace at one instant."""
        return wait_for(self.snapshot())

    async def await_for(self) -> WaitFor:
        """Do what `wait_for` does, from an event loop."""
        return wait_for(await self.asnapshot())

    def events(self, *, after: int = 0, types: Iterable[str] = (), limit: int = 1000, **about: str) -> list[Event]:
        """Read the log in order; `log.truncated` comes first where what follows `after` was deleted.

        Args:
            after: the cursor of the last event that is known already; 0 for whatever the log still has.
            types: only these.
            limit: the most to give.
            about: only events of this `resource`, `agent`, `thread` or `call`.

        Raises:
            ConfigurationError: another filter is named.
        """
        return self._backend.events(_filter(after, types, limit, about))

    async def aevents(
        self, *, after: int = 0, types: Iterable[str] = (), limit: int = 1000, **about: str
    ) -> list[Event]:
        """Do what `events` does, from an event loop."""
        return await self._backend.aevents(_filter(after, types, limit, about))

    def resolve(
        self, key: str, outcome: Literal["applied", "not_applied"], *, result: Any = None, by: str = ""
    ) -> None:
        """Say what became of a call in doubt.

        Args:
            key: its idempotency key, as `snapshot().in_doubt` and the event log show it.
            outcome: `applied`: a repetition gets `result`; `not_applied`: it runs again.
            result: what the tool would have returned; without it, a repetition is told that the call took effect.
            by: who says so, for the log.

        Raises:
            ConfigurationError: the key is not known, its call is not in doubt, or was said to have another result;
                nothing is changed.
            NotStorable: the result has no stored form; nothing is changed.
        """
        self._backend.record(resolution(key, outcome, result, by))

    async def aresolve(
        self, key: str, outcome: Literal["applied", "not_applied"], *, result: Any = None, by: str = ""
    ) -> None:
        """Do what `resolve` does, from an event loop."""
        await self._backend.arecord(resolution(key, outcome, result, by))

    def tell(self, note: Note) -> None:
        """Append an event beside an error that matters more: a store that is down is only logged."""
        try:
            self._backend.record(note)
        except BackendUnavailable as exc:
            _log.warning("%s: %s", note.type, exc)

    async def atell(self, note: Note) -> None:
        """Do what `tell` does, from an event loop."""
        try:
            await self._backend.arecord(note)
        except BackendUnavailable as exc:
            _log.warning("%s: %s", note.type, exc)

    # --- life ---------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def at_close(self, end: Callable[[], None]) -> None:
        """Have something ended that uses this coordinator when it is closed, before it lets go of the store."""
        self._at_close.append(end)

    def close(self) -> None:
        """Stop the heartbeat and let go of the store; leases that are still held expire.

        Sync tools that an event loop has left running, since their caller was cancelled, get five seconds to end: no
        one else can wait for them. What ends later is not recorded, and a warning tells of it.
        """
        self._closed = True
        for end in self._at_close:
            end()
        # Inside a call, this would wait for the call itself.
        self._threads.close(patience=0.0 if current_frame() else _LAST_CALLS)
        self.close_subscriptions()
        self._heartbeat.stop()
        self._backend.close()

    async def aclose(self) -> None:
        """Do what `close` does, from an event loop."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


def _agent(name: str) -> str:
    if not name:
        raise ConfigurationError("An agent needs a name; `clawproof locks` shows the names in use.")
    return agent_name(name)


def _filter(after: int, types: Iterable[str], limit: int, about: dict[str, str]) -> EventFilter:
    if unknown := set(about) - {"resource", "agent", "thread", "call"}:
        raise ConfigurationError(
            f"events() has no filter {', '.join(sorted(unknown))}; there are resource, agent, thread and call."
        )
    for name, number in (("after", after), ("limit", limit)):
        if not isinstance(number, int) or not 0 <= number <= _LAST_CURSOR:
            raise ConfigurationError(f"events({name}={number!r}): it is a whole number, from 0 to {_LAST_CURSOR}.")
    kinds = (types,) if isinstance(types, str) else tuple(types)
    return EventFilter(after, kinds, limit=limit, **about)


def resolution(key: str, outcome: str, result: Any, by: str) -> Resolve:
    """Make the fact that tells what became of a call in doubt.

    Raises:
        ConfigurationError: the outcome is not known, contradicts the result, or something else is no text.
        NotStorable: the result has no stored form.
    """
    if outcome not in ("applied", "not_applied"):
        raise ConfigurationError(f'outcome="{outcome}" is not known; say "applied" or "not_applied".')
    if outcome == "not_applied" and result is not None:
        raise ConfigurationError(
            f'"not_applied" and a result, {result!r}, contradict each other: a call that was not applied has none.'
        )
    for name, text in (("key", key), ("by", by)):
        if not isinstance(text, str):
            raise ConfigurationError(f"{name}={text!r} is no text.")
    return Resolve(key, outcome == "applied", None if result is None else codec.dumps(result), by)
