"""The budget of a tool's retries in one process."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from clawproof_langgraph.runtime.budget import CAPACITY, COST, REWARD, RetryBudget

FULL = CAPACITY // COST


def spent() -> RetryBudget:
    """Give a budget that has nothing left."""
    budget = RetryBudget("pay")
    assert all(budget.take() for _ in range(FULL))
    return budget


def test_retries_end_when_nothing_but_failures_came() -> None:
    assert spent().take() is False


def test_a_retry_that_is_not_made_takes_nothing_so_that_recovery_does_not_depend_on_how_long_the_outage_was() -> None:
    budget = spent()
    for _ in range(1000):
        budget.take()
    for _ in range(COST // REWARD):
        budget.give_back(retried=False)
    assert (budget.take(), budget.take()) == (True, False)


def test_a_retry_that_led_to_success_costs_nothing() -> None:
    """A tool that often needs one retry is flaky, not out."""
    budget = RetryBudget("pay")
    for _ in range(10 * FULL):
        assert budget.take()
        budget.give_back(retried=True)


def test_successes_never_save_up_more_than_a_full_budget() -> None:
    budget = RetryBudget("pay")
    for _ in range(1000):
        budget.give_back(retried=False)
    assert [budget.take() for _ in range(FULL + 1)].count(True) == FULL


def test_no_thread_takes_what_another_has_taken() -> None:
    budget, taken = RetryBudget("pay"), []
    start = threading.Barrier(8)

    def take() -> None:
        start.wait()
        taken.extend(budget.take() for _ in range(FULL))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count(True) == FULL


def test_the_log_tells_once_when_retries_are_suspended_and_when_they_are_resumed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "clawproof_langgraph")
    budget = spent()
    assert caplog.records == []
    for _ in range(3):
        budget.take()
    budget.give_back(retried=True)
    budget.take(), budget.take()

    assert [(record.levelname, '"pay"' in record.message) for record in caplog.records] == [
        ("WARNING", True),
        ("INFO", True),
        ("WARNING", True),
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_budget_of_its_own_and_no_lock_of_its_parents_threads() -> None:
    budget = spent()
    with budget._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if budget._lock.acquire(timeout=5) and budget._tokens == CAPACITY else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert budget.take() is False
