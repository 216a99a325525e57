"""CP009: contention is measured, and nothing is hot.

A stress run kills processes that hold leases, and stops others for longer than a lease lives. Who waits for them waits
for that, and not for the work of others: as long as a ttl and a pause last, a wait in such a run tells nothing.
"""

from __future__ import annotations

from typing import Final

from clawproof_langgraph.audit.findings import Finding, Outcome, Place
from clawproof_langgraph.audit.project.model import Measured, Project
from clawproof_langgraph.audit.project.resources import uses, written
from clawproof_langgraph.audit.rules.verdicts import finding, not_checked, verdict

_ID: Final = "CP009"


def check(project: Project) -> Outcome:
    """Check that what was measured is below what counts as hot."""
    if project.unread_log:  # no report makes up for the log that was asked for
        return not_checked(_ID, project.unread_log)
    if project.measured is None:
        return not_checked(_ID, "no event log was given (--url), and no stress run has left a report")
    if not project.measured:
        return verdict(_ID, "Contention measured: no resource was wanted by two calls at once", [])
    hottest = project.measured[0]
    found = [
        _hot(each, project) for each in project.measured if _wait(each) > project.hot_wait + _disturbed(each, project)
    ]
    return verdict(_ID, f'Contention measured: hottest resource "{hottest.resource}", {_said(hottest)}', found)


def _wait(measured: Measured) -> float:
    return measured.longest if measured.p95 is None else measured.p95


def _disturbed(measured: Measured, project: Project) -> float:
    """Give the seconds of waiting that what was done to a stress run accounts for."""
    policies = [use.policy for _, use in uses(project) if use.policy is not None]
    ttl = max((policy.policy.ttl for policy in policies if written(policy)), default=30.0)
    return measured.paused + (ttl if measured.killed else 0.0)


def _said(measured: Measured) -> str:
    return f"{'longest' if measured.p95 is None else 'p95'} wait {_duration(_wait(measured))}"


def _hot(measured: Measured, project: Project) -> Finding:
    return finding(
        _ID,
        f'Resource "{measured.resource}" is hot: {_said(measured)} over {measured.calls} calls',
        Place(measured.source) if measured.source.endswith(".json") else None,
        resource=measured.resource,
        fix="Split it into smaller resources, shorten what is done under its lock, or read it shared; "
        f"[audit] hot_wait says from when on a resource is hot, now {_duration(project.hot_wait)}.",
    )


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
