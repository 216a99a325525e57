"""What a store in memory is in a forked child: a copy that holds nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import pytest

from clawproof_langgraph.backends.memory import MemoryBackend
from clawproof_langgraph.model import Granted, Replay
from clawproof_langgraph.testing.builders import call, settled


def in_child(work: Callable[[], bool]) -> bool:
    """Fork, and tell what the child found."""
    pid = os.fork()
    if pid == 0:
        found = False
        try:
            found = work()
        finally:
            os._exit(0 if found else 1)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_has_nothing_of_what_its_parent_holds() -> None:
    store = MemoryBackend()
    store.begin(call("a", "inventory/1", key="k"))

    assert in_child(lambda: isinstance(store.begin(call("b", "inventory/1", key="b")), Granted))
    assert [lease.owner for lease in store.snapshot().leases] == ["a"]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_knows_what_was_done_before() -> None:
    store = MemoryBackend()
    lease = store.begin(call("a", key="k"))
    assert isinstance(lease, Granted)
    store.settle(settled(lease, result=b"42"))

    assert in_child(lambda: store.begin(call("b", key="k")) == Replay("k", b"42"))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    store = MemoryBackend()
    with store._lock:  # as another thread has it at the moment of the fork
        assert in_child(lambda: isinstance(store.begin(call("b", "inventory/1")), Granted))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_is_told_that_it_is_on_its_own(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryBackend("memory://shop")

    def says_so() -> bool:
        with caplog.at_level(logging.WARNING, "clawproof_langgraph"):
            store.snapshot()
            store.snapshot()
        return [record.getMessage().split(":")[0] for record in caplog.records].count("memory") == 1

    assert in_child(says_so)
