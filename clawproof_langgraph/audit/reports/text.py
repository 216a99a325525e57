"""The report as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.findings import Finding, Outcome, Place, Report, Status
from clawproof_langgraph.audit.reports.plain import plain
from clawproof_langgraph.audit.reports.sources import Sources
from clawproof_langgraph.audit.reports.wording import as_shown, result, severity
from clawproof_langgraph.audit.rules.catalog import CHECK, TITLE
from clawproof_langgraph.audit.words import counted

_MARKS: Final = {Status.PASSED: "✓ ", Status.FAILED: "✗ FAIL: ", Status.NOT_CHECKED: "? not checked: "}
_INDENT: Final = "      "

_TOLD: Final = 3
"""How many things that could not be looked at are named in the short text."""

_PLAIN: Final = {"✓": "+", "✗": "x", "─": "-", "—": "-", "…": "...", "→": "->"}
"""What stands for a sign that an encoding does not have."""


def render(report: Report, *, verbose: bool = False, encoding: str = "utf-8") -> str:
    """Give the report as text.

    Args:
        report: the report.
        verbose: also the evidence with excerpts of the source, the fixes, and the map of resources and agents.
        encoding: of where the text goes; signs that it lacks are written in ASCII.
    """
    lines = [*_summary(report, verbose=verbose), *(_details(report) if verbose else ())]
    shown = [plain(line.expandtabs(4)) for line in lines]  # a name or a line of source must not steer the terminal
    return encodable("\n".join(shown) + "\n", encoding)


def encodable(text: str, encoding: str) -> str:
    """Write signs that an encoding does not have in ASCII."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        for sign, plain in _PLAIN.items():
            text = text.replace(sign, plain)
        text = text.encode("ascii", "backslashreplace").decode()
    return text


def _summary(report: Report, *, verbose: bool) -> Iterator[str]:
    title = f"CHECK {CHECK} — {TITLE}"
    yield f"  {title}"
    yield f"  {'─' * len(title)}"
    for outcome in as_shown(report):
        yield f"  {_MARKS[outcome.status]}{outcome.line}"
        if verbose:
            yield from _evidence(outcome, report)
    if not verbose:
        yield from _not_looked_at(report)
    yield ""
    yield f"  Result: {result(report)}"
    yield f"  Severity: {severity(report)}"


def _not_looked_at(report: Report) -> Iterator[str]:
    """Name what could not be looked at and no rule has told of, since it failed for something else."""
    told = "\n".join(outcome.line for outcome in report.outcomes)
    left = [f"{each.place or each.what}: {each.why}" for each in report.unseen if each.why not in told]
    yield from (f"  ? could not be looked at: {line}" for line in left[:_TOLD])
    if len(left) > _TOLD:
        yield f"  ? and {counted(len(left) - _TOLD, 'more thing')}: --verbose names all"


def _evidence(outcome: Outcome, report: Report) -> Iterator[str]:
    sources = Sources(report.root)
    for finding in outcome.findings:
        yield ""
        yield f"{_INDENT}{finding.rule} {finding.severity}, {finding.confidence}: {finding.message}"
        yield from _places(finding, sources)
        if finding.waived:
            yield f"{_INDENT}does not count: {finding.waived}"
        else:
            yield f"{_INDENT}fix: {finding.fix}"
            yield from (f"{_INDENT}  | {line}" for line in finding.snippet.splitlines())
    if outcome.findings:
        yield f"{_INDENT}more: clawproof rule {outcome.rule}"
        yield ""


def _places(finding: Finding, sources: Sources) -> Iterator[str]:
    for place in finding.places:
        yield f"{_INDENT}at {place}"
    if finding.place is not None:
        yield from (f"{_INDENT}  {line}" for line in excerpt(finding.place, sources))


def excerpt(place: Place, sources: Sources, *, around: int = 1) -> Iterator[str]:
    """Give the lines of a place, and some around it, with their numbers."""
    lines = sources.lines(place.file)
    if not place.line or place.line > len(lines):
        return
    first, last = max(place.line - around, 1), min(place.line + around, len(lines))
    width = len(str(last))
    for number in range(first, last + 1):
        yield f"{'>' if number == place.line else ' '} {number:>{width}} | {lines[number - 1]}".rstrip()


def _details(report: Report) -> Iterator[str]:
    if report.resources:
        yield ""
        yield "  Resources and agents"
    for resource in report.resources:
        yield f"    {resource.pattern}"
        for word, agents, tools in (
            ("written", resource.writers, resource.writing),
            ("read", resource.readers, resource.reading),
        ):
            if tools:
                yield f"      {word} by {', '.join(agents) or 'no agent that was found'}, with {', '.join(tools)}"
    if report.observed:
        yield ""
        yield "  Observed"
    yield from (f"    {line}" for line in report.observed)
    if report.unseen:
        yield ""
        yield "  Could not be looked at"
    yield from (f"    {unseen.place or unseen.what}: {unseen.why}" for unseen in report.unseen)
    yield ""
    yield f"  {counted(report.files, 'file')} read ({', '.join(report.ways)}) in {report.root}"
