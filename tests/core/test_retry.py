"""When a failed attempt is run again, as a table."""

from __future__ import annotations

import pytest

from clawproof_langgraph.core.retry import pause_before
from clawproof_langgraph.policy import Retry

STEADY = Retry(max_retries=9, jitter=False)
LONG = 1000.0


@pytest.mark.parametrize(
    ("retry", "pauses"),
    [
        (STEADY, [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]),
        (Retry(max_retries=9, jitter=False, initial_delay=1, backoff_factor=3, max_delay=20), [1.0, 3.0, 9.0, 20.0]),
        (Retry(max_retries=9, jitter=False, backoff_factor=0), [0.5, 0.5, 0.5]),
        (Retry(max_retries=9, jitter=False, backoff_factor=1), [0.5, 0.5, 0.5]),
        (Retry(max_retries=9, jitter=False, initial_delay=0), [0.0, 0.0, 0.0]),
        (Retry(max_retries=9, jitter=False, initial_delay="2s", max_delay="1s"), [1.0, 1.0]),
    ],
    ids=["default", "own terms", "factor 0 is constant", "factor 1 is constant", "no delay", "capped from the start"],
)
def test_pauses_grow_up_to_the_longest(retry: Retry, pauses: list[float]) -> None:
    found = [pause_before(retry, tries=n, elapsed=0, ttl=LONG, chance=0) for n in range(1, len(pauses) + 1)]
    assert found == pauses


@pytest.mark.parametrize(
    ("max_retries", "tries", "again"), [(0, 1, False), (1, 1, True), (1, 2, False), (2, 2, True), (2, 3, False)]
)
def test_retries_are_counted_after_the_first_attempt(max_retries: int, tries: int, again: bool) -> None:
    retry = Retry(max_retries=max_retries, jitter=False)
    assert (pause_before(retry, tries=tries, elapsed=0, ttl=LONG, chance=0) is not None) is again


@pytest.mark.parametrize(("ttl", "again"), [(1.0, True), (0.99, False), (30.0, True)])
def test_a_pause_over_half_the_ttl_ends_the_retries(ttl: float, again: bool) -> None:
    assert (pause_before(STEADY, tries=1, elapsed=0, ttl=ttl, chance=0) is not None) is again


@pytest.mark.parametrize(("elapsed", "again"), [(0.0, True), (29.5, True), (29.6, False), (31.0, False)])
def test_no_attempt_begins_after_the_deadline(elapsed: float, again: bool) -> None:
    assert (pause_before(STEADY, tries=1, elapsed=elapsed, ttl=LONG, chance=0) is not None) is again


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 0.375), (0.25, 0.4375), (0.5, 0.5), (1.0, 0.625)])
def test_jitter_varies_a_pause_by_a_quarter(chance: float, pause: float) -> None:
    assert pause_before(Retry(), tries=1, elapsed=0, ttl=LONG, chance=chance) == pytest.approx(pause)


def test_without_jitter_chance_does_not_matter() -> None:
    found = {pause_before(STEADY, tries=2, elapsed=0, ttl=LONG, chance=chance) for chance in (0.0, 0.3, 1.0)}
    assert found == {1.0}


def test_the_bounds_hold_for_the_pause_with_its_jitter() -> None:
    """What others have to wait for is the pause as it is taken."""
    assert pause_before(Retry(), tries=1, elapsed=0, ttl=1.1, chance=0.5) == 0.5
    assert pause_before(Retry(), tries=1, elapsed=0, ttl=1.1, chance=1.0) == 0.55
    assert pause_before(Retry(), tries=1, elapsed=29.45, ttl=LONG, chance=1.0) == pytest.approx(0.55)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("ttl", "again"), [(1.0, True), (0.99, False)])
def test_chance_does_not_decide_whether_there_is_another_attempt(ttl: float, again: bool, chance: float) -> None:
    assert (pause_before(Retry(), tries=1, elapsed=0, ttl=ttl, chance=chance) is not None) is again


def test_a_late_attempt_does_not_overflow() -> None:
    assert pause_before(Retry(max_retries=5000, jitter=False), tries=4000, elapsed=0, ttl=LONG, chance=0) == 8.0


@pytest.mark.parametrize(
    ("asked", "pause"),
    [(None, 0.5), (0.0, 0.5), (0.2, 0.5), (3.0, 3.0), (12.0, 12.0), (15.0, 15.0), (15.1, None), (float("inf"), None)],
)
def test_no_attempt_is_made_sooner_than_the_service_asks_nor_after_half_the_ttl(
    asked: float | None, pause: float | None
) -> None:
    """Not `max_delay` (8 s) but the lease bounds what is kept to: an earlier attempt would be refused."""
    assert pause_before(STEADY, tries=1, elapsed=0, ttl=30.0, chance=0, asked=asked) == pause


@pytest.mark.parametrize(("elapsed", "pause"), [(20.0, 10.0), (20.1, None), (31.0, None)])
def test_a_pause_that_the_service_asks_for_does_not_lead_past_the_deadline(elapsed: float, pause: float | None) -> None:
    assert pause_before(STEADY, tries=1, elapsed=elapsed, ttl=LONG, chance=0, asked=10.0) == pause


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 4.0), (0.5, 4.5), (1.0, 5.0)])
def test_jitter_only_lengthens_a_pause_that_the_service_asks_for(chance: float, pause: float) -> None:
    assert pause_before(Retry(), tries=1, elapsed=0, ttl=LONG, chance=chance, asked=4.0) == pytest.approx(pause)


def test_jitter_does_not_lengthen_it_past_what_the_lease_allows() -> None:
    assert pause_before(Retry(), tries=1, elapsed=0, ttl=9.0, chance=1.0, asked=4.0) == 4.5
    assert pause_before(Retry(), tries=1, elapsed=0, ttl=8.0, chance=1.0, asked=4.0) == 4.0


def test_with_jitter_too_what_the_service_asks_for_is_never_cut_short_to_fit() -> None:
    assert pause_before(Retry(), tries=1, elapsed=0, ttl=7.9, chance=0.0, asked=4.0) is None
    assert pause_before(Retry(), tries=1, elapsed=27.0, ttl=LONG, chance=0.0, asked=4.0) is None
