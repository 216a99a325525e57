"""Places are told as they are seen from the root of a repository."""

from __future__ import annotations

from pathlib import Path

from clawproof_langgraph.audit.findings import Place
from clawproof_langgraph.audit.reports.seen import seen_from
from tests.audit.reports import samples


def test_places_are_seen_from_a_folder_around_the_project(tmp_path: Path) -> None:
    report = seen_from(samples.shop(tmp_path / "services" / "shop"), tmp_path)
    files = {place.file for outcome in report.outcomes for each in outcome.findings for place in each.places}
    assert files == {"services/shop/shop/tools.py", "services/shop/shop/agents.py"}
    assert report.unseen[0].place == Place("services/shop/shop/broken.py", 3, 7)
    assert report.root == tmp_path


def test_from_elsewhere_they_stay_as_they_are(tmp_path: Path) -> None:
    report = samples.shop(tmp_path / "shop")
    assert seen_from(report, tmp_path / "other") is report
    assert seen_from(report, tmp_path / "shop") is report
    assert seen_from(report, tmp_path / "shop" / "inner") is report
