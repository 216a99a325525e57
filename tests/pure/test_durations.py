"""Durations as users write them."""

from __future__ import annotations

from typing import Any

import pytest

from clawproof_langgraph.durations import seconds
from clawproof_langgraph.errors import ConfigurationError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("30s", 30.0),
        ("500ms", 0.5),
        ("2m", 120.0),
        ("24h", 86400.0),
        ("30d", 2_592_000.0),
        ("1.5s", 1.5),
        ("0s", 0.0),
        (" 2 m ", 120.0),
        (0, 0.0),
        (1.5, 1.5),
        (10**6, 1e6),
    ],
)
def test_a_duration_is_seconds(written: str | float, meant: float) -> None:
    found = seconds(written, "ttl")
    assert found == pytest.approx(meant)
    assert type(found) is float


@pytest.mark.parametrize(
    "written",
    [
        "",
        "s",
        "30",
        "-1s",
        "1 year",
        "1s2m",
        "1,5s",
        "s30",
        "30S",
        "inf",
        "nan",
        "1e3s",
        ".5s",
        "30s x",
        "9" * 400 + "s",
    ],
    ids=lambda written: written[:9],
)
def test_a_text_that_is_no_duration_is_refused_with_an_example(written: str) -> None:
    with pytest.raises(ConfigurationError, match=r'ttl=.*"30s"'):
        seconds(written, "ttl")


@pytest.mark.parametrize(
    "written",
    [-1, -0.001, float("nan"), float("inf"), True, None, [], object(), b"1s"],
    ids=lambda value: repr(value)[:9],
)
def test_a_value_that_is_no_duration_is_refused_by_its_name(written: Any) -> None:
    with pytest.raises(ConfigurationError, match="keep_results="):
        seconds(written, "keep_results")
