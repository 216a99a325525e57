"""The suite itself: nothing in it may be lost without a word."""

from __future__ import annotations

from collections import Counter

from clawproof_langgraph.testing.conformance import BackendConformance


def test_no_topic_hides_a_scenario_of_another() -> None:
    names = [name for topic in BackendConformance.__mro__ for name in vars(topic) if name.startswith("test_")]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_every_scenario_says_through_which_face_it_goes() -> None:
    scenarios = [scenario for name, scenario in vars_of(BackendConformance).items() if name.startswith("test_")]
    assert len(scenarios) > 150
    for scenario in scenarios:
        assert {"store", "backend", "make_backend"} & set(scenario.__annotations__), scenario


def vars_of(suite: type) -> dict[str, object]:
    """Collect what a class and its bases define."""
    return {name: value for base in reversed(suite.__mro__) for name, value in vars(base).items()}
