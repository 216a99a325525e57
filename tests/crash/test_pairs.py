"""The choice of rows in which every two values meet."""

from __future__ import annotations

from itertools import product

from tests.crash.pairs import pairs_of, pairwise

AXES = [("a", "b", "c", "d"), ("a", "b", "c"), (1, 2, 3), (True, False)]
ROWS = [row for row in product(*AXES) if row[:2] != ("a", "b")]


def pairs(rows: list[tuple[object, ...]]) -> set[object]:
    return {pair for row in rows for pair in pairs_of(row)}


def test_every_pair_that_occurs_in_any_row_occurs_in_the_choice() -> None:
    assert pairs(pairwise(ROWS, tuple)) == pairs(ROWS)


def test_a_pair_is_one_of_two_axes_so_that_equal_values_of_others_do_not_stand_for_it() -> None:
    assert len(pairs_of(("a", "a", "a"))) == 3


def test_the_choice_is_small_and_always_the_same() -> None:
    chosen = pairwise(ROWS, tuple)

    assert len(chosen) < 20 < len(ROWS)
    assert chosen == pairwise(iter(ROWS), tuple)
    assert len(set(chosen)) == len(chosen)


def test_of_one_axis_nothing_is_chosen_since_there_are_no_pairs() -> None:
    assert pairwise([(1,), (2,)], tuple) == []
