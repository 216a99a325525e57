"""Retries inside one lease: what is run again, when, and how the program ends if it is stopped in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from clawproof_langgraph import events
from clawproof_langgraph.core.call import Terms, guarded_call
from clawproof_langgraph.core.steps import Afford, Draw, Ending, Now, Raised, Returned, Run, Sleep
from clawproof_langgraph.errors import NotApplied, Rejected
from clawproof_langgraph.model import Granted, Note, Settle, State, Withdraw
from clawproof_langgraph.policy import Effect, Retry
from tests.core.playing import ASK, DONE, LEASE, Moment, play

STEADY = Retry(jitter=False)
REPEATABLE = [Effect.READ, Effect.IDEMPOTENT, Effect.KEYED, Effect.TRANSACTIONAL]
AGAIN = Raised(TimeoutError("slow"), Ending.UNKNOWN, retryable=True)
NOTHING_HAPPENED = Raised(NotApplied("busy"), Ending.NOT_APPLIED, retryable=True)


def terms(effect: Effect = Effect.IDEMPOTENT, retry: Retry | None = STEADY) -> Terms:
    """Say how a call is retried."""
    return Terms(effect, wait=5.0, retry=retry)


@pytest.mark.parametrize("effect", REPEATABLE)
def test_a_retryable_error_is_run_again_under_the_same_lease(effect: Effect) -> None:
    played = play(guarded_call(ASK, terms(effect)), runs=[AGAIN, AGAIN, DONE])

    assert played.returned is DONE
    assert played.of(Run) == [Run(LEASE, 1), Run(LEASE, 2), Run(LEASE, 3)]
    assert played.of(Sleep) == [Sleep(0.5), Sleep(1.0)]
    assert [(end.state, end.attempt) for end in played.of(Settle)] == [(State.DONE, 3)]


@pytest.mark.parametrize(
    ("outcomes", "touched"),
    [
        ([AGAIN, NOTHING_HAPPENED], True),
        ([NOTHING_HAPPENED, NOTHING_HAPPENED], False),
        ([AGAIN, Raised(Rejected("no"), Ending.REJECTED)], True),
        ([NOTHING_HAPPENED, Raised(Rejected("no"), Ending.REJECTED)], False),
        ([AGAIN, Returned("sold out", None, Ending.REFUSED)], True),
        ([NOTHING_HAPPENED, AGAIN, NOTHING_HAPPENED], True),
        ([NOTHING_HAPPENED, DONE], True),
    ],
)
def test_it_is_told_if_any_attempt_may_have_had_its_effect(outcomes: list[Any], touched: bool) -> None:
    """A request that timed out may have been carried out, whatever the next one is told."""
    retry = Retry(max_retries=len(outcomes) - 1, jitter=False)
    (settle,) = play(guarded_call(ASK, terms(retry=retry)), runs=outcomes).of(Settle)
    assert settle.touched is touched


def test_no_attempt_of_a_read_moves_a_version() -> None:
    (settle,) = play(guarded_call(ASK, terms(Effect.READ)), runs=[AGAIN, DONE]).of(Settle)
    assert settle.touched is False


def test_a_call_stopped_after_a_harmless_attempt_moves_the_versions_for_the_one_before() -> None:
    stop = KeyboardInterrupt()
    played = play(guarded_call(ASK, terms()), runs=[AGAIN, NOTHING_HAPPENED], interrupt=((Sleep, 1), stop))
    assert [(end.touched, end.attempt) for end in played.of(Settle)] == [(True, 2)]


def test_a_pause_that_the_service_asks_for_is_kept_and_told() -> None:
    busy = replace(AGAIN, retry_after=3.0)
    played = play(guarded_call(ASK, terms()), runs=[busy, AGAIN, DONE])

    assert played.of(Sleep) == [Sleep(3.0), Sleep(1.0)]
    assert [note.data for note in played.of(Note)] == [
        {"attempt": 1, "pause": 3.0, "error": "TimeoutError", "retry_after": 3.0},
        {"attempt": 2, "pause": 1.0, "error": "TimeoutError"},
    ]


def test_a_pause_that_the_service_asks_for_ends_the_retries_if_others_would_wait_too_long_for_the_lease() -> None:
    last = replace(AGAIN, retry_after=5.1)  # half the ttl is 5
    played = play(guarded_call(ASK, terms()), runs=[last, DONE])

    assert played.kinds == ["Begin", "Run", "Settle"]
    assert played.returned is last


def test_an_empty_budget_ends_the_retries_and_the_last_error_is_the_outcome() -> None:
    played = play(guarded_call(ASK, terms()), runs=[AGAIN, AGAIN, DONE], affords=[True, False])

    assert played.returned == replace(AGAIN, unaffordable=True)
    assert len(played.of(Run)) == 2
    [end] = played.of(Settle)
    assert (end.state, end.attempt) == (State.FAILED, 2)
    assert "suspended" in end.facts["retries"]


@pytest.mark.parametrize(
    ("effect", "outcome", "retry"),
    [
        (Effect.ONCE, AGAIN, STEADY),
        (Effect.IDEMPOTENT, DONE, STEADY),
        (Effect.IDEMPOTENT, Raised(ValueError(), Ending.UNKNOWN), STEADY),
        (Effect.IDEMPOTENT, AGAIN, Retry(max_retries=0)),
        (Effect.IDEMPOTENT, AGAIN, Retry(initial_delay=6)),
        (Effect.IDEMPOTENT, AGAIN, None),
    ],
    ids=["once", "success", "not retryable", "no retries", "pause too long", "no terms"],
)
def test_what_is_not_retried_anyway_takes_nothing_out_of_the_budget(
    effect: Effect, outcome: Any, retry: Retry | None
) -> None:
    assert play(guarded_call(ASK, terms(effect, retry)), runs=[outcome]).of(Afford) == []


def test_each_retry_is_told_before_its_pause() -> None:
    played = play(guarded_call(ASK, terms()), runs=[AGAIN, DONE])

    note = played.effects[played.kinds.index("Sleep") - 1]
    assert isinstance(note, Note)
    assert (note.type, note.key, note.fence, note.resources) == (events.CALL_RETRYING, "k", 7, ("inventory/1",))
    assert note.data == {"attempt": 1, "pause": 0.5, "error": "TimeoutError"}


@pytest.mark.parametrize("effect", Effect)
def test_what_says_that_nothing_happened_is_run_again_whatever_the_effect(effect: Effect) -> None:
    played = play(guarded_call(ASK, terms(effect)), runs=[NOTHING_HAPPENED, DONE])
    assert len(played.of(Run)) == 2


def test_an_error_before_the_effect_began_may_be_run_again_even_for_once() -> None:
    early = Raised(TimeoutError(), Ending.UNKNOWN, retryable=True, effect_begun=False)
    assert len(play(guarded_call(ASK, terms(Effect.ONCE)), runs=[early, DONE]).of(Run)) == 2


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionError(), OSError()], ids=repr)
def test_a_once_tool_that_may_have_had_its_effect_is_never_run_again(error: Exception) -> None:
    outcome = Raised(error, Ending.UNKNOWN, retryable=True)
    played = play(guarded_call(ASK, terms(Effect.ONCE)), runs=[outcome])

    assert played.kinds == ["Begin", "Run", "Settle"]
    assert [end.state for end in played.of(Settle)] == [State.IN_DOUBT]


@pytest.mark.parametrize(
    "outcome",
    [
        DONE,
        Raised(ValueError(), Ending.UNKNOWN),
        Raised(TimeoutError(), Ending.CANCELLED, retryable=True),
        Raised(TimeoutError(), Ending.REJECTED, retryable=True),
        Raised(TimeoutError(), Ending.SUSPENDED, retryable=True),
        Raised(TimeoutError(), Ending.HANDED_OFF, retryable=True),
    ],
    ids=["returned", "not retryable", "cancelled", "rejected", "suspended", "handed off"],
)
def test_what_is_no_retryable_failure_is_run_once(outcome: Any) -> None:
    assert play(guarded_call(ASK, terms()), runs=[outcome]).kinds == ["Begin", "Run", "Settle"]


def test_without_terms_nothing_is_retried() -> None:
    assert len(play(guarded_call(ASK, terms(retry=None)), runs=[AGAIN]).of(Run)) == 1


@pytest.mark.parametrize("most", [0, 1, 2, 4])
def test_retries_end_and_the_last_error_is_the_outcome(most: int) -> None:
    errors = [Raised(TimeoutError(n), Ending.UNKNOWN, retryable=True) for n in range(9)]
    retry = Retry(max_retries=most, jitter=False, backoff_factor=0)
    played = play(guarded_call(ASK, terms(retry=retry)), runs=errors)

    assert played.returned is errors[most]
    assert [(end.state, end.attempt) for end in played.of(Settle)] == [(State.FAILED, most + 1)]


def test_a_retried_call_that_was_run_before_counts_only_its_own_tries() -> None:
    lease = Granted("me", 7, 10.0, "k", attempt=5)
    played = play(guarded_call(ASK, terms()), begins=[lease], runs=[AGAIN, AGAIN, AGAIN, DONE])
    assert [run.attempt for run in played.of(Run)] == [6, 7, 8]


def test_a_pause_over_half_the_ttl_ends_the_retries() -> None:
    retry = Retry(max_retries=9, initial_delay=2, backoff_factor=2, max_delay=60, jitter=False)
    played = play(guarded_call(ASK, terms(retry=retry)), runs=[AGAIN] * 9)
    assert [sleep.seconds for sleep in played.of(Sleep)] == [2.0, 4.0]  # the next would be 8 of 10


def test_no_attempt_begins_after_the_deadline() -> None:
    retry = Retry(max_retries=9, initial_delay=1, backoff_factor=0, deadline=10, jitter=False)
    played = play(guarded_call(ASK, terms(retry=retry)), runs=[AGAIN] * 9, takes=3.0)
    assert [sleep.seconds for sleep in played.of(Sleep)] == [1.0, 1.0]  # they begin at 0, 4 and 8, not at 12


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 0.375), (0.5, 0.5), (1.0, 0.625)])
def test_jitter_comes_from_the_draw(chance: float, pause: float) -> None:
    played = play(guarded_call(ASK, terms(retry=Retry())), runs=[AGAIN, DONE], chance=chance)
    assert [sleep.seconds for sleep in played.of(Sleep)] == [pytest.approx(pause)]
    assert len(played.of(Draw)) == 1


@pytest.mark.parametrize(
    ("outcome", "effect"), [(AGAIN, Effect.IDEMPOTENT), (NOTHING_HAPPENED, Effect.ONCE)], ids=["idempotent", "once"]
)
@pytest.mark.parametrize(
    ("moment", "stop"),
    [
        ((Now, 1), KeyboardInterrupt()),
        ((Draw, 0), KeyboardInterrupt()),
        ((Afford, 0), KeyboardInterrupt()),
        ((Note, 0), KeyboardInterrupt()),
        ((Note, 0), asyncio.CancelledError()),
        ((Sleep, 0), KeyboardInterrupt()),
        ((Sleep, 0), asyncio.CancelledError()),
    ],
    ids=["now", "draw", "afford", "note", "note cancelled", "pause", "pause cancelled"],
)
def test_a_call_stopped_between_two_attempts_gives_its_locks_back_and_is_not_in_doubt(
    moment: Moment, stop: BaseException, outcome: Raised, effect: Effect
) -> None:
    """It is known how the attempt ended; left to expire, it would hold its locks for a TTL and come out in doubt."""
    played = play(guarded_call(ASK, terms(effect)), runs=[outcome, DONE], interrupt=(moment, stop))

    assert played.raised is stop
    assert [(end.state, end.attempt) for end in played.of(Settle)] == [(State.FAILED, 1)]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), asyncio.CancelledError()], ids=lambda e: type(e).__name__)
def test_a_second_attempt_that_was_never_started_does_not_keep_the_locks(stop: BaseException) -> None:
    played = play(guarded_call(ASK, terms()), runs=[AGAIN, DONE], interrupt=((Run, 1), stop))

    assert played.raised is stop
    assert len(played.of(Settle, Withdraw)) == 1
