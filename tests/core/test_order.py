"""The global order: what a nested request may ask for while its chain holds something."""

from __future__ import annotations

import pytest

from clawproof_langgraph.core.order import check_order
from clawproof_langgraph.errors import LockOrderError
from clawproof_langgraph.model import Mode, Want

X, S = Mode.EXCLUSIVE, Mode.SHARED


def chain(text: str) -> list[list[Want]]:
    """Read what each call of a chain holds, the outermost first and apart by bars."""
    return [[want(name) for name in call.split()] for call in reversed(text.split("|"))]


def want(text: str) -> Want:
    """Read `b` as exclusive and `b?` as shared."""
    return Want(text.rstrip("?"), S if text.endswith("?") else X)


@pytest.mark.parametrize(
    ("wants", "held"),
    [
        ("", ""),
        ("a", ""),
        ("", "b"),
        ("c", "b"),
        ("c d", "a b"),
        ("b", "b"),
        ("a", "a b"),
        ("a c", "a b"),
        ("b?", "b"),
        ("b?", "b?"),
        ("a?", "a? b"),
        ("b?", "b | b?"),
        ("c", "a | b"),
        ("a", "a b | a"),
        ("b", "a b | a"),
        ("a", "c | a"),
        ("Z\u00e9", "Z"),
    ],
)
def test_what_sorts_after_everything_held_or_is_held_already_may_be_nested(wants: str, held: str) -> None:
    check_order([want(text) for text in wants.split()], chain(held))


@pytest.mark.parametrize(
    ("wants", "held", "wanted", "in_the_way"),
    [
        ("a", "b", "a", "b"),
        ("a", "b?", "a", "b"),
        ("a?", "b?", "a", "b"),
        ("b", "a c", "b", "c"),
        ("c a", "b", "a", "b"),
        ("B", "a", "B", "a"),
        ("inventory/10", "inventory/9", "inventory/10", "inventory/9"),
        ("a", "b | c", "a", "c"),
        ("a", "a b | b", "a", "b"),
        ("b", "a b c | a | c", "b", "c"),
    ],
)
def test_what_sorts_before_something_held_is_refused(wants: str, held: str, wanted: str, in_the_way: str) -> None:
    with pytest.raises(LockOrderError, match="must sort after") as refused:
        check_order([want(text) for text in wants.split()], chain(held))
    assert (refused.value.wanted, refused.value.held) == (wanted, in_the_way)


@pytest.mark.parametrize("held", ["b?", "a b?", "b? c", "b? | b?", "b | b?"])
def test_a_shared_lock_does_not_become_exclusive(held: str) -> None:
    with pytest.raises(LockOrderError, match="cannot become exclusive") as refused:
        check_order([want("b")], chain(held))
    assert refused.value.wanted == "b"
