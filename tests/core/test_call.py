"""The guarded call: turn, run, settle, in this order, and what the caller gets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clawproof_langgraph import events
from clawproof_langgraph.core.call import Terms, guarded_call
from clawproof_langgraph.core.steps import Ending, Now, Raised, Returned, Run, Warn
from clawproof_langgraph.errors import LeaseLost, WaitTimeout
from clawproof_langgraph.model import (
    Granted,
    Held,
    Killed,
    Mismatch,
    Note,
    Replay,
    Settle,
    SettleReply,
    State,
    Withdraw,
)
from clawproof_langgraph.policy import Effect
from tests.core.playing import ASK, BUSY, DONE, DOWN, LEASE, Moment, play

ONCE = Terms(Effect.ONCE, wait=5.0)
INTERRUPTS = [KeyboardInterrupt(), asyncio.CancelledError(), DOWN]


def settle_of(outcome: Any, effect: Effect = Effect.ONCE, **terms: Any) -> Settle:
    """Play a call whose tool ends so, and give how it was settled."""
    played = play(guarded_call(ASK, Terms(effect, 5.0, **terms)), runs=[outcome])
    (settle,) = played.of(Settle)
    assert played.returned is outcome
    return settle


def test_an_uncontended_call_is_two_commands_around_the_tool() -> None:
    played = play(guarded_call(ASK, ONCE))

    assert played.returned is DONE
    assert played.effects == [ASK, Run(LEASE, 1), Settle("me", 7, State.DONE, key="k", result=DONE.stored)]


def test_a_queued_call_runs_once_its_turn_has_come() -> None:
    played = play(guarded_call(ASK, ONCE), begins=[BUSY, LEASE])
    assert played.kinds == ["Begin", "Wait", "Begin", "Run", "Settle"]


def test_a_call_whose_turn_does_not_come_is_not_run() -> None:
    played = play(guarded_call(ASK, ONCE), begins=[BUSY, BUSY, BUSY])
    assert isinstance(played.raised, WaitTimeout)
    assert not played.of(Run)


@pytest.mark.parametrize(
    "answer",
    [Replay("k", b"1"), Replay("k", None, rejected=True), Held("k", "t"), Killed("a", "", ""), Mismatch("k", "t")],
    ids=repr,
)
def test_an_answer_takes_the_place_of_the_tool(answer: Any) -> None:
    played = play(guarded_call(ASK, ONCE), begins=[answer])
    assert (played.effects, played.returned) == ([ASK], answer)


def test_an_adopted_call_is_settled_under_its_own_key_and_counts_on() -> None:
    lease = Granted("me", 7, 10.0, "older", attempt=2)
    played = play(guarded_call(ASK, ONCE), begins=[lease])

    assert played.of(Run) == [Run(lease, 3)]
    assert [(end.key, end.attempt) for end in played.of(Settle)] == [("older", 3)]


@pytest.mark.parametrize(
    ("moment", "error"),
    [((Now, 0), KeyboardInterrupt()), *(((Run, 0), error) for error in INTERRUPTS)],
    ids=["interrupted after the grant", "interrupted", "cancelled before its thread was free", "unavailable"],
)
def test_a_tool_that_was_never_started_gives_its_turn_back(moment: Moment, error: BaseException) -> None:
    played = play(guarded_call(ASK, ONCE), interrupt=(moment, error))

    assert played.raised is error
    assert played.effects[-1] == Withdraw("me")
    assert not played.of(Settle)


# --- how it is settled ------------------------------------------------------------------------------------------


def test_a_result_that_cannot_be_stored_is_done_all_the_same() -> None:
    settle = settle_of(Returned(object(), None))
    assert (settle.state, settle.result) == (State.DONE, None)


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        (Ending.HANDED_OFF, State.DONE),
        (Ending.SUSPENDED, State.SUSPENDED),
        (Ending.NOT_APPLIED, State.FAILED),
        (Ending.REJECTED, State.REJECTED),
        (Ending.REFUSED, State.FAILED),
        (Ending.CANCELLED, State.IN_DOUBT),
        (Ending.UNKNOWN, State.IN_DOUBT),
    ],
)
def test_an_error_travels_as_data_and_settles_the_call(ending: Ending, state: State) -> None:
    settle = settle_of(Raised(OSError("down"), ending, stored=b"s"))
    assert (settle.state, settle.error, settle.result) == (state, "OSError", b"s")


@pytest.mark.parametrize(
    "error",
    [StopIteration("x"), StopAsyncIteration(), GeneratorExit(), OSError("x"), DOWN, KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
def test_no_error_of_a_tool_ends_the_program_or_is_taken_for_the_stores(error: BaseException) -> None:
    outcome = Raised(error, Ending.UNKNOWN)
    played = play(guarded_call(ASK, ONCE), runs=[outcome])

    assert played.returned is outcome
    assert played.kinds == ["Begin", "Run", "Settle"]


@pytest.mark.parametrize(
    ("outcome", "effect", "touched"),
    [
        (DONE, Effect.ONCE, True),
        (DONE, Effect.IDEMPOTENT, True),
        (DONE, Effect.READ, False),
        (Raised(OSError(), Ending.UNKNOWN), Effect.ONCE, True),
        (Raised(OSError(), Ending.UNKNOWN), Effect.READ, False),
        (Raised(OSError(), Ending.CANCELLED), Effect.KEYED, True),
        (Raised(OSError(), Ending.SUSPENDED), Effect.ONCE, True),
        (Raised(OSError(), Ending.NOT_APPLIED), Effect.ONCE, False),
        (Raised(OSError(), Ending.UNKNOWN, effect_begun=False), Effect.ONCE, False),
    ],
)
def test_it_is_told_where_the_effect_may_have_happened(outcome: Any, effect: Effect, touched: bool) -> None:
    assert settle_of(outcome, effect).touched is touched


@pytest.mark.parametrize("effect", [Effect.IDEMPOTENT, Effect.KEYED, Effect.TRANSACTIONAL])
def test_a_failure_that_may_have_changed_the_resource_moves_its_version(effect: Effect) -> None:
    """A request that timed out may have been carried out; whoever read before it has read something old."""
    settle = settle_of(Raised(TimeoutError(), Ending.UNKNOWN), effect)
    assert (settle.state, settle.touched) == (State.FAILED, True)


def test_a_success_tells_its_domain_event() -> None:
    settle = settle_of(DONE, emits="InventoryUpdated", fields={"sku": "1"})
    assert settle.emits == (("InventoryUpdated", {"sku": "1"}),)


@pytest.mark.parametrize("ending", [Ending.UNKNOWN, Ending.REFUSED, Ending.SUSPENDED, Ending.REJECTED])
def test_nothing_but_a_success_tells_a_domain_event(ending: Ending) -> None:
    assert settle_of(Raised(OSError(), ending), emits="InventoryUpdated").emits == ()


@pytest.mark.parametrize("reply", [SettleReply.LATE, SettleReply.GONE])
@pytest.mark.parametrize("outcome", [DONE, Raised(OSError(), Ending.UNKNOWN)], ids=["returned", "raised"])
def test_a_lease_that_was_lost_is_told_of_and_the_outcome_stays_known(reply: SettleReply, outcome: Any) -> None:
    ask = ASK._replace(thread="t9")
    played = play(guarded_call(ask, ONCE), runs=[outcome], settles=[reply])

    assert played.returned is outcome
    note, warning = played.effects[-2:]
    assert isinstance(note, Note)
    assert (note.type, note.agent, note.thread, note.call) == (events.LEASE_LOST, "orders", "t9", "me")
    assert (note.key, note.resources, note.fence) == ("k", ("inventory/1",), 7)
    assert isinstance(warning, Warn) and isinstance(warning.error, LeaseLost)


def test_an_interrupt_in_place_of_the_answer_of_a_tool_that_was_entered_leaves_doubt() -> None:
    """The driver had the answer in its hands: the tool has run, and must not pass for one that never did."""
    program = guarded_call(ASK, ONCE)
    step = next(program)
    while not isinstance(step, Run):
        step = program.send(LEASE if step == ASK else 0.0)
    step.begun = True

    step = program.throw(KeyboardInterrupt())
    while not isinstance(step, Settle):
        step = program.send(0.0)

    assert step.state is State.IN_DOUBT
    with pytest.raises(KeyboardInterrupt):
        program.send(SettleReply.SETTLED)
