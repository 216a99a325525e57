"""A view: what the events of the log add up to, kept in this process for tools and services to look at."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from typing import Any, Final, Generic, NamedTuple, TypeVar

from clawproof_langgraph.backends.forks import start_anew_in_children
from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.durations import seconds
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.event_log import filter_of
from clawproof_langgraph.events import Event
from clawproof_langgraph.held_lock import HeldLock
from clawproof_langgraph.reading import Reading, Stretch, place_of, stretch
from clawproof_langgraph.templates import agent_name

_log = logging.getLogger("clawproof_langgraph")

S = TypeVar("S")

_BATCH: Final = 500
"""Events that are read at a time."""


class Saved(NamedTuple, Generic[S]):
    """A state, and the cursor up to which events have gone into it.

    Args:
        state: the state.
        cursor: the cursor.
    """

    state: S
    cursor: int


_Step = Reading[Stretch] | None
"""A program of reading to run; None asks for a snapshot."""


class View(Generic[S]):
    """Keeps what events add up to: begins with a snapshot, and reads on from the log without a gap.

    It reads when it is asked for its state, in one round trip, or not at all where `max_age` allows. Any number of
    threads and event loops may share it. Where events were deleted before it has read them, it begins anew with a
    snapshot.

    The cursor is read before the snapshot is taken, so no event is missed. One that is written in between may be in the
    snapshot already when it is applied; that none is applied twice takes one of these:

    - `locks`: the snapshot is taken while these are held, shared, so that no guarded call that writes to them is under
      way, and what has ended is in the log;
    - a snapshot that knows its cursor, and is given as `Saved(state, cursor)`;
    - an `apply` for which twice is as good as once, such as one that sets a value.

    Args:
        coordinator: whose log it reads.
        apply: makes the next state of a state and an event, quickly and without input or output. It gives a new state
            and leaves the old one as it is, which somebody may be reading.
        snapshot: gives the state to begin with, as it is now, or as `Saved`; it may be async where the view is used so.
        types: only events of these types; none for all.
        resource, agent: only events about these.
        except_agent, except_thread: leave out what was done by this agent, or in this thread.
        locks: resources to lock, shared, while a snapshot is taken.

    Raises:
        ConfigurationError: something is no name, or no function.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        apply: Callable[[S, Event], S],
        *,
        snapshot: Callable[[], S | Saved[S] | Awaitable[S | Saved[S]]],
        types: str | Iterable[str] = (),
        resource: str = "",
        agent: str = "",
        except_agent: str = "",
        except_thread: str = "",
        locks: Iterable[str] = (),
    ) -> None:
        for name, function in (("apply", apply), ("snapshot", snapshot)):
            if not callable(function):
                raise ConfigurationError(f"{name}={function!r} is no function.")
        self._coordinator, self._apply, self._snapshot = coordinator, apply, snapshot
        self._wanted = replace(
            filter_of(types, resource, agent),
            limit=_BATCH, except_agent=agent_name(except_agent), except_thread=except_thread,
        )  # fmt: skip
        self._locks = (locks,) if isinstance(locks, str) else tuple(locks)
        if self._locks:
            self._new_lock()  # refuses what is no name
        self._saved: Saved[S] | None = None
        self._looked_at = -math.inf
        self.start_anew()
        start_anew_in_children(self)

    def start_anew(self) -> None:
        """Own nothing, in a forked child, that a thread of its parent may have held."""
        self._changing = threading.Lock()

    # --- reading ------------------------------------------------------------------------------------------------

    def state(self, *, max_age: str | float = 0.0) -> S:
        """Give the state.

        Args:
            max_age: seconds for which what was read before is good enough; 0 takes in all that is written by now.

        Raises:
            BackendUnavailable: the store cannot be used.
            ConfigurationError: events were deleted that its snapshot does not have, `apply` gives nothing, or the
                snapshot is async.
        """
        return self.saved(max_age=max_age).state

    async def astate(self, *, max_age: str | float = 0.0) -> S:
        """Do what `state` does, from an event loop; a snapshot that is not async is taken on a thread."""
        return (await self.asaved(max_age=max_age)).state

    def saved(self, *, max_age: str | float = 0.0) -> Saved[S]:
        """Give the state with its cursor, to be stored and given back by `snapshot` one day; raises as `state` does."""
        found = self._fresh(max_age)
        return found if found is not None else self._drive(self._refresh())

    async def asaved(self, *, max_age: str | float = 0.0) -> Saved[S]:
        """Do what `saved` does, from an event loop."""
        found = self._fresh(max_age)
        return found if found is not None else await self._adrive(self._refresh())

    def _fresh(self, max_age: str | float) -> Saved[S] | None:
        age = seconds(max_age, "max_age")
        return self._saved if age and time.monotonic() - self._looked_at <= age else None

    # --- the program --------------------------------------------------------------------------------------------

    def _refresh(self) -> Generator[_Step, Any, Saved[S]]:
        """Take in what was written until now, and not what others go on to write meanwhile."""
        looked_at, begun, more, end = time.monotonic(), False, True, 0
        saved = self._saved
        while saved is None or more:
            if saved is None:
                saved, begun = self._begin((yield None)), True
            found: Stretch = yield stretch(replace(self._wanted, after=saved.cursor))
            end = end or found.end
            if not found.gap:
                saved = self._take(found)
                more = found.more and saved.cursor < end
            elif begun:
                raise _outdated(saved.cursor)
            else:
                _log.warning("view: events behind cursor %s were deleted unread; it begins anew", saved.cursor)
                saved = None
        self._looked_at = looked_at
        return saved

    def _begin(self, made: Saved[S]) -> Saved[S]:
        """Begin with a snapshot, unless another thread has a newer state already."""
        with self._changing:
            if self._saved is None or self._saved.cursor < made.cursor:
                self._saved = made
            return self._saved

    def _take(self, found: Stretch) -> Saved[S]:
        """Apply events, but for those that another thread has applied meanwhile."""
        with self._changing:
            assert self._saved is not None  # somebody has begun
            for event in found.events:
                if event.cursor > self._saved.cursor:
                    self._saved = Saved(self._applied(self._saved.state, event), event.cursor)
            if found.upto > self._saved.cursor:
                self._saved = Saved(self._saved.state, found.upto)
            return self._saved

    def _applied(self, state: S, event: Event) -> S:
        made = self._apply(state, event)
        if made is None:
            raise ConfigurationError(
                f"apply gave nothing for an event {event.type!r}; let it return the state, also where that is the same."
            )
        return made

    # --- drivers ------------------------------------------------------------------------------------------------

    def _drive(self, program: Generator[_Step, Any, Saved[S]]) -> Saved[S]:
        try:
            step = next(program)
            while True:
                step = program.send(self._photograph() if step is None else self._coordinator.read_log(step))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _adrive(self, program: Generator[_Step, Any, Saved[S]]) -> Saved[S]:
        try:
            step = next(program)
            while True:
                done = await (self._aphotograph() if step is None else self._coordinator.aread_log(step))
                step = program.send(done)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _photograph(self) -> Saved[S]:
        with ExitStack() as held:
            if self._locks:
                held.enter_context(self._new_lock())
            # Before the snapshot: what is written from here on is read from the log.
            cursor = self._coordinator.read_log(place_of("now"))
            made = self._snapshot()
        if inspect.isawaitable(made):
            if inspect.iscoroutine(made):
                made.close()
            raise ConfigurationError(
                "The snapshot of the view is async: use `await view.astate()`, or give a sync one."
            )
        return _dated(made, cursor)

    async def _aphotograph(self) -> Saved[S]:
        async with AsyncExitStack() as held:
            if self._locks:
                await held.enter_async_context(self._new_lock())
            cursor = await self._coordinator.aread_log(place_of("now"))
            is_async = inspect.iscoroutinefunction(self._snapshot)
            made = self._snapshot() if is_async else await asyncio.to_thread(self._snapshot)
            if inspect.isawaitable(made):
                made = await made
        return _dated(made, cursor)

    def _new_lock(self) -> HeldLock:
        return self._coordinator.lock(*self._locks, mode="shared")


def _outdated(cursor: int) -> ConfigurationError:
    return ConfigurationError(
        f"The snapshot of the view stands at cursor {cursor}, and what followed was deleted from the log before it was "
        f"read. Give a newer snapshot, or the state as it is now, without a cursor; to keep more of the log, raise "
        f"keep_events and max_events of the Coordinator."
    )


def _dated(made: Any, cursor: int) -> Saved[Any]:
    if not isinstance(made, Saved):
        return Saved(made, cursor)
    if isinstance(made.cursor, bool) or not isinstance(made.cursor, int) or made.cursor < 0:
        raise ConfigurationError(f"Saved(cursor={made.cursor!r}): it is the cursor of an event, a whole number from 0.")
    return made
