"""A report with its places as they are seen from another folder: CI systems take paths from a repository's root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath

from clawproof_langgraph.audit.findings import Finding, Outcome, Place, Report, Unseen


def seen_from(report: Report, folder: Path) -> Report:
    """Give a report with its places relative to a folder around the one that was audited; from elsewhere, as it is."""
    root, around = report.root.resolve(), folder.resolve()
    if root == around or not root.is_relative_to(around):
        return report
    way = PurePath(root.relative_to(around).as_posix())

    def moved(place: Place) -> Place:
        return place if PurePath(place.file).is_absolute() else replace(place, file=(way / place.file).as_posix())

    return replace(
        report,
        root=around,
        outcomes=tuple(_outcome(outcome, moved) for outcome in report.outcomes),
        unseen=tuple(_unseen(each, moved) for each in report.unseen),
    )


def _outcome(outcome: Outcome, moved: Callable[[Place], Place]) -> Outcome:
    return replace(outcome, findings=tuple(_finding(each, moved) for each in outcome.findings))


def _finding(finding: Finding, moved: Callable[[Place], Place]) -> Finding:
    return replace(finding, places=tuple(moved(place) for place in finding.places))


def _unseen(unseen: Unseen, moved: Callable[[Place], Place]) -> Unseen:
    return replace(unseen, place=moved(unseen.place)) if unseen.place is not None else unseen
