"""The threads in which sync tools run under an event loop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, TypeVar

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
        self._running: set[Future[Any]] = set()

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Start some work.

        Raises:
            BackendUnavailable: the coordinator was closed.
            RuntimeError: the interpreter is shutting down, or the system gives no more threads.
        """
        try:
            future = self._pool.submit(work)
        except RuntimeError as exc:
            if self._closed:
                raise BackendUnavailable.after_close(self._store) from exc
            raise
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def close(self, *, patience: float) -> None:
        """Take no more work; wait so many seconds for what still runs, which ends in its own time otherwise."""
        self._closed = True
        self._pool.shutdown(wait=False)
        wait(self._running, timeout=patience)
