"""A plain lock: taken, or refused with a reason; given back, or told of."""

from __future__ import annotations

import pytest

from clawproof_langgraph import events
from clawproof_langgraph.core.hold import give_back, take
from clawproof_langgraph.core.steps import Warn
from clawproof_langgraph.errors import AgentKilled, LeaseLost, WaitTimeout
from clawproof_langgraph.model import Granted, Killed, Note, Settle, SettleReply
from clawproof_langgraph.testing.builders import ask
from tests.core.playing import BUSY, DOWN, play

ASK = ask("me", "a", "b", ttl=10.0)
LEASE = Granted("me", 7, 10.0, "")


def test_a_lock_is_taken_with_its_lease() -> None:
    played = play(take(ASK, wait=5), begins=[LEASE])
    assert (played.steps, played.returned) == ([ASK], LEASE)


def test_a_lock_is_taken_after_a_wait() -> None:
    played = play(take(ASK, wait=5), begins=[BUSY, LEASE])
    assert (played.kinds, played.returned) == (["Begin", "Wait", "Begin"], LEASE)


def test_a_lock_that_does_not_come_is_withdrawn() -> None:
    played = play(take(ASK, wait=4), begins=[BUSY, BUSY])
    assert isinstance(played.raised, WaitTimeout)
    assert played.kinds[-1] == "Withdraw"


def test_a_stopped_agent_gets_no_lock() -> None:
    played = play(take(ASK, wait=5), begins=[Killed("orders", "runaway", "ops")])

    assert isinstance(played.raised, AgentKilled)
    assert (played.raised.agent, played.raised.reason, played.raised.by) == ("orders", "runaway", "ops")


def test_giving_back_names_owner_and_fence_and_has_no_outcome() -> None:
    played = play(give_back(ASK, LEASE))
    assert played.steps == [Settle("me", 7, None)]


def test_a_store_that_is_down_while_giving_back_only_warns() -> None:
    """The work under the lock is done; an error now would make it look undone."""
    played = play(give_back(ASK, LEASE), settles=[DOWN])

    assert played.raised is None
    assert played.steps[1:] == [Warn(DOWN)]


@pytest.mark.parametrize("reply", [SettleReply.LATE, SettleReply.GONE])
def test_a_lock_that_was_lost_before_it_was_given_back_is_told_of(reply: SettleReply) -> None:
    played = play(give_back(ASK, LEASE), settles=[reply])

    _, note, warning = played.steps
    assert note == Note(events.LEASE_LOST, "orders", call="me", resources=("a", "b"), fence=7)
    assert isinstance(warning, Warn) and isinstance(warning.error, LeaseLost)
    assert warning.error.resources == ("a", "b")


def test_an_interrupt_while_giving_back_is_not_swallowed() -> None:
    stop = KeyboardInterrupt()
    assert play(give_back(ASK, LEASE), settles=[stop]).raised is stop
