"""What a forked child does, run by `test_fork.py` in an interpreter of its own: `python forking.py SCENARIO FILE`."""

from __future__ import annotations

import contextvars
import os
import sys
import time
from collections.abc import Callable

from clawproof_langgraph import Coordinator, WaitTimeout


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
        time.sleep(1.5)  # what is promised is that it outlives its ttl
        lease.check()
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
            time.sleep(1.2)  # as above
            lease.check()

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
    while not coordinator.snapshot().waiters:
        time.sleep(0.01)
    lock.__exit__(None, None, None)
    _, found = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(found) == 0, "the child waited for too long"


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
    with Coordinator.from_url(f"sqlite:///{path}?synchronous=normal") as coordinator:
        globals()[scenario](coordinator)


if __name__ == "__main__":
    main(*sys.argv[1:])
