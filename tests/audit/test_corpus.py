"""The analysis meets what people say of small tools as they are really written."""

from pathlib import Path

import pytest

from clawproof_langgraph.audit.source import SourceTree
from tests.audit.labels import CORPUS, labelled, score

PARTS = [CORPUS / name for name in ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_tools_that_may_not_be_repeated_are_told_from_those_that_may(part: Path) -> None:
    tree = SourceTree.read(part)
    assert not tree.unseen

    measured = score(tree)

    print(f"\n{part.name}, {len(list(labelled(tree)))} functions: {measured}")  # noqa: T201
    assert measured.precision >= 0.95
    assert measured.recall >= 0.9


def test_the_corpus_is_large_and_half_of_it_is_correct() -> None:
    expected = [each.expected for part in PARTS for each in labelled(SourceTree.read(part))]

    unsafe = sum(each.startswith("unsafe") for each in expected)

    assert len(expected) >= 60
    assert 0.3 <= unsafe / len(expected) <= 0.7
