"""Finding out what became of a call in doubt: each answer, and what the program makes of it."""

from typing import Any

import pytest

from clawproof_langgraph.core.call import Terms, guarded_call
from clawproof_langgraph.core.steps import AskHuman, Finding, PassOver, Probe
from clawproof_langgraph.errors import BackendUnavailable, ConfigurationError, LeaseLost
from clawproof_langgraph.model import Asked, Granted, Held, Replay, Resolve, Settle, State, Withdraw
from clawproof_langgraph.policy import Effect

from .playing import ASK, DONE, LEASE, Played, play

DOUBTED = Granted("me", 7, 10.0, "k", 1, in_doubt=3)
PROBING = Terms(Effect.ONCE, wait=5.0, probes=True)
IN_TASK = ASK._replace(task="task-1")
HOLDING = Terms(Effect.ONCE, wait=5.0)


class Suspended(Exception):
    """What LangGraph raises until a human has answered."""


def held(*asked: int, why: str = "") -> Held:
    return Held("k", "reserve", 3, asked, why)


def probed(finding: Any, **options: Any) -> Played:
    return play(guarded_call(ASK, PROBING), begins=[DOUBTED], findings=[finding], **options)


# --- the probe --------------------------------------------------------------------------------------------------


def test_an_effect_that_the_probe_finds_is_recorded_and_the_tool_is_not_run() -> None:
    played = probed(Finding(True, b'1"paid"', "probe"))

    assert played.kinds == ["Begin", "Probe", "Settle"]
    assert played.of(Settle) == [Settle("me", 7, State.DONE, "k", b'1"paid"', attempt=1, by="probe")]
    assert played.returned == Replay("k", b'1"paid"')


def test_where_the_probe_finds_nothing_that_is_recorded_before_the_tool_runs() -> None:
    played = probed(Finding(False, by="probe"))

    assert played.kinds == ["Begin", "Probe", "Resolve", "Run", "Settle"]
    assert played.of(Resolve) == [Resolve("k", applied=False, by="probe", owner="me")]
    assert played.returned == DONE


def test_where_the_probe_cannot_tell_the_lease_is_given_back_and_the_doubt_stays() -> None:
    played = probed(Finding(None, why="no connection"))

    assert played.kinds == ["Begin", "Probe", "Withdraw"]
    assert played.returned == held(why="no connection")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), LeaseLost(("inventory/1",), "it ended")])
def test_a_probe_that_is_cut_short_gives_the_lease_back(error: BaseException) -> None:
    played = probed(error)
    assert played.kinds == ["Begin", "Probe", "Withdraw"]
    assert played.raised is error


def test_what_the_probe_found_is_raised_for_and_nothing_run_where_it_cannot_be_recorded() -> None:
    down = BackendUnavailable("memory://", "it is down")
    played = probed(Finding(True, b"1", "probe"), settles=[down])
    assert played.raised is down
    assert played.kinds == ["Begin", "Probe", "Settle", "Withdraw"]


def test_nothing_is_run_where_the_lease_has_ended_before_the_finding_was_recorded() -> None:
    played = probed(Finding(False, by="probe"), records=[ConfigurationError("it is done")])
    assert played.kinds == ["Begin", "Probe", "Resolve", "Withdraw"]
    assert isinstance(played.raised, LeaseLost)


@pytest.mark.parametrize("lease", [LEASE, Granted("me", 7, 10.0, "k", 1)])
def test_a_call_that_is_not_in_doubt_is_not_probed(lease: Granted) -> None:
    assert play(guarded_call(ASK, PROBING), begins=[lease]).of(Probe) == []


def test_a_call_in_doubt_that_may_run_again_is_not_probed_without_a_probe() -> None:
    assert play(guarded_call(ASK, HOLDING), begins=[DOUBTED]).of(Probe) == []


# --- the human --------------------------------------------------------------------------------------------------


def asked(*findings: Any, begins: list[Any]) -> Played:
    return play(guarded_call(IN_TASK, HOLDING), begins=begins, findings=findings)


def test_without_a_task_nobody_is_asked() -> None:
    assert play(guarded_call(ASK, HOLDING), begins=[held()]).returned == held()


def test_the_question_is_recorded_before_the_graph_is_suspended() -> None:
    played = asked(Suspended(), begins=[held()])

    assert played.kinds == ["Begin", "AskHuman", "Asked"]
    assert played.of(Asked) == [Asked("k", "task-1", 3)]
    assert isinstance(played.raised, Suspended)


@pytest.mark.parametrize(("applied", "then"), [(True, Replay("k", b"1", asked=(3,))), (False, LEASE)])
def test_the_answer_is_recorded_and_the_call_asks_for_its_turn_again(applied: bool, then: Any) -> None:
    played = asked(Finding(applied, b"1", "ops"), begins=[held(3), then])

    assert played.of(AskHuman) == [AskHuman(held(3), counts=True)]
    assert played.of(Resolve) == [Resolve("k", applied, b"1", "ops", fence=3)]
    assert played.returned == (then if applied else DONE)


def test_an_answer_about_an_earlier_execution_does_not_count() -> None:
    played = asked(Finding(None), Suspended(), begins=[held(2)])

    assert [step.counts for step in played.of(AskHuman)] == [False, False]
    assert played.of(Resolve) == []
    assert played.of(Asked) == [Asked("k", "task-1", 3)]


def test_an_answer_that_was_there_before_the_question_does_not_count() -> None:
    """It was given to a question of the tool's own."""
    played = asked(Finding(None), Suspended(), begins=[held()])

    assert [step.counts for step in played.of(AskHuman)] == [False, False]
    assert played.of(Asked) == [Asked("k", "task-1", 0), Asked("k", "task-1", 3)]


def test_an_answer_that_nobody_understands_is_asked_for_again() -> None:
    played = asked(Finding(None), Suspended(), begins=[held(3)])
    assert [step.counts for step in played.of(AskHuman)] == [True, False]
    assert played.of(Asked) == [Asked("k", "task-1", 3)]


def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    late = ConfigurationError("it is done")
    played = play(
        guarded_call(IN_TASK, HOLDING), begins=[held(3), Replay("k", b"2")], findings=[Finding(True)], records=[late]
    )
    assert played.returned == Replay("k", b"2")


def test_questions_that_are_moot_are_passed_over_before_the_tool_asks_its_own() -> None:
    lease = Granted("me", 7, 10.0, "k", 1, asked=(3, 0))
    played = asked(begins=[lease])
    assert played.kinds == ["Begin", "PassOver", "Run", "Settle"]
    assert played.of(PassOver) == [PassOver(2)]


def test_questions_that_were_asked_in_this_execution_are_not_passed_over() -> None:
    lease = Granted("me", 7, 10.0, "k", 1, asked=(3,))
    assert asked(Finding(False), begins=[held(3), lease]).of(PassOver) == []


def test_a_grant_is_given_back_where_passing_over_is_cut_short() -> None:
    lease = Granted("me", 7, 10.0, "k", 1, asked=(3,))
    played = play(guarded_call(IN_TASK, HOLDING), begins=[lease], interrupt=((PassOver, 0), KeyboardInterrupt()))
    assert played.of(Withdraw) == [Withdraw("me")]


def test_a_human_is_asked_where_the_probe_cannot_tell() -> None:
    terms = Terms(Effect.ONCE, wait=5.0, probes=True)
    played = play(
        guarded_call(IN_TASK, terms), begins=[DOUBTED], findings=[Finding(None, why="no connection"), Suspended()]
    )
    assert played.kinds == ["Begin", "Probe", "Withdraw", "AskHuman", "Asked"]
    assert played.of(AskHuman) == [AskHuman(held(why="no connection"), counts=False)]
