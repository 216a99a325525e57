"""Each format says what the report says, and nothing that a hostile name would have it say."""

from __future__ import annotations

import json as json_
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clawproof_langgraph.audit.reports import github, json, junit, markdown, paper
from clawproof_langgraph.audit.reports.formats import FORMATS
from clawproof_langgraph.audit.reports.plain import plain
from tests.audit.reports import samples

hostile = pytest.mark.parametrize("name", samples.HOSTILE)


@hostile
@pytest.mark.parametrize("format", FORMATS)
def test_no_format_lets_a_control_character_through(tmp_path: Path, format: str, name: str) -> None:
    said = FORMATS[format](samples.hostile(tmp_path, name), None)
    assert all(sign.isprintable() or sign == "\n" for sign in said)
    said.encode("utf-8")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_tells_the_result_and_what_could_not_be_looked_at(tmp_path: Path, format: str) -> None:
    said = FORMATS[format](samples.shop(tmp_path), None)
    for fact in ("CP007", "data_enricher") if format != "text" else ("data_enricher", "not checked"):
        assert fact in said
    if format != "text":  # which tells of it with --verbose
        assert "shop/broken.py" in said


# --- JSON ---------------------------------------------------------------------------------------------------------


@hostile
def test_json_gives_names_back_as_they_were(tmp_path: Path, name: str) -> None:
    said = json_.loads(json.render(samples.hostile(tmp_path, name)))
    assert said["outcomes"][7]["findings"][0]["message"] == name
    assert said["resources"][0]["resource"] == name


def test_json_tells_all_of_a_report(tmp_path: Path) -> None:
    said = json_.loads(json.render(samples.shop(tmp_path)))
    assert said["severity"] == "high" and not said["passed"]
    assert [each["status"] for each in said["outcomes"]].count("failed") == 3
    assert said["resources"][1]["unguarded"] == ["pricing"]
    assert said["unseen"][0]["place"]["line"] == 3
    finding = said["outcomes"][7]["findings"][0]
    assert finding["places"][0] == {"file": "shop/tools.py", "line": 12, "column": 5, "end_line": 14}


# --- GitHub -------------------------------------------------------------------------------------------------------


@hostile
def test_github_is_told_nothing_but_our_commands(tmp_path: Path, name: str) -> None:
    lines = github.render(samples.hostile(tmp_path, name)).splitlines()
    assert all(re.match(r"::(error|warning|notice) [^:]*title=[^:]*::", line) for line in lines)
    assert not any("%0A" in line.replace("%250A", "") for line in lines)


def test_a_file_name_cannot_end_its_property(tmp_path: Path) -> None:
    said = github.render(samples.hostile(tmp_path, "a,line=9::x%.py"))
    assert "::error file=a%2Cline=9%3A%3Ax%25.py,line=1," in said


def test_the_gravest_finding_comes_first(tmp_path: Path) -> None:
    lines = github.render(samples.shop(tmp_path)).splitlines()
    assert [line.split(" ")[0] for line in lines[1:4]] == ["::error", "::warning", "::notice"]
    assert lines[1].startswith("::error file=shop/agents.py,line=20,col=1,title=CP002")
    assert not any("log_visit" in line for line in lines)  # it was waived


def test_a_report_without_findings_is_one_notice(tmp_path: Path) -> None:
    [line] = github.render(samples.clean(tmp_path)).splitlines()
    assert line.startswith("::notice ")


# --- JUnit --------------------------------------------------------------------------------------------------------


@hostile
def test_junit_is_xml_whatever_the_names(tmp_path: Path, name: str) -> None:
    suites = ElementTree.fromstring(junit.render(samples.hostile(tmp_path, name)))
    assert {each.tag for each in suites.iter()} <= {
        "testsuites", "testsuite", "testcase", "properties", "property", "failure", "skipped", "system-out",
        "system-err",
    }  # fmt: skip
    assert suites.find(".//failure").get("message") == plain(name)


def test_junit_has_a_case_for_each_rule(tmp_path: Path) -> None:
    suites = ElementTree.fromstring(junit.render(samples.shop(tmp_path)))
    cases = {case.get("name", "").split(" ")[0]: [each.tag for each in case] for case in suites.iter("testcase")}
    assert len(cases) == 10
    assert cases["CP008"] == ["failure"] and cases["CP007"] == ["skipped"] and cases["CP001"] == ["system-out"]
    assert (suites.get("tests"), suites.get("failures"), suites.get("skipped")) == ("10", "3", "1")


# --- Markdown -----------------------------------------------------------------------------------------------------


def outside_code(text: str) -> str:
    """Take the code out of a Markdown text: in it, nothing is markup."""
    without_blocks = re.sub(r"(?ms)^( *)(`{3,})[^\n]*\n.*?^\1\2$", "", text)
    return re.sub(r"(?<![\\`])(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", without_blocks)


@hostile
@pytest.mark.parametrize("render", [markdown.render, paper.render])
def test_markdown_takes_no_markup_from_names(tmp_path: Path, name: str, render) -> None:  # type: ignore[no-untyped-def]
    said = outside_code(render(samples.hostile(tmp_path, name)))
    assert not re.search(r"(?<!\\)[<@]", said)
    assert not re.search(r"(?<!\\)\]\(", said)
    assert "://" not in said and "www." not in said
    assert not re.search(r"(?<!\\)!\[", said)


@hostile
@pytest.mark.parametrize("render", [markdown.render, paper.render])
def test_a_name_cannot_break_a_table(tmp_path: Path, name: str, render) -> None:  # type: ignore[no-untyped-def]
    assert bars_of(render(samples.hostile(tmp_path, name))) == bars_of(render(samples.hostile(tmp_path, "name")))


def bars_of(text: str) -> list[int]:
    """Count the bars of each row of a table that end a cell."""
    rows = [
        line for line in re.sub(r"(?ms)^( *)(`{3,})[^\n]*\n.*?^\1\2$", "", text).splitlines() if line.startswith("|")
    ]
    return [len(re.findall(r"(?<!\\)\|", row)) for row in rows]


def test_a_name_in_backticks_stays_code(tmp_path: Path) -> None:
    assert markdown.escaped("say `ttl` in it") == "say `ttl` in it"
    assert markdown.escaped("a ` alone") == "a \\` alone"


def test_a_block_of_code_is_not_ended_by_what_it_holds() -> None:
    assert markdown.fenced("a\n````\nb", "python").splitlines() == ["`````python", "a", "````", "b", "`````"]
