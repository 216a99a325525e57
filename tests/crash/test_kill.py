"""How often one intended payment happens when its process is killed with SIGKILL, and what the model is told."""

import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import ToolMessage

from tests.langgraph.scripted import results

from .victims import Shop

pytestmark = pytest.mark.filterwarnings("ignore:With durability=:clawproof_langgraph.errors.ClawproofWarning")

BUILDS = ["hooked", "ready_made"]
SAVED_FIRST = ["sync", "async"]
LIFETIME = 60
"""Seconds after which a victim that has not died is a failed test."""

# One process imports LangGraph, and every victim is a fork of it.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["langchain.agents", "langgraph.checkpoint.sqlite", "clawproof_langgraph.guard"])


def after_a_crash(victim: Shop) -> tuple[Shop, list[ToolMessage]]:
    """Let a process run the shop until it dies, open the shop again here, and give the answers that the model gets."""
    process = FORKS.Process(target=victim.run)
    process.start()
    process.join(LIFETIME)
    assert process.exitcode == -signal.SIGKILL
    successor = replace(victim, dies_in="")
    return successor, results(successor.run())


def one(name: str, **args: Any) -> tuple[tuple[str, dict[str, Any]], ...]:
    return ((name, args),)


PAY_AND_LOOK = (("pay", {}), ("look", {}))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("durability", SAVED_FIRST)
def test_a_settled_payment_is_not_made_again_when_its_sibling_dies(tmp_path: Path, build: str, durability: str) -> None:
    shop, answers = after_a_crash(Shop(tmp_path, build, durability, PAY_AND_LOOK, dies_in="look"))

    assert len(shop.effects()) == 1
    assert [(answer.name, answer.status, answer.content) for answer in answers] == [
        ("pay", "success", "done"),
        ("look", "success", "looked"),
    ]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_payment_that_dies_after_its_effect_is_not_made_again_and_the_model_is_told_the_truth(
    tmp_path: Path, build: str, durability: str
) -> None:
    shop, (answer,) = after_a_crash(Shop(tmp_path, build, durability, one("pay"), dies_in="pay"))

    assert len(shop.effects()) == 1
    assert answer.status == "error"
    assert 'outcome of an earlier "pay" call' in answer.content
    assert "unknown" in answer.content and "must not be repeated" in answer.content
    assert shop.keys_in_doubt() == [shop.effects()[0][1]]
    assert shop.keys_in_doubt()[0] in answer.content


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(("name", "durability"), [("charge", "sync"), ("charge", "exit"), ("set_price", "sync")])
def test_a_call_that_may_run_again_after_a_crash_runs_under_the_same_key_whatever_the_model_calls_it(
    tmp_path: Path, build: str, name: str, durability: str
) -> None:
    shop, (answer,) = after_a_crash(Shop(tmp_path, build, durability, one(name), dies_in=name))

    (before, first), (after, second) = shop.effects()
    assert (before, after) == (name, name)
    assert first == second
    assert (answer.status, answer.content) == ("success", "done")
    assert shop.keys_in_doubt() == []


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(("name", "args", "times"), [("pay", {}, 2), ("pay_invoice", {"number": 7}, 1)])
def test_a_settled_payment_that_was_not_saved_is_made_again_under_durability_exit_without_a_business_key(
    tmp_path: Path, build: str, name: str, args: dict[str, Any], times: int
) -> None:
    # Nothing of the first run is left that could tell its call from a new one, but for a business key.
    calls = ((name, args), ("look", {}))

    shop, answers = after_a_crash(Shop(tmp_path, build, "exit", calls, dies_in="look"))

    assert len(shop.effects()) == times
    assert [answer.content for answer in answers] == ["done", "looked"]
