"""The threads in which sync tools run under an event loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from clawproof_langgraph.errors import BackendUnavailable

T = TypeVar("T")

_PLENTY: Final = 100_000
"""More threads than there ever are calls at once: none is started before it is needed."""


class Threads:
    """Gives every call a thread at once; threads are started on demand and used again.

    A call that is granted holds leases. In the event loop's own executor, which has a few threads only, it could wait
    behind code that waits for those very leases.

    Args:
        store: whose calls run here, for messages.
    """

    def __init__(self, store: str) -> None:
        self._store, self._closed = store, False
        self._pool = ThreadPoolExecutor(_PLENTY, thread_name_prefix="clawproof-call")
        self._running: set[_Work] = set()

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Start some work.

        Raises:
            BackendUnavailable: the coordinator was closed.
            RuntimeError: the interpreter is shutting down, or the system gives no more threads.
        """
        known = _Work(self._running)

        def run() -> T:
            try:
                return work()
            finally:
                known.end()

        try:
            future = self._pool.submit(run)
        except RuntimeError as exc:
            known.end()
            if self._closed:
                raise BackendUnavailable.after_close(self._store) from exc
            raise
        future.add_done_callback(lambda _: known.end())  # also where it was cancelled before it began
        return future

    def close(self, *, patience: float) -> None:
        """Take no more work; wait so many seconds for what still runs, which ends in its own time otherwise."""
        self._closed = True
        self._pool.shutdown(wait=False)
        deadline = time.monotonic() + patience
        for known in tuple(self._running):
            known.wait(deadline - time.monotonic())


class _Work:
    """Some work that is to be waited for, known from before it is started.

    An interrupt may strike whoever starts it when it runs already; it must not be lost sight of then.
    """

    def __init__(self, running: set[_Work]) -> None:
        self._running, self._ended = running, threading.Event()
        running.add(self)

    def end(self) -> None:
        """Note that it runs no longer, or never will."""
        self._running.discard(self)
        self._ended.set()

    def wait(self, patience: float) -> None:
        """Wait so many seconds for its end."""
        self._ended.wait(max(0.0, patience))
