"""The lease as its holder sees it, and the call context around it."""

from __future__ import annotations

import asyncio
import contextvars
import time
from contextlib import suppress
from typing import Any

import pytest

from clawproof_langgraph import AgentKilled, LeaseLost, current_call
from clawproof_langgraph.model import Granted, Killed
from clawproof_langgraph.runtime.context import CallContext, current_frame, running
from clawproof_langgraph.runtime.lease import Lease
from clawproof_langgraph.testing.builders import call

REQUEST = call("me", "b", "a", key="asked", ttl=10.0)


def make(*, age: float = 0.0, key: str = "k", renew: Any = lambda lease: None) -> Lease:
    """Make a lease that was asked for some seconds ago."""
    return Lease(REQUEST, Granted("me", 7, 10.0, key), asked_at=time.monotonic() - age, renew=renew)


def test_a_lease_says_what_it_is() -> None:
    lease = make()
    assert (lease.owner, lease.fence, lease.key, lease.agent, lease.ttl) == ("me", 7, "k", "orders", 10.0)
    assert lease.resources == ("a", "b")


def test_its_deadline_counts_from_before_the_request_less_a_margin() -> None:
    """The store may have granted it at once and taken its time to answer."""
    lease = make(age=4.0)
    assert 5.0 < lease.deadline - time.monotonic() < 6.0


def test_a_live_lease_passes_its_check() -> None:
    lease = make(age=9.0)
    lease.check()
    assert not lease.lost


def test_past_its_deadline_it_is_lost_without_asking_anybody() -> None:
    lease = make(age=9.95)
    assert lease.lost
    with pytest.raises(LeaseLost, match=r"a, b was lost: it could not be renewed in time"):
        lease.check()


def test_what_is_lost_stays_lost() -> None:
    """Its holder may have acted on the loss already."""
    lease = make(age=11)
    assert lease.lost
    lease.mark_renewed(time.monotonic())
    assert lease.lost


def test_a_renewal_moves_the_deadline() -> None:
    lease = make(age=9.0)
    before = lease.deadline
    lease.mark_renewed(time.monotonic())
    assert lease.deadline > before + 8


def test_a_loss_is_told_once_and_keeps_its_first_reason() -> None:
    told: list[int] = []
    lease = make()
    lease.on_lost(lambda: told.append(1))
    lease.mark_lost("first")
    lease.mark_lost("second")

    assert told == [1]
    with pytest.raises(LeaseLost, match="first"):
        lease.check()


def test_a_loss_is_told_to_who_listens_a_moment_too_late() -> None:
    told: list[int] = []
    lease = make()
    lease.mark_lost("gone")
    lease.on_lost(lambda: told.append(1))
    assert told == [1]
    lease.mark_lost("again")
    assert told == [1]


def test_whoever_stops_listening_is_not_told() -> None:
    told: list[int] = []
    lease = make()
    lease.on_lost(lambda: told.append(1))
    lease.on_lost(None)
    lease.mark_lost("gone")
    assert told == []


def test_a_stopped_agent_fails_its_check() -> None:
    lease = make()
    lease.mark_killed(Killed("orders", "runaway", "ops"), time.monotonic())
    with pytest.raises(AgentKilled, match="stopped by ops: runaway"):
        lease.check()


def test_an_agent_that_may_go_on_passes_its_check() -> None:
    lease = make()
    now = time.monotonic()
    lease.mark_killed(Killed("orders", "runaway", "ops"), now)
    lease.mark_killed(None, now + 1)
    lease.check()


def test_an_older_answer_does_not_overrule_a_newer_one() -> None:
    """A tool that renews by itself and the heartbeat may be answered in either order."""
    lease = make()
    now = time.monotonic()
    lease.mark_killed(Killed("orders", "runaway", "ops"), now + 2)
    lease.mark_killed(None, now + 1)
    with pytest.raises(AgentKilled):
        lease.check()


def test_a_heartbeat_renews_first_and_then_checks() -> None:
    lease = make(renew=lambda lease: lease.mark_lost("the store says so"))
    with pytest.raises(LeaseLost, match="the store says so"):
        lease.heartbeat()


# --- the call context -------------------------------------------------------------------------------------------


def test_a_call_shows_its_lease() -> None:
    lease = make()
    context = CallContext(lease, attempt=3)
    assert (context.idempotency_key, context.fence, context.attempt, context.agent) == ("k", 7, 3, "orders")
    assert (context.resources, context.deadline) == (("a", "b"), lease.deadline)


def test_sub_keys_are_the_same_in_every_attempt_and_differ_by_name_and_call() -> None:
    first, again, other = (CallContext(make(key=key), attempt=n) for n, key in [(1, "k"), (2, "k"), (1, "other")])
    assert first.sub_key("charge") == again.sub_key("charge")
    assert len({first.sub_key("charge"), first.sub_key("ship"), other.sub_key("charge"), "k"}) == 4


def test_identical_calls_inside_a_call_are_numbered_from_zero_and_keep_their_numbers() -> None:
    context = CallContext(make(), attempt=1)
    calls = [("a", "first"), ("a", "second"), ("b", "third"), ("a", "fourth"), ("a", "second")]
    assert [context.number(name, call) for name, call in calls] == [0, 1, 0, 2, 1]


@pytest.mark.parametrize("stop", ["lost", "killed"])
def test_the_effect_does_not_begin_without_a_lease(stop: str) -> None:
    lease = make()
    context = CallContext(lease, attempt=1)
    if stop == "lost":
        lease.mark_lost("gone")
    else:
        lease.mark_killed(Killed("orders", "", ""), time.monotonic())

    with pytest.raises(LeaseLost if stop == "lost" else AgentKilled):
        context.effect_begins()
    assert not context.effect_begun


def test_the_effect_begins_where_the_tool_says_so() -> None:
    context = CallContext(make(), attempt=1)
    assert not context.effect_begun
    context.effect_begins()
    assert context.effect_begun


def test_a_call_is_current_while_its_body_runs_and_no_longer() -> None:
    outer, inner = make(), make(key="inner")
    with running(CallContext(outer, attempt=1), outer, "c"):
        with suppress(ValueError), running(CallContext(inner, attempt=1), inner, "c"):
            found = current_call()
            assert found is not None and found.idempotency_key == "inner"
            frame = current_frame()
            assert frame is not None and frame.chain == ("me", "me")
            assert [[want.resource for want in link] for link in frame.held] == [["a", "b"], ["a", "b"]]
            raise ValueError
        found = current_call()
        assert found is not None and found.idempotency_key == "k"
    assert current_call() is None and current_frame() is None


async def test_a_task_inherits_the_call_chain_and_a_new_context_does_not() -> None:
    async def see() -> str:
        found = current_call()
        return found.idempotency_key if found else ""

    lease = make()
    with running(CallContext(lease, attempt=1), lease, "c"):
        assert await asyncio.create_task(see()) == "k"
        assert await asyncio.create_task(see(), context=contextvars.Context()) == ""
