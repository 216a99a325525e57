"""Stores that fail or stay silent when a test says so, and what a test runs over them."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from clawproof_langgraph import Coordinator, NotApplied, codec
from clawproof_langgraph.backends.memory import MemoryBackend
from clawproof_langgraph.core.steps import Ending, Program, Raised, Returned
from clawproof_langgraph.errors import BackendUnavailable
from clawproof_langgraph.model import Begin, Renew, Settle, Want
from clawproof_langgraph.runtime.context import CallContext, running
from clawproof_langgraph.runtime.lease import Lease
from clawproof_langgraph.testing.builders import call

T = TypeVar("T")


class FlakyStore(MemoryBackend):
    """A store in memory that fails as often as `failing` says, and drops as many rings as `silent` says."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: Counter[type[Any]] = Counter()
        self.silent = 0
        self.down = False
        self.renewals: list[tuple[float, Renew]] = []
        self.bells_out = 0
        self.before_renewing: Callable[[], object] | None = None

    def _step(self, command: Callable[..., T], argument: Any) -> T:
        if isinstance(argument, Renew):
            self.renewals.append((time.monotonic(), argument))
            hook, self.before_renewing = self.before_renewing, None
            if hook is not None:
                hook()
        if self.down or self.failing[type(argument)] > 0:
            self.failing[type(argument)] -= 1
            raise BackendUnavailable(self.name, "the test says so")
        return super()._step(command, argument)

    def ring(self, address: str, owner: str) -> None:
        if self.silent > 0:
            self.silent -= 1
        else:
            super().ring(address, owner)

    def take_bell(self) -> Any:
        self.bells_out += 1
        return super().take_bell()

    def give_bell(self, bell: Any) -> None:
        self.bells_out -= 1
        super().give_bell(bell)


class Code:
    """A body that runs a function of its lease and attempt, which may be async."""

    def __init__(self, coordinator: Coordinator, function: Callable[[Lease, int], Any], *, blocking: bool) -> None:
        self._coordinator, self._function, self.blocking = coordinator, function, blocking

    def run(self, lease: Lease, attempt: int) -> Returned | Raised:
        try:
            with running(CallContext(lease, attempt=attempt), lease, self._coordinator):
                value = self._function(lease, attempt)
        except BaseException as error:  # noqa: BLE001 - errors of the code are data
            return _raised(error)
        return Returned(value, codec.dumps(value))

    def afford_retry(self) -> bool:
        """Allow every retry."""
        return True

    async def arun(self, lease: Lease, attempt: int) -> Returned | Raised:
        try:
            with running(CallContext(lease, attempt=attempt), lease, self._coordinator):
                value = self._function(lease, attempt)
                value = await value if inspect.isawaitable(value) else value
        except BaseException as error:  # noqa: BLE001 - errors of the code are data
            return _raised(error)
        return Returned(value, codec.dumps(value))


def _raised(error: BaseException) -> Raised:
    if isinstance(error, NotApplied):
        return Raised(error, Ending.NOT_APPLIED, retryable=True)
    stopped = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
    return Raised(error, Ending.CANCELLED if stopped else Ending.UNKNOWN)


MODES = ["sync", "async", "thread"]
"""Driven by blocking; on an event loop; on an event loop with a body that needs a thread."""

Make = Callable[[Begin], Program[Any]]


def new_ask(coordinator: Coordinator, *resources: str | Want, **fields: Any) -> Begin:
    """Make a request of a coordinator's own."""
    return call(coordinator.new_owner(), *resources, **{"session": coordinator.session, **fields})


def perform(mode: str, coordinator: Coordinator, make: Make, function: Callable[..., Any], **fields: Any) -> Any:
    """Drive the program that `make` gives for a request, in one of the modes."""
    if mode != "sync":
        return asyncio.run(aperform(coordinator, make, function, blocking=mode == "thread", **fields))
    driver = coordinator.driver(Code(coordinator, function, blocking=True))
    ask = new_ask(coordinator, "inventory/1", **fields)._replace(bell=driver.take_bell())
    return driver.drive(make(ask))


async def aperform(
    coordinator: Coordinator, make: Make, function: Callable[..., Any], *, blocking: bool, **fields: Any
) -> Any:
    """Drive it on the running loop."""
    driver = coordinator.driver(Code(coordinator, function, blocking=blocking))
    ask = new_ask(coordinator, "inventory/1", **fields)._replace(bell=driver.use_loop_bell())
    return await driver.adrive(make(ask))


def traced(program: Program[T], kinds: list[str]) -> Program[T]:
    """Pass a program on, noting the kinds of its steps."""
    try:
        step = next(program)
        while True:
            kinds.append(type(step).__name__)
            try:
                answer = yield step
            except BaseException as error:  # noqa: BLE001 - handed to the program
                step = program.throw(error)
            else:
                step = program.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


@contextmanager
def held(store: MemoryBackend, resource: str = "inventory/1", owner: str = "other", **fields: Any) -> Iterator[None]:
    """Let somebody else hold a resource, who is not part of this call chain."""
    lease = store.begin(call(owner, resource, session="elsewhere", agent="rival", **fields))
    yield
    store.settle(Settle(lease.owner, lease.fence, None))  # type: ignore[union-attr]


@asynccontextmanager
async def locked(face: str, coordinator: Coordinator, *names: str, **options: Any) -> AsyncIterator[Lease]:
    """Hold a lock by one of the faces."""
    if face == "sync":
        with coordinator.lock(*names, **options) as lease:
            yield lease
    else:
        async with coordinator.lock(*names, **options) as lease:
            yield lease


def holdings(coordinator: Coordinator) -> list[str]:
    """Name what is held."""
    return [want.resource for lease in coordinator.snapshot().leases for want in lease.wants]
