"""Getting a turn: what the program asks, how long it waits, and that it never leaves a place or a grant behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clawproof_langgraph.core.acquire import acquire
from clawproof_langgraph.core.steps import Now, Wait
from clawproof_langgraph.errors import CallInProgress, WaitTimeout
from clawproof_langgraph.model import Begin, Held, Killed, Mismatch, Queued, Replay, Withdraw
from tests.core.playing import ASK, BUSY, DOWN, LEASE, Moment, play

ANSWERS = [Replay("k", b"1"), Held("k", "reserve"), Killed("orders", "", "ops"), Mismatch("k", "reserve")]
INTERRUPTS = [KeyboardInterrupt(), asyncio.CancelledError(), DOWN]


def test_a_grant_at_once_takes_one_step() -> None:
    played = play(acquire(ASK, wait=5))
    assert (played.steps, played.returned) == ([ASK], LEASE)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_an_answer_that_takes_the_place_of_a_lease_is_given_back_and_nothing_withdrawn(answer: Any) -> None:
    played = play(acquire(ASK, wait=5), begins=[answer])
    assert (played.steps, played.returned) == ([ASK], answer)


@pytest.mark.parametrize("answer", [LEASE, *ANSWERS], ids=lambda answer: type(answer).__name__)
def test_a_waiter_asks_again_as_the_same_owner_and_takes_the_answer(answer: Any) -> None:
    played = play(acquire(ASK, wait=9), begins=[BUSY, answer])

    assert played.returned == answer
    assert played.effects == [ASK, Wait("me", 4.0), ASK._replace(repeated=True, waited=4.0)]


def test_a_waiter_goes_on_waiting_after_a_false_alarm() -> None:
    played = play(acquire(ASK, wait=20), begins=[BUSY, BUSY, BUSY, LEASE])

    assert played.returned == LEASE
    assert [ask.waited for ask in played.of(Begin)] == [0.0, 4.0, 8.0, 12.0]
    assert played.of(Withdraw) == []


def test_a_waiter_never_waits_past_its_limit() -> None:
    played = play(acquire(ASK, wait=5), begins=[BUSY, BUSY, LEASE])
    assert [wait.seconds for wait in played.of(Wait)] == [4.0, 1.0]


def test_the_last_look_is_at_the_limit_itself() -> None:
    """A turn that comes in the last moment is taken, not thrown away."""
    played = play(acquire(ASK, wait=4), begins=[BUSY, LEASE])
    assert played.returned == LEASE


def test_a_turn_that_does_not_come_in_time_is_withdrawn_and_logged() -> None:
    played = play(acquire(ASK, wait=4), begins=[BUSY, BUSY])

    assert played.effects[-1] == Withdraw("me", "timeout", ASK)
    assert type(played.raised) is WaitTimeout
    assert (played.raised.resource, played.raised.holder, played.raised.waited) == ("inventory/1", 'agent "other"', 4.0)


def test_the_same_call_in_the_way_is_told_apart() -> None:
    played = play(acquire(ASK, wait=4), begins=[BUSY, Queued("k", 'agent "other"', 4.0, on_key=True)])

    assert played.effects[-1] == Withdraw("me", "timeout", ASK)
    assert type(played.raised) is CallInProgress


def test_what_was_in_the_way_last_decides_what_is_reported() -> None:
    played = play(acquire(ASK, wait=4), begins=[Queued("k", "x", 4.0, on_key=True), BUSY])
    assert type(played.raised) is WaitTimeout


def test_a_nested_call_does_not_wait_for_a_key_that_a_living_call_holds() -> None:
    """Keys stand outside the order of locks: two chains could wait for each other."""
    nested = ASK._replace(ancestors=("outer",))
    played = play(acquire(nested, wait=20), begins=[Queued("k", "x", 4.0, on_key=True, alive=True), LEASE])

    assert type(played.raised) is CallInProgress
    assert played.kinds == ["Begin", "Withdraw"]


@pytest.mark.parametrize(
    ("ask", "reply"),
    [
        (ASK._replace(ancestors=("outer",)), Queued("k", "x", 4.0, on_key=True)),
        (ASK._replace(ancestors=("outer",)), Queued("inventory/1", "x", 4.0, alive=True)),
        (ASK, Queued("k", "x", 4.0, on_key=True, alive=True)),
    ],
    ids=["it may be dead", "a resource", "at the top of the chain"],
)
def test_otherwise_the_same_call_is_waited_for(ask: Begin, reply: Queued) -> None:
    assert play(acquire(ask, wait=20), begins=[reply, LEASE]).returned == LEASE


def test_no_patience_means_no_wait() -> None:
    played = play(acquire(ASK, wait=0), begins=[BUSY])

    assert isinstance(played.raised, WaitTimeout)
    assert played.kinds == ["Begin", "Withdraw"]


@pytest.mark.parametrize("error", INTERRUPTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "moment",
    [(Begin, 0), (Now, 0), (Wait, 0), (Now, 1), (Begin, 1), (Begin, 2)],
    ids=["asking", "queued", "waiting", "woken", "asking again", "asking a third time"],
)
def test_whatever_interrupts_leaves_no_place_and_no_hidden_grant(moment: Moment, error: BaseException) -> None:
    played = play(acquire(ASK, wait=30), begins=[BUSY, BUSY, BUSY, LEASE], interrupt=(moment, error))

    assert played.effects[-1] == Withdraw("me")
    assert len(played.of(Withdraw)) == 1
    assert played.raised is error
