"""SARIF: valid against the official schema, and complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from clawproof_langgraph.audit.findings import Report
from clawproof_langgraph.audit.reports import sarif
from clawproof_langgraph.audit.run import audit
from tests.audit.projects import sample
from tests.audit.reports import samples

_SCHEMA = json.loads(Path(__file__).with_name("sarif-schema-2.1.0.json").read_text("utf-8"))


def run_of(report: Report) -> dict[str, Any]:
    log = json.loads(sarif.render(report))
    jsonschema.Draft7Validator(_SCHEMA, format_checker=jsonschema.FormatChecker()).validate(log)
    [run] = log["runs"]
    return run


def test_an_ordinary_report_is_valid_against_the_official_schema(tmp_path: Path) -> None:
    assert len(run_of(samples.shop(tmp_path))["results"]) == 4


def test_a_report_without_findings_is_valid_and_has_no_result(tmp_path: Path) -> None:
    run = run_of(samples.clean(tmp_path))
    assert run["results"] == []
    assert len(run["tool"]["driver"]["rules"]) == 10


@pytest.mark.parametrize("name", samples.HOSTILE)
def test_hostile_names_leave_it_valid(tmp_path: Path, name: str) -> None:
    run = run_of(samples.hostile(tmp_path, name))
    for result in run["results"]:
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii() and not set(uri) & set(' "<>\\^`{|}:')


def test_levels_follow_the_severity_and_the_region_the_place(tmp_path: Path) -> None:
    results = {
        result["ruleId"]: result for result in run_of(samples.shop(tmp_path))["results"] if not result["suppressions"]
    }
    assert {rule: result["level"] for rule, result in results.items()} == {
        "CP002": "error",
        "CP006": "note",
        "CP008": "warning",
    }
    place = results["CP008"]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "shop/tools.py", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 12, "startColumn": 5, "endLine": 14}
    assert [each["physicalLocation"]["region"] for each in results["CP008"]["relatedLocations"]] == [{"startLine": 3}]


def test_a_finding_without_a_place_is_shown_where_its_remedy_goes(tmp_path: Path) -> None:
    [silent] = [result for result in run_of(samples.shop(tmp_path))["results"] if result["ruleId"] == "CP006"]
    assert silent["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "clawproof.toml"


def test_a_waived_finding_is_suppressed_with_its_reason(tmp_path: Path) -> None:
    suppressed = [result for result in run_of(samples.shop(tmp_path))["results"] if result["suppressions"]]
    assert [each["suppressions"][0]["justification"] for each in suppressed] == ["a log may have a line twice"]


def test_what_was_not_looked_at_is_told_in_notifications(tmp_path: Path) -> None:
    [invocation] = run_of(samples.shop(tmp_path))["invocations"]
    told = [(note["descriptor"]["id"], note["message"]["text"]) for note in invocation["toolExecutionNotifications"]]
    assert told[0] == ("unseen", "shop/broken.py: it is no Python: invalid syntax")
    assert told[1][0] == "not-checked"


def test_a_message_keeps_its_braces_and_makes_no_placeholder_and_no_link(tmp_path: Path) -> None:
    [result] = [
        each for each in run_of(samples.hostile(tmp_path, "lock {sku} {0} [a](b)"))["results"]
        if each["ruleId"] == "CP001"
    ]  # fmt: skip
    assert "{sku}" in result["message"]["text"]
    assert "{{0}}" in result["message"]["text"]
    assert "[a](b)" not in result["message"]["text"]


def test_the_report_of_a_whole_project_is_valid(tmp_path: Path) -> None:
    run = run_of(audit(sample(tmp_path)))
    assert {result["ruleId"] for result in run["results"]} == {"CP006", "CP008"}
