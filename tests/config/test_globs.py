"""Patterns: what they fit, and which of several counts."""

from __future__ import annotations

import pytest

from clawproof_langgraph.config.globs import best, fits, glob
from clawproof_langgraph.errors import ConfigurationError


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("get_*", ["get_", "get_a/b"], ["forget_x"]),
        ("{reserve,return}_stock", ["reserve_stock", "return_stock"], ["_stock"]),
        ("{a,{b,c}d}", ["a", "bd", "cd"], ["b", "d"]),
        ("{a}", ["a"], ["{a}"]),
        ("{,x}y", ["y", "xy"], ["x"]),
        ("get_?", ["get_1"], ["get_12"]),
        ("[!a]x", ["bx"], ["ax"]),
        ("x[{]y[}]", ["x{y}"], ["xy"]),
        ("x[,{]*", ["x{1"], ["xx"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_a_pattern_fits_what_it_says(pattern: str, fitting: list[str], other: list[str]) -> None:
    assert [name for name in fitting + other if glob(pattern).match(name)] == fitting


@pytest.mark.parametrize(
    ("name", "patterns", "winners"),
    [
        ("reserve_stock", ["*", "reserve_*", "re*"], ["reserve_*"]),
        ("get_a", ["get_*", "get_?", "get_[ab]"], ["get_[ab]"]),
        ("get_a", ["get_*", "get_?"], ["get_?"]),
        ("reserve_stock", ["reserve_*", "{reserve,take}_st*"], ["{reserve,take}_st*"]),
        ("ab_ba", ["ab_*", "*_ba"], ["ab_*", "*_ba"]),
        ("x", ["y*"], []),
    ],
)
def test_the_most_specific_pattern_counts(name: str, patterns: list[str], winners: list[str]) -> None:
    assert list(best(name, patterns)) == winners
    assert set(best(name, patterns[::-1])) == set(winners)


def test_a_pattern_of_resources_may_have_the_fields_of_a_template() -> None:
    assert fits("inventory/42", ["inventory/{sku}"])
    assert fits("a/b", ["{a,c}/{id}"])
    assert not fits("pricing/42", ["inventory/{sku}"])
    assert fits("we[i]rd", ["we[i]rd"])


@pytest.mark.parametrize("pattern", ["{a", "a{b,{c}", "{a,b}" * 30])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="pattern"):
        glob(pattern)
