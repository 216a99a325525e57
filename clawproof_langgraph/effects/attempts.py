"""What is remembered of a running call, for one attempt: the next one starts anew."""

from __future__ import annotations

import heapq
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.runtime.context import CallContext

T = TypeVar("T")


class PerAttempt(Generic[T]):
    """Something for each attempt of a call, forgotten together with it.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[CallContext, T] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def of(self, call: CallContext) -> T:
        """Give that of an attempt."""
        with self._lock:
            return self._made.setdefault(call, self._make())


def with_key(call: CallContext | None, what: str) -> CallContext:
    """Make sure that a call is one that has an idempotency key.

    Raises:
        ConfigurationError: it has none; `what` names who needs it.
    """
    if call is not None and call.idempotency_key:
        return call
    found = "there is no guarded call here" if call is None else "this call has none: it is a read, or a plain lock"
    raise ConfigurationError(
        f"{what} needs an idempotency key, but {found}. Call it inside a tool behind a guard, with the result of "
        f'current_call(), under a policy such as ToolPolicy(effect="transactional").'
    )


@dataclass(slots=True)
class Taken:
    """The number of one request.

    Args:
        number: from 0.
        answered: whether it was answered for good; if not, it may have been carried out all the same.
    """

    number: int
    answered: bool = False


class Numbers:
    """Numbers identical requests of one attempt, and gives the number of one that failed to its repetition.

    So two that are meant get two keys, and one that is tried again, by a loop around it, keeps its key.
    """

    def __init__(self) -> None:
        self._next: Counter[str] = Counter()
        self._free: defaultdict[str, list[int]] = defaultdict(list)
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, request: str) -> Iterator[Taken]:
        """Take a number for a request that is made within; its caller notes whether it was answered."""
        taken = Taken(self._take(request))
        try:
            yield taken
        finally:
            if not taken.answered:
                self._give_back(request, taken.number)

    def _take(self, request: str) -> int:
        with self._lock:
            if self._free[request]:
                return heapq.heappop(self._free[request])
            self._next[request] += 1
            return self._next[request] - 1

    def _give_back(self, request: str, number: int) -> None:
        with self._lock:
            heapq.heappush(self._free[request], number)
