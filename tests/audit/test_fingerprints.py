"""A finding is the same one tomorrow, although lines have moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from clawproof_langgraph.audit.findings import Finding, Place
from clawproof_langgraph.audit.fingerprints import fingerprints
from tests.audit.reports import samples


def prints_of(root: Path, *findings: Finding) -> list[str]:
    return list(fingerprints(replace(samples.clean(root), outcomes=samples.outcomes(*findings))).values())


def test_a_finding_keeps_its_fingerprint_when_its_line_moves(tmp_path: Path) -> None:
    moved = replace(samples.INSERTS, places=(Place("shop/tools.py", 99),))
    assert prints_of(tmp_path, samples.INSERTS) == prints_of(tmp_path, moved)


def test_findings_that_are_alike_in_one_file_are_told_apart(tmp_path: Path) -> None:
    twice = prints_of(tmp_path, samples.INSERTS, replace(samples.INSERTS, places=(Place("shop/tools.py", 40),)))
    assert len(set(twice)) == 2


def test_another_tool_is_another_finding(tmp_path: Path) -> None:
    assert prints_of(tmp_path, samples.INSERTS) != prints_of(tmp_path, replace(samples.INSERTS, tool="other"))
