"""The report as Markdown: for a comment on a pull request, or the summary of a job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from clawproof_langgraph.audit.findings import Finding, Outcome, Report, Status
from clawproof_langgraph.audit.reports.plain import plain, plain_lines
from clawproof_langgraph.audit.reports.wording import counting_in, result, severity
from clawproof_langgraph.audit.rules.catalog import CHECK, TITLE, rule_of
from clawproof_langgraph.audit.source import SourceTree
from clawproof_langgraph.audit.words import counted

_MARKS: Final = {Status.PASSED: "✓", Status.FAILED: "✗ **FAIL**", Status.NOT_CHECKED: "? not checked"}
_SPECIAL: Final = re.compile(r"[\\`*\[\]|~#!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "$": "&#36;"}
_BEGINNING: Final = re.compile(r"^(\s*)([-+=]|\d+[.)])")
_ADDRESS: Final = re.compile(r"(?i)(?<=[a-z]):(?=//)|(?<=www)\.|(?<=mailto):|(?<=xmpp):")


def render(report: Report, tree: SourceTree | None = None) -> str:
    """Give the report as Markdown: a table of the rules, the findings, the map, and what could not be looked at."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from (f"## Check {CHECK} — {TITLE}", "")
    yield f"**Result:** {escaped(result(report))}  "
    yield f"**Severity:** {escaped(severity(report))}"
    yield ""
    yield from table(("Rule", "", "Finding"), [_row(outcome) for outcome in report.outcomes])
    for outcome in report.failed:
        yield from ("", f"### {outcome.rule} — {escaped(rule_of(outcome.rule).duty)}", "")
        for finding in counting_in(outcome):
            yield from finding_lines(finding)
    if waived := [each for outcome in report.outcomes for each in outcome.findings if each.waived]:
        yield from ("", "### Waived", "")
        yield from (f"- {each.rule}: {escaped(each.message)} — {escaped(each.waived)}" for each in waived)
    if report.resources:
        yield from ("", "### Resources and agents", "", *resource_table(report))
    if report.observed:
        yield from ("", "### Observed", "", *(f"- {escaped(line)}" for line in report.observed))
    if report.unseen:
        yield from ("", "### Could not be looked at", "")
        yield from (f"- {code(each.place or each.what)}: {escaped(each.why)}" for each in report.unseen)
    yield ""
    ways = ", ".join(report.ways)
    yield f"{counted(report.files, 'file')} of {code(report.target or '.')} read ({escaped(ways)})."


def _row(outcome: Outcome) -> tuple[str, str, str]:
    return outcome.rule, _MARKS[outcome.status], escaped(outcome.line)


def finding_lines(finding: Finding) -> Iterator[str]:
    """Give a finding as an item of a list, with its evidence and its fix."""
    yield f"- **{finding.severity}** ({finding.confidence}): {escaped(finding.message)}"
    if finding.places:
        yield f"  at {', '.join(code(place) for place in finding.places)}  "
    yield f"  **Fix:** {escaped(finding.fix)}"
    if finding.snippet:
        yield ""
        yield from (f"  {line}".rstrip() for line in fenced(finding.snippet, language(finding.snippet)).splitlines())
        yield ""


def resource_table(report: Report) -> Iterator[str]:
    """Give the map of resources and agents as a table."""
    rows = [
        (
            code(each.pattern, in_table=True),
            _names(each.writers),
            _names(each.readers),
            _names((*each.writing, *each.reading)),
            _names(each.unguarded),
        )
        for each in report.resources
    ]
    return table(("Resource", "Written by", "Read by", "Tools", "Without a guard"), rows)


def _names(names: Iterable[str]) -> str:
    return ", ".join(code(name, in_table=True) for name in dict.fromkeys(names)) or "-"


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Give a table, of cells that are Markdown already."""
    titles = tuple(titles)
    yield f"| {' | '.join(titles)} |"
    yield f"|{'|'.join(' --- ' for _ in titles)}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


# --- text that is no markup ---------------------------------------------------------------------------------------


def escaped(text: object) -> str:
    """Write a text so that it is read as it is: no HTML, no mention of anybody, no link, and no markup but for code.

    Messages mark code with backticks; what they hold is written as code.
    """
    parts = str(text).split("`")
    if len(parts) % 2 and all(part and "|" not in part for part in parts[1::2]):
        return "".join(code(part) if number % 2 else _escaped(part) for number, part in enumerate(parts))
    return _escaped(text)


def _escaped(text: object) -> str:
    said = _SPECIAL.sub(lambda sign: f"\\{sign[0]}", plain(text))
    said = "".join(_ENTITIES.get(sign, sign) for sign in said)
    said = _ADDRESS.sub(lambda sign: f"&#{ord(sign[0])};", said)
    return _BEGINNING.sub(lambda begin: f"{begin[1]}\\{begin[2]}" if begin[2] in "-+=" else _numbered(begin), said)


def _numbered(begin: re.Match[str]) -> str:
    return f"{begin[1]}{begin[2][:-1]}\\{begin[2][-1]}"


def code(text: object, *, in_table: bool = False) -> str:
    """Write a name as code, of which no part is markup."""
    said = plain(text)
    if in_table:
        said = said.replace("|", "\\|")  # a bar ends a cell, even inside code
    fence = "`" * (max((len(run) for run in re.findall("`+", said)), default=0) + 1)
    space = " " if len(fence) > 1 or said.startswith(" ") or not said else ""
    return f"{fence}{space}{said}{space}{fence}"


def fenced(text: str, name: str = "") -> str:
    """Write lines as a block of code, which no line of it can end."""
    lines = plain_lines(text.rstrip("\n"))
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{name}", *lines, fence])


def language(snippet: str) -> str:
    """Tell in which language a snippet is: a policy in Python, lines of the configuration file, or a command."""
    if snippet.startswith("clawproof "):
        return "sh"
    return (
        "toml"
        if re.search(r"^\s*\[|^\w+ = ", snippet, re.MULTILINE) and "(" not in snippet.split("\n")[0]
        else "python"
    )
