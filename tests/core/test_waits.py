"""Who waits for whom, and that no nesting that keeps to the order closes a circle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clawproof_langgraph.backends.memory import MemoryBackend
from clawproof_langgraph.core.waits import Wait, WaitFor
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.faces import SyncFace
from clawproof_langgraph.testing.nestings import Nestings


@contextmanager
def nestings(seed: int, *, ordered: bool) -> Iterator[Nestings]:
    backend = MemoryBackend(clock=ManualClock())
    yield Nestings(SyncFace(backend), seed, ordered=ordered)
    backend.close()


def circles(*, ordered: bool) -> int:
    """Count the random nestings, of 400, that close a circle."""
    found = 0
    for seed in range(400):
        with nestings(seed, ordered=ordered) as calls:
            for _ in range(60):
                calls.step()
                if calls.cycle():
                    found += 1
                    break
    return found


def test_no_nesting_in_order_closes_a_circle_and_others_do() -> None:
    assert circles(ordered=True) == 0
    assert circles(ordered=False) > 20


def test_a_circle_is_given_in_order() -> None:
    waits = [Wait("x", "a", "0"), Wait("b", "c", "2"), Wait("a", "b", "1"), Wait("c", "a", "3"), Wait("b", "d", "4")]

    circle = WaitFor(tuple(waits)).cycle()

    assert {wait.resource for wait in circle} == {"1", "2", "3"}
    assert [wait.on for wait in circle] == [*(wait.who for wait in circle[1:]), circle[0].who]


def test_calls_that_wait_in_a_row_are_no_circle() -> None:
    assert WaitFor((Wait("a", "b", ""), Wait("b", "c", ""), Wait("a", "c", ""))).cycle() == ()
