"""What is remembered of a running call, for one attempt: the next one starts anew."""

from __future__ import annotations

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

    def of(self, call: CallContext) -> T:
        """Give that of an attempt, to all of its threads the same."""
        return self._made.setdefault(call, self._make())  # one step, and no lock that a fork could copy held


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


class Numbers:
    """Numbers identical requests of one attempt, and gives the number of one that failed to its repetition.

    So two that are meant get two keys, and one that is tried again, by a loop around it, keeps its key.
    """

    def __init__(self) -> None:
        self._next: Counter[str] = Counter()
        self._free: defaultdict[str, set[int]] = defaultdict(set)
        self._lock = threading.Lock()

    def take(self, request: str) -> Taken:
        """Take the lowest number that no other one of these requests has."""
        with self._lock:
            free = self._free[request]
            number = min(free, default=self._next[request])
            free.discard(number)
            self._next[request] = max(self._next[request], number + 1)
        return Taken(self, request, number)

    def take_again(self, taken: Taken) -> None:
        """Take back a number that may have been given up."""
        with self._lock:
            self._free[taken.request].discard(taken.number)

    def give_up(self, taken: Taken) -> None:
        """Leave a number to the next identical request."""
        with self._lock:
            self._free[taken.request].add(taken.number)


@dataclass(slots=True)
class Taken:
    """The number of one request, however often it is sent.

    Args:
        numbers: where it was taken.
        request: what it is one of.
        number: from 0.
        answered: whether it was answered for good; if not, it may have been carried out all the same.
        succeeded: whether it was carried out.
    """

    numbers: Numbers
    request: str
    number: int
    answered: bool = False
    succeeded: bool = False

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send the request within, and note there whether it was answered; if not, the number is its repetition's."""
        self.numbers.take_again(self)
        self.answered = False
        try:
            yield
        finally:
            if not self.answered:
                self.numbers.give_up(self)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the answer within; one that breaks off is none."""
        try:
            yield
        except GeneratorExit:  # who reads it has seen enough
            raise
        except BaseException:
            self.numbers.give_up(self)
            raise
