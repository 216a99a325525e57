"""The examples of this repository stand the check that they tell others to make."""

from __future__ import annotations

from pathlib import Path

from clawproof_langgraph.audit.findings import Status
from clawproof_langgraph.audit.run import audit
from tests.audit.projects import failed

ROOT = Path(__file__).parents[2]


def test_the_examples_are_coordinated() -> None:
    report = audit(ROOT, "examples")

    assert failed(report) == {}
    unchecked = {each.rule for each in report.outcomes if each.status is Status.NOT_CHECKED}
    assert unchecked <= {"CP007", "CP009"}  # which take the report of a stress run: CI makes one


def test_what_is_accepted_in_them_is_what_they_show_without_the_guard() -> None:
    report = audit(ROOT, "examples")

    accepted = {finding.waived for outcome in report.outcomes for finding in outcome.findings}
    assert accepted == {"so it goes without the guard"}
