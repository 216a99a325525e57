"""A choice of the crash matrix, in which every two values meet: what comes of each cell is what is promised of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import pytest

from tests.crash.cells import Cell, Moment, Saving
from tests.crash.judging import fault
from tests.crash.kinds import CUT_SHORT_KINDS, KINDS, ONCE, PLAIN_KINDS, Kind
from tests.crash.matrix import Matrix, chosen_cells, known_duplicates
from tests.crash.warm import WarmParent

named = pytest.mark.parametrize


@cache
def chosen() -> Matrix:
    return chosen_cells()


def of_kind(kind: Kind, cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.kind == kind]


def faults(warm: WarmParent, cells: Iterable[Cell]) -> list[str]:
    """Run cells, and tell what is wrong with their outcomes."""
    return [found for outcome in warm.run(cells) if (found := fault(outcome))]


@named("kind", KINDS, ids=lambda kind: kind.name)
def test_a_call_of_which_the_process_is_killed_comes_out_as_promised(warm: WarmParent, kind: Kind) -> None:
    assert faults(warm, of_kind(kind, chosen().killed)) == []


def test_a_call_comes_out_as_promised_when_the_user_sends_the_message_again(warm: WarmParent) -> None:
    assert faults(warm, chosen().asked_again) == []


@named("kind", CUT_SHORT_KINDS, ids=lambda kind: kind.name)
def test_a_call_of_which_the_run_is_ended_comes_out_as_promised(warm: WarmParent, kind: Kind) -> None:
    assert faults(warm, of_kind(kind, chosen().cut_short)) == []


@named("kind", PLAIN_KINDS, ids=lambda kind: kind.name)
def test_without_the_guard_the_same_crashes_make_duplicates(warm: WarmParent, kind: Kind) -> None:
    assert faults(warm, of_kind(kind, chosen().unguarded)) == []


def test_without_the_guard_a_payment_is_made_twice_where_langgraph_is_known_to_make_it_twice(warm: WarmParent) -> None:
    made = [(outcome.observed.effects if outcome.observed else None) for outcome in warm.run(known_duplicates())]

    assert made == [2] * len(known_duplicates())


def test_every_kind_is_killed_at_every_moment_and_under_every_durability() -> None:
    for kind in KINDS:
        cells = of_kind(kind, chosen().killed)
        assert {cell.saving for cell in cells} == set(Saving)
        assert {cell.moment for cell in cells} == {m for m in Moment if Cell(kind, m).exists}


def test_a_process_that_does_not_come_to_its_moment_is_a_failure(warm: WarmParent) -> None:
    [outcome] = warm.run([Cell(ONCE, Moment.BEFORE_SETTLE, guarded=False)])

    assert "never came to its moment" in fault(outcome)


def test_a_process_that_hangs_is_a_failure_and_not_taken_for_one_that_was_killed(warm: WarmParent) -> None:
    [outcome] = warm.run([Cell(ONCE, Moment.BEFORE_SETTLE, saving=Saving.LATE, guarded=False)], lifetime=4)

    assert "hung=True" in fault(outcome)
