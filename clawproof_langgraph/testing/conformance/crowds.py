"""Many callers at once, in threads and on event loops: the rules hold whoever comes between."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.model import Begin, BeginReply, Granted, Mode, Queued, Replay, Want, Withdraw
from clawproof_langgraph.testing.builders import again, ask, call, reading, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import MakeBackend, Suite
from clawproof_langgraph.testing.faces import SyncFace

THREADS = 6
TURNS = 5


class Floor:
    """Watches who is on a resource, and remembers the worst that it saw."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._writers = 0
        self.overlaps = 0
        self.fences: list[int] = []

    def enter(self, lease: Granted, *, writes: bool) -> None:
        """Note that a holder went to work."""
        with self._lock:
            self._writers += writes
            self._readers += not writes
            self.overlaps += self._writers > 1 or (self._writers == 1 and self._readers > 0)
            self.fences.append(lease.fence)

    def leave(self, *, writes: bool) -> None:
        """Note that a holder is done."""
        with self._lock:
            self._writers -= writes
            self._readers -= not writes


def turn(backend: Backend, request: Begin) -> BeginReply:
    """Ask and wait, as a blocking caller does, until the answer is final."""
    bell = backend.take_bell()
    try:
        request = request._replace(bell=bell.address)
        reply = backend.begin(request)
        while isinstance(reply, Queued):
            bell.wait(request.owner, min(reply.look_again, 0.2))
            reply = backend.begin(again(request))
        return reply
    finally:
        backend.give_bell(bell)


async def aturn(backend: Backend, request: Begin) -> BeginReply:
    """Ask and wait, as a caller on an event loop does."""
    bell = backend.loop_bell()
    reply = await backend.abegin(request)
    while isinstance(reply, Queued):
        await bell.wait(request.owner, min(reply.look_again, 0.2))
        reply = await backend.abegin(again(request))
    return reply


def wants(n: int) -> tuple[Want | str, ...]:
    """Vary what the n-th request wants, so that requests overlap in all ways."""
    return (("x",), (reading("x"),), ("x", "y"), ("y", reading("x")))[n % 4]


def writes(request: Begin) -> bool:
    """Tell whether a request wants `x` for itself."""
    return Want("x", Mode.EXCLUSIVE) in request.wants


def run_threads(work: Callable[[], None], *, threads: int = THREADS) -> None:
    """Do the same work in several threads at once, and raise what any of them raised."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # else a thread is hardly ever interrupted in the middle of a command
    try:
        with ThreadPoolExecutor(threads) as pool:
            for future in [pool.submit(work) for _ in range(threads)]:
                future.result(timeout=60)
    finally:
        sys.setswitchinterval(usual)


def work_in_turns(backend: Backend, floor: Floor, numbers: Iterator[int]) -> None:
    """Take a lock, work and let go, a few times; the numbers name the requests."""
    for n in itertools.islice(numbers, TURNS):
        request = ask(f"c{n}", *wants(n), session=threading.current_thread().name)
        lease = turn(backend, request)
        assert isinstance(lease, Granted)
        floor.enter(lease, writes=writes(request))
        floor.leave(writes=writes(request))
        backend.settle(released(lease))


class Crowds(Suite):
    """Real threads and loops; the store's clock stands still, so that nothing expires however slow the machine is."""

    def test_threads_never_overlap(self, backend: Backend) -> None:
        floor, numbers = Floor(), itertools.count()
        run_threads(lambda: work_in_turns(backend, floor, numbers))
        self._check(floor, backend)

    def test_coordinators_never_overlap(self, make_backend: MakeBackend, clock: ManualClock) -> None:
        """Each thread has connections of its own, as another process would."""
        floor, numbers = Floor(), itertools.count()
        backends = [make_backend(clock) for _ in range(THREADS)]
        each = iter(backends)
        try:
            run_threads(lambda: work_in_turns(next(each), floor, numbers))
            self._check(floor, backends[0])
        finally:
            for backend in backends:
                backend.close()

    def _check(self, floor: Floor, backend: Backend) -> None:
        assert floor.overlaps == 0
        assert len(set(floor.fences)) == THREADS * TURNS, "no fence is given twice"
        assert backend.snapshot().leases == ()
        assert backend.snapshot().waiters == ()

    def test_tasks_and_threads_never_overlap(self, backend: Backend) -> None:
        floor = Floor()

        async def work(n: int) -> None:
            request = ask(f"t{n}", *wants(n), bell=backend.loop_bell().address)
            lease = await aturn(backend, request)
            assert isinstance(lease, Granted)
            floor.enter(lease, writes=writes(request))
            await asyncio.sleep(0)
            floor.leave(writes=writes(request))
            await backend.asettle(released(lease))

        async def main(first: int) -> None:
            await asyncio.gather(*(work(n) for n in range(first, first + 8)))

        loops = itertools.count(0, 100)
        run_threads(lambda: asyncio.run(main(next(loops))), threads=3)

        assert floor.overlaps == 0
        assert backend.snapshot().leases == ()

    def test_of_many_equal_calls_one_runs(self, backend: Backend) -> None:
        runs: list[int] = []
        numbers = itertools.count()

        def work() -> None:
            reply = turn(backend, call(f"c{next(numbers)}", "inventory/1", key="k"))
            if isinstance(reply, Granted):
                runs.append(reply.fence)
                backend.settle(settled(reply, result=b"42"))
            else:
                assert reply == Replay("k", b"42")

        run_threads(work)

        assert len(runs) == 1

    def test_events_of_a_crowd_lose_nothing(self, backend: Backend) -> None:
        numbers = itertools.count()

        def work() -> None:
            for _ in range(TURNS):
                n = next(numbers)
                lease = turn(backend, call(f"c{n}", f"r/{n % 3}", key=f"k{n}"))
                assert isinstance(lease, Granted)
                backend.settle(settled(lease))

        run_threads(work)

        store = SyncFace(backend)
        for kind in ("lock.acquired", "call.started", "call.done", "lock.released"):
            assert len({event.call for event in store.log(kind)}) == len(store.log(kind)) == THREADS * TURNS
        cursors = [event.cursor for event in store.log()]
        assert cursors == sorted(set(cursors))

    def test_a_cancelled_command_is_over_when_its_task_is(self, backend: Backend) -> None:
        """Otherwise the withdrawal that follows could overtake it, and leave a lease that nobody knows of."""

        over = threading.Event()

        async def give_up(n: int) -> None:
            task = asyncio.create_task(backend.abegin(ask(f"c{n}", "inventory/1")))
            for _ in range(n % 4):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await backend.awithdraw(Withdraw(f"c{n}"))

        async def main() -> None:
            for n in range(40):
                await give_up(n)

        def keep_busy() -> None:
            while not over.is_set():
                backend.begin(again(ask(threading.current_thread().name, "inventory/2")))

        def run() -> None:
            try:
                asyncio.run(main())
            finally:
                over.set()

        works = iter([run, keep_busy, keep_busy])
        run_threads(lambda: next(works)(), threads=3)

        assert isinstance(backend.begin(ask("last", "inventory/1")), Granted)
