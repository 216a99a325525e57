"""Who held what at the same time, read from the log."""

from __future__ import annotations

import itertools
from typing import Any

from clawproof_langgraph.events import Event
from clawproof_langgraph.inspection.calls import Call
from clawproof_langgraph.inspection.contention import contention_of
from clawproof_langgraph.inspection.overlaps import Outlived, Overlap, Together, concurrency_of

_cursors = itertools.count(1)


def event(type_: str, call: str, *resources: str, **data: Any) -> Event:
    cursor = next(_cursors)
    return Event(cursor, float(cursor), type_, call=call, resources=resources, data=data)


def begun(call: str, *resources: str, tool: str = "sell", **data: Any) -> list[Event]:
    return [event("lock.acquired", call, *resources, **data), event("call.started", call, *resources, tool=tool)]


def done(call: str, *resources: str) -> list[Event]:
    return [event("call.done", call, *resources), event("lock.released", call, *resources)]


def test_one_after_the_other_is_no_overlap() -> None:
    assert concurrency_of([*begun("a", "r"), *done("a", "r"), *begun("b", "r")]).overlaps == ()


def test_two_holders_of_one_resource_overlap() -> None:
    found = concurrency_of([*begun("a", "q", "r"), *begun("b", "r", "s")])
    assert found.overlaps == (Overlap("r", "a", "b"),)
    assert found.together == ()


def test_readers_may_share_but_not_with_a_writer() -> None:
    log = [*begun("a", "r", shared=["r"]), *begun("b", "r", shared=["r"])]
    assert concurrency_of(log).overlaps == ()
    assert concurrency_of([*log, *begun("c", "r")]).overlaps == (Overlap("r", "a", "c"), Overlap("r", "b", "c"))


def test_an_inner_call_is_no_rival_of_those_around_it_but_of_its_sibling() -> None:
    log = [*begun("a", "r"), *begun("b", "r", inside="a"), *begun("c", "r", inside="b")]
    assert concurrency_of(log).overlaps == ()
    assert concurrency_of([*log, *begun("d", "r", inside="a")]).overlaps == (
        Overlap("r", "b", "d"),
        Overlap("r", "c", "d"),
    )


def test_an_expired_lease_is_no_holder() -> None:
    log = [*begun("a", "r"), event("lock.expired", "a", "r"), event("call.in_doubt", "a", "r"), *begun("b", "r")]
    assert concurrency_of(log) == concurrency_of([])


def test_a_call_that_ends_after_its_lease_has_outlived_it() -> None:
    log = [*begun("a", "r"), event("lock.expired", "a", "r"), *begun("b", "r"), *done("b", "r")]
    log += [*begun("c", "other"), event("call.done", "a", "r"), event("lease.lost", "a", "r"), *begun("d", "r")]
    assert concurrency_of(log).outlived == (Outlived("a", ("b",)),)


def test_tools_that_run_at_once_with_no_common_lock_are_paired() -> None:
    log = [
        *begun("a", "order/1"),
        *begun("b", "stock", tool="bring"),
        *begun("c", tool="bring"),
        *done("a"),
        *done("b"),
    ]
    assert concurrency_of(log).together == (
        Together(("bring", "sell"), 2, ("a", "b")),
        Together(("bring", "bring"), 1, ("b", "c")),
    )


def test_readers_of_different_things_are_not_paired() -> None:
    assert concurrency_of([*begun("a", "q", shared=["q"]), *begun("b", "r", shared=["r"])]).together == ()


def test_the_worst_is_told_first() -> None:
    calls = [
        Call("a", 0.0, resources=("q",), waited=1.0, held=0.5),
        Call("b", 0.0, resources=("q", "r"), waited=3.0),
        Call("c", 0.0, resources=("s",)),
    ]
    found = contention_of(calls, limit=2)

    assert [(each.resource, each.calls, each.waited, each.longest, each.held) for each in found] == [
        ("q", 2, 4.0, 3.0, 0.5),
        ("r", 1, 3.0, 3.0, 0.0),
    ]
