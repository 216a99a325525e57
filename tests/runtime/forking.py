"""What a process does that forks or ends, run by `test_fork.py`: `python -m tests.runtime.forking SCENARIO FILE`."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from clawproof_langgraph import Coordinator, Guard, Lease, ToolPolicy, WaitTimeout
from clawproof_langgraph.core.call import Terms, guarded_call
from clawproof_langgraph.policy import Effect
from tests.runtime.stores import aperform
from tests.waiting import PATIENCE, await_until, wait_until


def once(ask: Any) -> Any:
    """Make the program of a once tool."""
    return guarded_call(ask, Terms(Effect.ONCE, PATIENCE))


def in_child(work: Callable[[], object]) -> None:
    """Fork, let the child do something outside of any call chain, and fail if it fails."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            contextvars.Context().run(work)
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, found = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(found) == 0, "the child failed"


def outlives_its_ttl(lease: Lease) -> None:
    """Wait until a lease lives by its renewals alone."""
    first_end = lease.deadline
    wait_until(lambda: lease.renewed_at > first_end)
    lease.check()


def parents_lease_is_untouched(coordinator: Coordinator) -> None:
    """The child uses the coordinator and closes it; the parent's lease lives on."""

    def child() -> None:
        with coordinator.lock("b") as lease:
            lease.check()
            held = {want.resource for view in coordinator.snapshot().leases for want in view.wants}
            assert held == {"a", "b"}, held
        coordinator.close()

    with coordinator.lock("a", ttl=1.0) as lease:
        in_child(child)
        outlives_its_ttl(lease)
        assert [view.owner for view in coordinator.snapshot().leases] == [lease.owner]
    assert coordinator.snapshot().leases == ()


def child_has_a_session_of_its_own(coordinator: Coordinator) -> None:
    """No owner id is used twice."""
    with coordinator.lock("a") as lease:
        parent = coordinator.session

        def child() -> None:
            with coordinator.lock("b") as own:
                assert coordinator.session != parent
                assert own.owner.startswith(coordinator.session), (own.owner, coordinator.session)

        in_child(child)
        assert coordinator.session == parent and lease.owner.startswith(parent)


def child_is_a_rival(coordinator: Coordinator) -> None:
    """What the parent holds, the child has to wait for."""

    def child() -> None:
        try:
            with coordinator.lock("a", wait=0.1):
                raise AssertionError("both have it")
        except WaitTimeout:
            return

    with coordinator.lock("a"):
        in_child(child)


def child_renews_its_leases(coordinator: Coordinator) -> None:
    """The first lock of a child lives longer than its ttl, as any other does."""

    def child() -> None:
        with coordinator.lock("b", ttl=0.6) as lease:
            outlives_its_ttl(lease)

    with coordinator.lock("a"):
        in_child(child)


def child_waits_for_its_turn(coordinator: Coordinator) -> None:
    """The child's waiter is woken when the parent releases, not when the parent's lease would have ended."""
    lock = coordinator.lock("a", ttl=30)
    lock.__enter__()
    pid = os.fork()
    if pid == 0:
        began = time.monotonic()
        contextvars.Context().run(coordinator.lock("a", wait=20).__enter__)
        os._exit(0 if time.monotonic() - began < 6 else 1)
    wait_until(lambda: coordinator.snapshot().waiters)
    lock.__exit__(None, None, None)
    _, found = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(found) == 0, "the child waited for too long"


def child_runs_sync_tools_under_a_loop(coordinator: Coordinator) -> None:
    """The threads of the parent are not the child's, even those that were free to take a call."""

    def body(lease: Lease, attempt: int) -> int:
        return os.getpid()

    def call_it() -> None:
        outcome = asyncio.run(asyncio.wait_for(aperform(coordinator, once, body, blocking=True), PATIENCE))
        assert outcome.value == os.getpid()

    call_it()
    wait_until(lambda: coordinator._threads._pool._idle_semaphore._value)
    in_child(call_it)
    call_it()


def left_running_at_the_end(coordinator: Coordinator) -> None:
    """A call whose caller was cancelled is settled before the process ends, as if the loop's own threads had run it."""
    began, may_end = threading.Event(), threading.Event()

    def body(lease: Lease, attempt: int) -> str:
        began.set()
        assert may_end.wait(PATIENCE)
        time.sleep(0.3)  # the work of the tool: a process that does not wait for it is gone meanwhile
        return "placed"

    async def leave() -> None:
        task = asyncio.create_task(aperform(coordinator, once, body, blocking=True, key="k"))
        await await_until(began.is_set)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    threading._register_atexit(may_end.set)  # type: ignore[attr-defined]  # the end has begun; threads still run
    asyncio.run(leave())


def child_leaves_the_call(coordinator: Coordinator) -> None:
    """A child that was forked inside of a tool settles nothing: the call is its parent's, and goes on."""
    parent = os.getpid()

    def pay() -> str:
        """Pay."""
        pid = os.fork()
        if pid == 0:
            return "from the child"
        os.waitpid(pid, 0)
        assert len(coordinator.snapshot().leases) == 1, "the child has settled it"
        return "from the parent"

    guarded = Guard(coordinator, tools={"pay": ToolPolicy(locks=["card"])}).wrap_tool(pay)
    told = guarded.invoke({})
    if os.getpid() != parent:
        os._exit(0)
    assert told == "from the parent"
    assert [event.type for event in coordinator.events()][-1] == "call.done" or coordinator.events(types=["call.done"])


def child_leaves_the_block(coordinator: Coordinator) -> None:
    """A child that runs out of the block in which it was forked gives nothing back: it is not its own."""
    parent = os.getpid()
    with coordinator.lock("a", ttl=30):
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            assert len(coordinator.snapshot().leases) == 1, "the child has released it"
    if os.getpid() != parent:
        os._exit(0)


def main(scenario: str, path: str) -> None:
    """Run one scenario."""
    coordinator = Coordinator.from_url(f"sqlite:///{path}?synchronous=normal")
    globals()[scenario](coordinator)
    if scenario != left_running_at_the_end.__name__:
        coordinator.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
