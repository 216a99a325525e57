"""A subscription: reads the log under a name, and goes on after a crash where it was.

Reading is written once, as a program that yields what it wants done, and is run by two small drivers, sync and async.
Nothing is kept in a program between two events, so one that is cancelled or interrupted loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Self, TypeVar, assert_never

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.durations import seconds
from clawproof_langgraph.errors import ClawproofError, ConfigurationError
from clawproof_langgraph.events import Event, EventFilter, Page, truncated
from clawproof_langgraph.model import Advance
from clawproof_langgraph.reading import admitted

_log = logging.getLogger("clawproof_langgraph")

T = TypeVar("T")

_BATCH: Final = 500
"""Events that are read at a time, and that a crash may give again at most."""
_SAVE_EVERY: Final = 1.0
"""Seconds after which is noted how far was read."""
_SHOW_LIFE_EVERY: Final = 2.0
"""Seconds after which it is noted again, to show that the reader lives."""
_IDLE: Final = 0.1
"""Seconds without a new event after which is noted how far was read."""
_GATHER: Final = 0.01
"""Seconds in which a log that goes on without an event that is wanted is left alone, to be read in larger pieces."""


# --- what the program of reading wants done ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Read:
    """Read a part of the log."""

    wanted: EventFilter


@dataclass(frozen=True, slots=True)
class _Save:
    """Note how far was read."""

    fact: Advance


@dataclass(frozen=True, slots=True)
class _Follow:
    """Wait until the log goes on."""

    after: int
    timeout: float


@dataclass(frozen=True, slots=True)
class _Sleep:
    """Wait so many seconds."""

    seconds: float


_Step = _Read | _Save | _Follow | _Sleep
_Program = Generator[_Step, Any, T]


class Subscription:
    """Gives the events of a log in order, each at least once, without a gap; `coordinator.subscribe` makes it.

    Iterate over it, with `for` or `async for`. An event counts as read when the next one is asked for, or when `ack` is
    called; what does not is given again to whoever takes the subscription up after a crash. Where retention has deleted
    what was not read, an event `log.truncated` comes in its place, whatever the filter: between `data["from"]` and
    `data["to"]`, events are missing.

    It has one reader at a time, and is a context manager, sync and async.

    Args:
        backend: where the log is.
        name: its name in the store.
        wanted: which events.
        owner: who reads, as it was told to the store.
        cursor: where it stands.
        timeout: seconds without an event after which an iteration ends; None for never.
    """

    def __init__(
        self, backend: Backend, name: str, wanted: EventFilter, *, owner: str, cursor: int, timeout: float | None
    ) -> None:
        self.name = name
        self._backend, self._wanted, self._owner, self._timeout = backend, wanted, owner, timeout
        self._fresh: deque[Event] = deque()
        self._given: Event | None = None
        self._read = self._saved = self._reached = cursor
        self._more, self._unsaved = False, 0
        self._saved_at = time.monotonic()
        self._unused, self._closed, self._pid = threading.Lock(), False, os.getpid()

    @property
    def cursor(self) -> int:
        """The position up to which all was read."""
        return self._read

    # --- the program --------------------------------------------------------------------------------------------

    def _next(self, timeout: float | None) -> _Program[Event | None]:
        """Give the next event, or None if none comes in time."""
        self._count_as_read()
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not self._fresh and not self._closed:
            before = self._reached
            if self._is_due():
                yield from self._save()
            self._take((yield _Read(replace(self._wanted, after=self._reached, limit=_BATCH))))
            if not self._fresh and not self._more and not (yield from self._wait(before, end)):
                return None
        if self._closed:
            return None
        if self._is_due():
            yield from self._save()
        self._given, self._unsaved = self._fresh.popleft(), self._unsaved + 1
        return self._given

    def _wait(self, before: int, end: float) -> _Program[bool]:
        """Wait for the log to go on; tell whether there is time left."""
        left = max(end - time.monotonic(), 0.0)
        if self._reached > before and left:
            yield _Sleep(min(_GATHER, left))
            return True
        patience = _IDLE if self._read > self._saved else _SAVE_EVERY
        if not left or not (yield _Follow(self._reached, min(patience, left))):
            yield from self._save()
        return left > 0

    def _count_as_read(self) -> None:
        if self._given is not None:
            self._read, self._given = self._given.cursor, None
        if not self._fresh:
            self._read = self._reached

    def _take(self, page: Page) -> None:
        if self._reached < page.trimmed:
            self._fresh.append(truncated(self._reached, page.trimmed, self.name))
        self._fresh.extend(admitted(page.events, self._wanted))
        self._reached, self._more = max(page.reached, page.trimmed), page.more
        self._count_as_read()

    def _is_due(self) -> bool:
        return self._unsaved >= _BATCH or time.monotonic() - self._saved_at >= _SAVE_EVERY

    def _save(self) -> _Program[None]:
        """Note how far was read, if that is new or a sign of life is due."""
        read, now = self._read, time.monotonic()
        if self._closed or (read == self._saved and now - self._saved_at < _SHOW_LIFE_EVERY):
            return
        yield _Save(Advance(self.name, self._owner, read))
        if self._closed:  # meanwhile: what was just noted may have taken up again the name that was left
            yield _Save(Advance(self.name, self._owner, read, over=True))
        self._saved, self._saved_at, self._unsaved = read, now, 0

    def _acknowledge(self) -> _Program[None]:
        self._count_as_read()
        yield from self._save()

    def _measure(self) -> _Program[float]:
        page: Page = yield _Read(EventFilter(self._read, limit=1))
        if page.trimmed > self._read:
            return max(time.time() - page.trimmed / 1_000_000, 0.0)
        return max(time.time() - page.events[0].time, 0.0) if page.events else 0.0

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        if self._pid != os.getpid():
            raise ConfigurationError(
                f'The subscription "{self.name}" belongs to the process that made it. In a forked child, subscribe '
                f"under another name, or close this one first."
            )
        if not self._unused.acquire(blocking=False):
            raise ConfigurationError(
                f'The subscription "{self.name}" is read by another thread or task. Give each its own, under a name of '
                f"its own, or let one read and hand on."
            )
        try:
            yield
        finally:
            self._unused.release()

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError(
                f'The subscription "{self.name}" was closed. Call coordinator.subscribe("{self.name}") to read on.'
            )

    # --- sync ---------------------------------------------------------------------------------------------------

    def poll(self, timeout: str | float | None = 0.0) -> Event | None:
        """Give the next event, None if there is none within `timeout` seconds (None: wait for ever). The last is read.

        Raises:
            ConfigurationError: it was closed, is read elsewhere, or was forgotten.
            BackendUnavailable: the store cannot be used; try again, nothing is lost.
        """
        self._check_open()
        with self._in_use():
            return self._drive(self._next(_limit(timeout)))

    def ack(self) -> None:
        """Say that all events that were given are read, and note it in the store before going on.

        Raises:
            ConfigurationError, BackendUnavailable: as `poll` does.
        """
        self._check_open()
        with self._in_use():
            self._drive(self._acknowledge())

    def lag(self) -> float:
        """Tell the age in seconds of the oldest event of the log that it has not read, 0.0 if there is none.

        It goes by the clock of this machine, and events that the filter keeps out count until it has passed them.
        """
        return self._drive(self._measure())

    def close(self) -> None:
        """Note how far was read and leave the name to others; an iteration that waits elsewhere ends within a second.

        The event that was given last counts as read only if the next one was asked for, or with `ack`.
        """
        if fact := self._leave():
            try:
                self._backend.record(fact)
            except ClawproofError as exc:
                self._not_noted(exc)

    def _drive(self, program: _Program[T]) -> T:
        answer = None
        try:
            while True:
                answer = self._perform(program.send(answer))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _perform(self, step: _Step) -> Any:
        match step:
            case _Read(wanted):
                return self._backend.page(wanted)
            case _Save(fact):
                return self._backend.record(fact)
            case _Follow(after, timeout):
                return self._backend.follow(after, timeout)
            case _Sleep(pause):
                return time.sleep(pause)
            case _:
                assert_never(step)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        with self._in_use():
            event = self._drive(self._next(self._timeout))
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- async --------------------------------------------------------------------------------------------------

    async def apoll(self, timeout: str | float | None = 0.0) -> Event | None:
        """Do what `poll` does, from an event loop."""
        self._check_open()
        with self._in_use():
            return await self._adrive(self._next(_limit(timeout)))

    async def aack(self) -> None:
        """Do what `ack` does, from an event loop."""
        self._check_open()
        with self._in_use():
            await self._adrive(self._acknowledge())

    async def alag(self) -> float:
        """Do what `lag` does, from an event loop."""
        return await self._adrive(self._measure())

    async def aclose(self) -> None:
        """Do what `close` does, from an event loop."""
        if fact := self._leave():
            try:
                await self._backend.arecord(fact)
            except ClawproofError as exc:
                self._not_noted(exc)

    async def _adrive(self, program: _Program[T]) -> T:
        answer = None
        try:
            while True:
                answer = await self._aperform(program.send(answer))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _aperform(self, step: _Step) -> Any:
        match step:
            case _Read(wanted):
                return await self._backend.apage(wanted)
            case _Save(fact):
                return await self._backend.arecord(fact)
            case _Follow(after, timeout):
                return await self._backend.afollow(after, timeout)
            case _Sleep(pause):
                return await asyncio.sleep(pause)
            case _:
                assert_never(step)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        with self._in_use():
            event = await self._adrive(self._next(self._timeout))
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    # --- leaving ------------------------------------------------------------------------------------------------

    def _leave(self) -> Advance | None:
        """Be closed; tell what the store is to know, unless that was told or is another process's business."""
        if self._closed or self._pid != os.getpid():
            return None
        self._closed = True
        return Advance(self.name, self._owner, self._read, over=True)

    def _not_noted(self, error: ClawproofError) -> None:
        # Nothing is lost: the events since the last note come again.
        _log.warning('subscription "%s": could not note how far it was read: %s', self.name, error)


def _limit(timeout: str | float | None) -> float | None:
    return None if timeout is None else seconds(timeout, "timeout")
