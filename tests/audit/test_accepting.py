"""Findings that do not count: comments, waivers, baselines; and what the command ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clawproof_langgraph.audit.findings import Status
from clawproof_langgraph.audit.optout import comments_in
from clawproof_langgraph.cli import main
from tests.audit.projects import GOOD, audited, changed, failed, outcome, write

SET = 'db.execute("UPDATE stock SET units = ? WHERE sku = ?", (units, sku))'
INSERT = 'db.execute("INSERT INTO stock VALUES (?, ?)", (sku, units))'
BROKEN = changed((SET, INSERT))


def check(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["check", str(folder), *arguments])


# --- comments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (INSERT, f"{INSERT}  # clawproof: ignore[CP008] rows are deduplicated each night"),
        ("def set_stock(", "def set_stock(  # clawproof: ignore[CP008] rows are deduplicated each night\n    "),
        (
            "@tool\ndef set_stock",
            "@tool  # clawproof: ignore[CP002, CP008] rows are deduplicated each night\ndef set_stock",
        ),
    ],
)
def test_a_comment_with_a_reason_accepts_a_finding(tmp_path: Path, old: str, new: str) -> None:
    report = audited(tmp_path, changed((SET, INSERT), (old, new)))

    found = outcome(report, "CP008")

    assert failed(report) == {}
    assert found.status is Status.PASSED
    assert found.line == "Writes idempotent, or made at most once: 1 writing tool (1 finding accepted)"
    assert [each.waived for each in found.findings] == ["rows are deduplicated each night"]


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        ("# clawproof: ignore[CP008]", "gives no reason, so it does not count"),
        ("# clawproof: ignore rows are deduplicated", "names no rule, so it does not count"),
    ],
)
def test_a_comment_that_lacks_something_does_not_count_and_says_so(tmp_path: Path, comment: str, told: str) -> None:
    report = audited(tmp_path, changed((SET, INSERT), (INSERT, f"{INSERT}  {comment}")))

    assert list(failed(report)) == ["CP008"]
    assert told in outcome(report, "CP008").findings[0].fix


@pytest.mark.parametrize(
    "text",
    [
        f"{INSERT}  # clawproof: ignore[CP001] about another rule",
        f'{INSERT}\n        "# clawproof: ignore[CP008] in a text"',
    ],
)
def test_a_comment_about_something_else_accepts_nothing(tmp_path: Path, text: str) -> None:
    assert list(failed(audited(tmp_path, changed((SET, INSERT), (INSERT, text))))) == ["CP008"]


def test_comments_are_read_as_python_reads_them() -> None:
    text = "x = '# clawproof: ignore[CP001] no'  #clawproof:ignore[cp002,CP003]: yes, it is so\n"

    (found,) = comments_in(text)

    assert (found.rules, found.reason, found.line) == (frozenset({"CP002", "CP003"}), "yes, it is so", 1)


def test_what_counts_is_told_where_only_some_is_accepted(tmp_path: Path) -> None:
    files = changed(
        (SET, f"{INSERT}  # clawproof: ignore[CP008] known\n        db.execute('INSERT INTO log VALUES (?)', (sku,))")
    )

    found = outcome(audited(tmp_path, files), "CP008")

    assert found.status is Status.FAILED
    assert len(found.findings) == 2
    assert "more" not in found.line


def test_what_was_not_seen_is_no_pass_where_all_that_was_found_is_accepted(tmp_path: Path) -> None:
    files = changed((SET, f"{INSERT}  # clawproof: ignore[CP008] known"))

    found = outcome(audited(tmp_path, {**files, "broken.py": "def f(:\n"}), "CP008")

    assert found.status is Status.NOT_CHECKED
    assert "broken.py" in found.line


# --- the file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "accepted"),
    [
        ("", True),
        ('tool = "set_*"', True),
        ('agent = "orders"', True),
        ('path = "*.py"', True),
        ('tool = "get_*"', False),
        ('agent = "supply"', False),
        ('path = "other/*"', False),
    ],
)
def test_the_file_accepts_what_it_names(tmp_path: Path, terms: str, accepted: bool) -> None:
    waiver = f'[alerts]\nsinks = ["log"]\n[[audit.waive]]\nrule = "CP008"\nreason = "known"\n{terms}\n'

    assert (failed(audited(tmp_path, {**BROKEN, "clawproof.toml": waiver})) == {}) is accepted


def test_excluded_files_are_not_looked_at(tmp_path: Path) -> None:
    files = {
        **GOOD,
        "old/pay.py": "def f(:\n",
        "clawproof.toml": '[alerts]\nsinks = ["log"]\n[audit]\nexclude = ["old/*"]\n',
    }

    report = audited(tmp_path, files)

    assert report.unseen == ()
    assert failed(report) == {}


# --- baselines ----------------------------------------------------------------------------------------------------


def test_known_findings_do_not_fail_and_new_ones_do(tmp_path: Path) -> None:
    project, baseline = write(tmp_path / "shop", BROKEN), tmp_path / "known.json"
    assert check(project, "--write-baseline", str(baseline)).exit_code == 0
    assert check(project).exit_code == 1
    assert check(project, "--baseline", str(baseline)).exit_code == 0

    (project / "clawproof.toml").write_text("")
    later = check(project, "--baseline", str(baseline))

    assert later.exit_code == 1
    assert "Result: 1 issue found — add deadlock alerting\n" in later.stdout


def test_a_baseline_survives_moved_lines(tmp_path: Path) -> None:
    project, baseline = write(tmp_path / "shop", BROKEN), tmp_path / "known.json"
    check(project, "--write-baseline", str(baseline))

    shop = project / "shop.py"
    shop.write_text("'''The shop.'''\n\n\n" + shop.read_text().replace(INSERT, f"pass\n        {INSERT}"))

    assert check(project, "--baseline", str(baseline)).exit_code == 0


def test_a_second_finding_like_a_known_one_is_new(tmp_path: Path) -> None:
    project, baseline = write(tmp_path / "shop", BROKEN), tmp_path / "known.json"
    check(project, "--write-baseline", str(baseline))

    shop = project / "shop.py"
    shop.write_text(shop.read_text().replace(INSERT, f"{INSERT}\n        {INSERT}"))

    assert check(project, "--baseline", str(baseline)).exit_code == 1


def test_the_configuration_may_name_the_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = write(
        tmp_path, {**BROKEN, "clawproof.toml": '[alerts]\nsinks=["log"]\n[audit]\nbaseline = "known.json"\n'}
    )
    monkeypatch.chdir(project)
    assert CliRunner().invoke(main, ["check", "--write-baseline", "known.json"]).exit_code == 0

    assert CliRunner().invoke(main, ["check"]).exit_code == 0


@pytest.mark.parametrize("content", [None, "{", '{"schema": "other"}', "[]", '{"schema": "clawproof.baseline/1"}'])
def test_a_baseline_that_cannot_be_read_is_wrong_usage(tmp_path: Path, content: str | None) -> None:
    project, baseline = write(tmp_path / "shop", GOOD), tmp_path / "known.json"
    if content is not None:
        baseline.write_text(content)

    found = check(project, "--baseline", str(baseline))

    assert found.exit_code == 2
    assert "--write-baseline" in found.stderr


# --- what the command ends with -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("threshold", "code"), [("none", 1), ("low", 1), ("medium", 1), ("high", 0), ("never", 0)])
def test_fail_on_says_from_which_severity_on_it_fails(tmp_path: Path, threshold: str, code: int) -> None:
    project = write(tmp_path, BROKEN)

    found = check(project, "--fail-on", threshold)

    assert found.exit_code == code
    assert "Severity: MEDIUM" in found.stdout


def test_the_configuration_may_say_from_when_on_it_fails(tmp_path: Path) -> None:
    terms = '[alerts]\nsinks = ["log"]\n[audit]\nfail_on = "high"\n'

    assert check(write(tmp_path, {**BROKEN, "clawproof.toml": terms})).exit_code == 0


def test_the_configuration_that_is_named_counts_and_not_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write(tmp_path / "shop", BROKEN)
    named = tmp_path / "terms" / "audit.toml"
    write(named.parent, {"audit.toml": '[alerts]\nsinks = ["log"]\n[audit]\nfail_on = "high"\n'})

    assert check(project, "--config", str(named)).exit_code == 0
    monkeypatch.setenv("CLAWPROOF_CONFIG", str(named))
    assert check(project).exit_code == 0
    assert "✓ Deadlock detection alerting configured" in check(project).stdout
    monkeypatch.setenv("CLAWPROOF_CONFIG", str(tmp_path / "none.toml"))
    assert f"There is no file {tmp_path / 'none.toml'} (from CLAWPROOF_CONFIG)" in check(project).stderr


def test_a_report_can_be_written_to_a_file(tmp_path: Path) -> None:
    project, file = write(tmp_path / "shop", BROKEN), tmp_path / "report.json"

    found = check(project, "--format", "json", "-o", str(file))

    assert found.exit_code == 1
    assert found.stdout == ""
    assert {each["rule"] for each in json.loads(file.read_text())["outcomes"]} == {f"CP{n:03}" for n in range(1, 11)}


def test_a_graph_that_could_not_be_looked_at_is_named_though_no_rule_waits_for_it(tmp_path: Path) -> None:
    graphs = {f"g{number}": f"./none{number}.py:app" for number in range(5)}
    project = write(tmp_path, {**BROKEN, "langgraph.json": json.dumps({"graphs": graphs})})

    short, verbose = check(project).stdout, check(project, "--verbose").stdout

    assert "? could not be looked at: langgraph.json: the file of the graph g1 does not exist: ./none1.py:app" in short
    assert "? and 1 more thing: --verbose names all" in short
    assert "looked at: langgraph.json: the file of the graph g0" not in short  # a rule that is not checked says so
    assert "could not be looked at:" not in verbose and "g4 does not exist" in verbose


def test_a_check_that_does_not_exist_says_which_does() -> None:
    found = CliRunner().invoke(main, ["--check", "7"])

    assert found.exit_code == 2
    assert "there is no check 7. There is check 10: Multi-Agent Coordination." in found.stderr


def test_a_rule_is_explained() -> None:
    found = CliRunner().invoke(main, ["rule", "cp008"])

    assert found.exit_code == 0
    assert found.stdout.startswith("CP008: Writes are idempotent, or made at most once.\n")
    assert all(part in found.stdout for part in ("Not so:", "But so:", "Fix:", "# clawproof: ignore[CP008]"))


def test_all_rules_are_listed() -> None:
    lines = CliRunner().invoke(main, ["rule"]).stdout.splitlines()

    assert [line.split()[0] for line in lines] == [f"CP{number:03}" for number in range(1, 11)]


def test_a_rule_that_does_not_exist_is_wrong_usage() -> None:
    found = CliRunner().invoke(main, ["rule", "CP080"])

    assert found.exit_code == 2
    assert 'There is no rule "CP080"' in found.stderr
