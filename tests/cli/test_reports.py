"""`clawproof --assess`, the formats, `--import` and `--url`, as a user gives them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from clawproof_langgraph import Coordinator
from clawproof_langgraph.cli import main
from tests.audit.projects import sample


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in the sample project."""
    folder = sample(tmp_path)
    monkeypatch.chdir(folder)
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_an_assessment_has_a_name_of_its_own(project: Path) -> None:
    result = run("--assess")
    page = (project / "clawproof-assessment.html").read_text("utf-8")
    assert "clawproof-assessment.html" in result.output
    assert page.startswith("<!DOCTYPE html>") and "data_enricher" in page
    assert result.exit_code == 1  # as the check of the same project


def test_an_assessment_as_markdown(project: Path) -> None:
    run("--assess", ".", "-o", "report.md")
    said = (project / "report.md").read_text("utf-8")
    assert said.startswith("# Coordination assessment: shop-project")
    assert "## The plan" in said


def test_an_assessment_says_that_a_log_could_not_be_read(project: Path) -> None:
    run("--assess", "--url", "sqlite:///none.db", "-o", "report.md")
    said = (project / "report.md").read_text("utf-8")
    assert "The log could not be read, or is empty" in said
    assert "there is no file" in said
    assert not (project / "none.db").exists()


@pytest.mark.parametrize("format", ["json", "sarif", "github", "junit", "markdown"])
def test_a_format_goes_to_a_file_or_to_the_output(project: Path, format: str) -> None:
    shown = run("--check", "10", "--format", format)
    run("--check", "10", "--format", format, "-o", "report")
    written = (project / "report").read_text("utf-8")
    assert shown.stdout == written
    assert shown.exit_code == 1
    match format:
        case "json" | "sarif":
            json.loads(written)
        case "junit":
            ElementTree.fromstring(written)
        case _:
            assert "data_enricher" in written


def test_a_report_in_a_folder_that_is_not_there_is_refused_in_a_sentence(project: Path) -> None:
    result = run("--assess", "-o", "none/report.html")
    assert result.exit_code == 1
    assert "none/report.html" in result.output and "Traceback" not in result.output


def test_the_log_is_read_where_a_store_is_named(project: Path) -> None:
    with Coordinator.from_url("sqlite:///state.db") as coordinator, coordinator.lock("inventory/7", agent="script"):
        pass
    said = json.loads(run("--check", "10", "--url", "sqlite:///state.db", "--format", "json").stdout)
    assert said["ways"] == ["static", "log"]
    assert any("inventory/7" in line for line in said["observed"])


def test_graphs_are_imported_only_where_that_is_asked_for(project: Path) -> None:
    (project / "shop" / "team.py").write_text("open('trace', 'w').close()\nraise RuntimeError('no team today')\n")
    run("--check", "10")
    assert not (project / "trace").exists()
    said = json.loads(run("--check", "10", "--import", "--format", "json").stdout)
    assert (project / "trace").exists()
    assert said["ways"] == ["static", "import"]
    assert any("no team today" in each["why"] for each in said["unseen"])


def test_paths_are_those_of_the_folder_in_which_the_command_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.parent)
    said = run("--check", "10", project.name, "--format", "github").stdout
    assert "file=shop-project/shop/tools/customers.py," in said


def test_an_assessment_goes_by_the_format_that_is_asked_for(project: Path) -> None:
    run("--assess", "--format", "markdown")
    assert (project / "clawproof-assessment.md").read_text("utf-8").startswith("# Coordination assessment")
    assert "no sarif" in run("--assess", "--format", "sarif").output
