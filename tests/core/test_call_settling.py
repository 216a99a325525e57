"""Settling while the store is down: a success is tried again as long as it makes sense, an error is never hidden."""

from __future__ import annotations

import asyncio
from itertools import repeat

import pytest

from clawproof_langgraph.core.call import Terms, guarded_call
from clawproof_langgraph.core.steps import Ending, Now, Raised, Sleep, Warn
from clawproof_langgraph.errors import OutcomeUnrecorded
from clawproof_langgraph.model import Note, Settle, SettleReply, State
from clawproof_langgraph.policy import Effect
from tests.core.playing import ASK, CLOSED, DONE, DOWN, Moment, play

ONCE = Terms(Effect.ONCE, wait=5.0)
BOOM = Raised(ValueError("boom"), Ending.UNKNOWN)
HANDOFF = Raised(RuntimeError("to the other agent"), Ending.HANDED_OFF, stored=b"1")


def test_a_success_is_settled_once_the_store_is_back() -> None:
    played = play(guarded_call(ASK, ONCE), settles=[DOWN, DOWN, SettleReply.SETTLED])

    assert played.returned is DONE
    assert played.kinds == ["Begin", "Run", "Settle", "Sleep", "Settle", "Sleep", "Settle"]
    assert not played.of(Warn)


def test_every_try_to_settle_is_the_same_command() -> None:
    first, *others = play(guarded_call(ASK, ONCE), settles=[DOWN, DOWN]).of(Settle)
    assert others == [first, first]


def test_a_success_that_cannot_be_recorded_within_the_ttl_is_warned_of_once_and_returned() -> None:
    played = play(guarded_call(ASK, ONCE), settles=repeat(DOWN))

    assert played.returned is DONE
    (warning,) = played.of(Warn)
    assert isinstance(warning.error, OutcomeUnrecorded)
    assert (warning.error.key, warning.error.tool, warning.error.result) == ("k", "reserve", "3 left")
    assert ASK.ttl - 1 < played.finished_at <= ASK.ttl
    assert all(0.05 <= sleep.seconds <= 1 for sleep in played.of(Sleep)), "neither in a spin nor seldom"


def test_an_error_that_unwinds_is_not_held_up_by_the_store() -> None:
    played = play(guarded_call(ASK, ONCE), runs=[BOOM], settles=repeat(DOWN))

    assert played.returned is BOOM
    assert played.kinds == ["Begin", "Run", "Settle", "Warn"]


def test_the_warning_beside_an_error_does_not_claim_that_the_tool_returned() -> None:
    (warning,) = play(guarded_call(ASK, ONCE), runs=[BOOM], settles=repeat(DOWN)).of(Warn)
    assert "returned" not in str(warning.error)


def test_a_handoff_is_a_success_and_settled_once_the_store_is_back() -> None:
    """Left alone it would be in doubt, and the agent that was handed the work could never be asked again."""
    played = play(guarded_call(ASK, ONCE), runs=[HANDOFF], settles=[DOWN, SettleReply.SETTLED])

    assert played.returned is HANDOFF
    assert [end.state for end in played.of(Settle)] == [State.DONE, State.DONE]
    assert not played.of(Warn)


def test_a_closed_coordinator_is_not_waited_for() -> None:
    played = play(guarded_call(ASK, ONCE), settles=repeat(CLOSED))

    assert played.returned is DONE
    assert played.kinds == ["Begin", "Run", "Settle", "Warn"]
    assert [type(warning.error) for warning in played.of(Warn)] == [OutcomeUnrecorded]


STOPS = pytest.mark.parametrize(
    "stop", [KeyboardInterrupt(), asyncio.CancelledError()], ids=lambda error: type(error).__name__
)
MOMENTS = pytest.mark.parametrize(
    "moment", [(Now, 1), (Settle, 0), (Now, 2), (Sleep, 0)], ids=["before", "settling", "between", "pausing"]
)


@STOPS
@MOMENTS
def test_an_interrupt_while_settling_is_not_swallowed(moment: Moment, stop: BaseException) -> None:
    played = play(guarded_call(ASK, ONCE), settles=repeat(DOWN), interrupt=(moment, stop))
    assert played.raised is stop


@STOPS
def test_an_interrupt_while_an_error_is_settled_claims_no_result(stop: BaseException) -> None:
    played = play(guarded_call(ASK, ONCE), runs=[BOOM], settles=repeat(DOWN), interrupt=((Settle, 0), stop))

    assert played.raised is stop
    assert not played.of(Warn)


@STOPS
@MOMENTS
def test_an_interrupt_while_settling_does_not_hide_that_a_success_is_not_recorded(
    moment: Moment, stop: BaseException
) -> None:
    played = play(guarded_call(ASK, ONCE), settles=repeat(DOWN), interrupt=(moment, stop))

    assert played.kinds[-1] == "Warn"
    (warning,) = played.of(Warn)
    assert isinstance(warning.error, OutcomeUnrecorded)
    assert (warning.error.key, warning.error.result) == ("k", "3 left")


@STOPS
@MOMENTS
def test_a_success_is_recorded_at_last_when_an_interrupt_cuts_the_settling_short(
    moment: Moment, stop: BaseException
) -> None:
    """A cancelled settle may have arrived, which its repetition finds; a warning would then be a false alarm."""
    last = SettleReply.SETTLED if moment[0] is Settle or moment == (Now, 1) else DOWN
    played = play(guarded_call(ASK, ONCE), settles=[last, SettleReply.SETTLED], interrupt=(moment, stop))

    assert played.raised is stop
    assert played.kinds[-1] == "Settle"
    assert not played.of(Warn, Note)


def test_a_second_interrupt_ends_the_settling_with_the_warning() -> None:
    first, second = KeyboardInterrupt(), KeyboardInterrupt()
    played = play(guarded_call(ASK, ONCE), settles=[DOWN, second], interrupt=((Sleep, 0), first))

    assert played.raised is first
    assert [type(warning.error) for warning in played.of(Warn)] == [OutcomeUnrecorded]
