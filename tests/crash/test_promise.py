"""What is expected of the cells keeps the promise, and what would break it is noticed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.crash.cells import Build, Cell, Moment, Resumed, Saving
from tests.crash.expected import expected
from tests.crash.judging import fault
from tests.crash.kinds import DELEGATE, IDEMPOTENT, KEYED, ONCE, ONCE_RERUN, READ, Kind
from tests.crash.matrix import every_cell
from tests.crash.observed import Observed, Told
from tests.crash.page import PAGE, written
from tests.crash.promise import BUSINESS_KEY, SYNC_OR_KEY, breach, needed
from tests.crash.running import Outcome

PAID = Observed(effects=1, runs=1, keys=1, told=Told.RESULT, doubts=0)
UNKNOWN = Observed(effects=1, runs=1, keys=1, told=Told.UNKNOWN, doubts=1)

BREACHES = [
    (ONCE, replace(PAID, effects=2), "more than once"),
    (ONCE, replace(PAID, effects=0), "nothing happened"),
    (ONCE, replace(PAID, doubts=1), "listed as in doubt"),
    (ONCE, replace(UNKNOWN, effects=2), "more than once"),
    (ONCE, replace(UNKNOWN, doubts=0), "0 calls are listed"),
    (ONCE, replace(PAID, told="0 answers"), "0 answers"),
    (KEYED, replace(PAID, effects=2), "more than once"),
    (KEYED, UNKNOWN, "told that the outcome is unknown"),
    (IDEMPOTENT, UNKNOWN, "told that the outcome is unknown"),
    (DELEGATE, replace(UNKNOWN, effects=2), "more than once"),
    (READ, PAID, "changed something"),
]
KEPT = [
    (ONCE, PAID),
    (ONCE, UNKNOWN),
    (ONCE, replace(UNKNOWN, effects=0, runs=0)),
    (ONCE, replace(UNKNOWN, told=Told.RAISED)),
    (ONCE_RERUN, replace(PAID, effects=2)),
    (DELEGATE, UNKNOWN),
    (READ, replace(PAID, effects=0)),
]


@pytest.mark.parametrize(("kind", "seen", "words"), BREACHES)
def test_a_broken_promise_is_noticed(kind: Kind, seen: Observed, words: str) -> None:
    assert words in breach(kind, seen)


@pytest.mark.parametrize(("kind", "seen"), KEPT)
def test_a_promise_that_is_kept_is_no_breach(kind: Kind, seen: Observed) -> None:
    assert breach(kind, seen) == ""


def test_only_a_settled_call_whose_message_was_lost_needs_something_for_its_promise() -> None:
    needing = [cell for cell in every_cell() if needed(cell)]

    assert needing
    assert not [cell for cell in needing if cell.business_key]
    assert not [cell for cell in needing if cell.saving.keeps_message and cell.resumed is Resumed.GOES_ON]
    assert {needed(cell) for cell in needing if cell.resumed is Resumed.GOES_ON} == {SYNC_OR_KEY}
    assert {needed(cell) for cell in needing if cell.resumed is Resumed.ASKS_AGAIN} == {BUSINESS_KEY}


def test_a_cell_that_needs_something_is_there_with_it_too_and_clean() -> None:
    cells = set(every_cell())
    for cell in cells:
        helped = [replace(cell, business_key=True)] if needed(cell) else []
        helped += [replace(cell, saving=Saving.SYNC)] if needed(cell) == SYNC_OR_KEY else []
        for other in helped:
            assert other in cells
            assert breach(other.kind, expected(other)) == ""


def test_an_outcome_that_keeps_the_promise_but_is_not_the_expected_one_is_a_fault() -> None:
    cell = Cell(ONCE, Moment.BEFORE_BEGIN)

    assert fault(Outcome(cell, PAID)) == ""
    assert "expected" in fault(Outcome(cell, UNKNOWN))


def test_more_effects_than_promised_are_a_fault_where_nothing_is_needed() -> None:
    lost = Cell(ONCE, Moment.AFTER_SETTLE, Build.HOOKED, saving=Saving.EXIT)

    assert fault(Outcome(lost, expected(lost))) == ""
    assert expected(lost).effects == 2
    assert "expected" in fault(Outcome(replace(lost, business_key=True), expected(lost)))


def test_the_page_in_docs_says_what_is_expected_of_all_cells() -> None:
    assert PAGE.read_text() == written({cell: expected(cell) for cell in every_cell()}), (
        "run python -m tests.crash --all"
    )
