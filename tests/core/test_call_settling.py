"""Settling while the store is down: a success is tried again as long as it makes sense, an error is never hidden."""

from __future__ import annotations

import asyncio
from itertools import repeat

import pytest

from clawproof_langgraph.core.call import Terms, guarded_call
from clawproof_langgraph.core.steps import Ending, Raised, Sleep, Warn
from clawproof_langgraph.errors import OutcomeUnrecorded
from clawproof_langgraph.model import Settle, SettleReply, State
from clawproof_langgraph.policy import Effect
from tests.core.playing import ASK, DONE, DOWN, Moment, play

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


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), asyncio.CancelledError()], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("moment", [(Settle, 0), (Sleep, 0)], ids=["settling", "waiting for the store"])
def test_an_interrupt_while_settling_is_not_swallowed(moment: Moment, stop: BaseException) -> None:
    played = play(guarded_call(ASK, ONCE), settles=repeat(DOWN), interrupt=(moment, stop))
    assert played.raised is stop
