"""CP007: a concurrency test with ten or more agents exists, and its last run passed."""

from __future__ import annotations

from typing import Final

from clawproof_langgraph.audit.findings import Finding, Outcome, Place, Severity
from clawproof_langgraph.audit.project.model import Project
from clawproof_langgraph.audit.rules.verdicts import finding, not_checked, verdict
from clawproof_langgraph.audit.words import counted

_ID: Final = "CP007"
_LINE: Final = "Concurrent access is not tested"
ENOUGH: Final = 10
"""Agents that a concurrency test must have."""


def check(project: Project) -> Outcome:
    """Check the last report of a stress run, and that there is a test to run again."""
    run = project.stress_run
    if run is None:
        return _without_report(project)
    place = Place(run.file)
    found: list[Finding] = []
    if not run.ok:
        broken = run.findings[0] if run.findings else "it did not pass"
        message = f"The last concurrency test broke: {' '.join(broken.split())[:120]}"
        found.append(finding(_ID, message, place, severity=Severity.HIGH, fix="Mend what it found, and run it again."))
    if run.agents < ENOUGH:
        message = f"The last concurrency test had {counted(run.agents, 'agent')} only, not {ENOUGH} or more"
        found.append(finding(_ID, message, place, fix=f"Run it with --agents {ENOUGH} or more."))
    line = f"Concurrent access tested: {run.agents} agents, {run.seconds:.0f} s, {len(run.findings)} violations"
    return verdict(_ID, line, found)


def _without_report(project: Project) -> Outcome:
    enough = [test for test in project.stress_tests if test.agents is None or test.agents >= ENOUGH]
    if enough:
        return not_checked(_ID, f"the test at {enough[0].place} has left no report: run it first")
    if not project.whole:
        return not_checked(_ID, "no report of a stress run was found, and the tests were not read")
    if project.stress_tests:
        few = project.stress_tests[0]
        message = f"The concurrency test plays {counted(few.agents or 0, 'agent')} only, not {ENOUGH} or more"
        return verdict(_ID, _LINE, [finding(_ID, message, few.place, fix=f"Play {ENOUGH} agents or more.")])
    snippet = "clawproof stress shop.stress:scenario --agents 12 --seconds 20"
    return verdict(_ID, _LINE, [finding(_ID, "No concurrency test with ten or more agents was found", snippet=snippet)])
