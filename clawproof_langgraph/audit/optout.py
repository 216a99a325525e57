"""Findings that do not count: by a comment in the source, by the configuration file, by a baseline."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from clawproof_langgraph.audit.baseline import KNOWN, Baseline, fingerprints
from clawproof_langgraph.audit.findings import Finding, Outcome, Place, Report, Status
from clawproof_langgraph.audit.project.files import relative
from clawproof_langgraph.audit.project.model import Project, Waiver
from clawproof_langgraph.audit.reports.sources import Sources
from clawproof_langgraph.audit.rules.verdicts import failing
from clawproof_langgraph.audit.source import Module
from clawproof_langgraph.audit.words import counted
from clawproof_langgraph.config.globs import glob

_COMMENT: Final = re.compile(r"#\s*clawproof:\s*ignore\b(?:\s*\[(?P<rules>[^\]]*)\])?[\s:,-]*(?P<reason>.*)$")


@dataclass(frozen=True, slots=True)
class OptOut:
    """A comment `# clawproof: ignore[CP008] reason`.

    Args:
        rules: the ids that it names.
        reason: why; without one it does not count.
        line: where it is.
    """

    rules: frozenset[str]
    reason: str
    line: int


def waived(report: Report, project: Project, baseline: Baseline | None = None) -> Report:
    """Mark the findings of a report that do not count, and let rules pass that have no others."""
    comments = Comments(project)
    known = baseline.fingerprints if baseline is not None else frozenset()
    prints = fingerprints(report.outcomes, report.root)
    return replace(
        report, outcomes=tuple(_outcome(outcome, project, comments, prints, known) for outcome in report.outcomes)
    )


def _outcome(
    outcome: Outcome, project: Project, comments: Comments, prints: dict[int, str], known: frozenset[str]
) -> Outcome:
    found = tuple(_finding(each, project, comments, prints[id(each)] in known) for each in outcome.findings)
    counting = [each for each in found if not each.waived]
    if outcome.status is not Status.FAILED or len(counting) == len(found):
        return replace(outcome, findings=found)
    if counting:
        return replace(outcome, findings=found, line=failing(counting))
    rest = outcome.otherwise or replace(outcome, status=Status.PASSED)
    return replace(rest, line=f"{rest.line} ({counted(len(found), 'finding')} accepted)", findings=found)


def _finding(each: Finding, project: Project, comments: Comments, is_known: bool) -> Finding:
    if is_known:
        return replace(each, waived=KNOWN)
    for waiver in project.waivers:
        if _covers(waiver, each, project):
            return replace(each, waived=waiver.reason)
    for optout, place in comments.about(each):
        if optout.reason and optout.rules:
            return replace(each, waived=optout.reason)
        lacks = "names no rule" if not optout.rules else "gives no reason"
        where = f"{place.file}:{optout.line}"
        told = f"The comment in {where} {lacks}, so it does not count: # clawproof: ignore[{each.rule}] WHY."
        return replace(each, fix=f"{each.fix} {told}")
    return each


def _covers(waiver: Waiver, each: Finding, project: Project) -> bool:
    if waiver.rule != each.rule or (waiver.agent and waiver.agent != each.agent):
        return False
    if waiver.tool and not glob(waiver.tool).match(each.tool):
        return False
    files = [relative(project.root / place.file, project.folder) for place in each.places]
    return not waiver.path or any(glob(waiver.path).match(file) for file in files)


class Comments:
    """Finds the comments that are about a finding: on its line, or on the definition around it and its decorators."""

    def __init__(self, project: Project) -> None:
        self._modules = {module.file: module for module in project.tree.modules.values()}
        self._sources = Sources(project.root)
        self._read: dict[str, dict[int, OptOut]] = {}

    def about(self, each: Finding) -> Iterator[tuple[OptOut, Place]]:
        """Give the comments that name the rule of a finding, or none."""
        for place in each.places:
            comments = self._of(place.file)
            for line in self._lines(place) if comments else ():
                optout = comments.get(line)
                if optout is not None and (not optout.rules or each.rule in optout.rules):
                    yield optout, place

    def _of(self, file: str) -> dict[int, OptOut]:
        if file not in self._read:
            module = self._modules.get(file)
            text = module.text if module is not None else "\n".join(self._sources.lines(file))
            found = comments_in(text, python=module is not None) if "clawproof:" in text else ()
            self._read[file] = {optout.line: optout for optout in found}
        return self._read[file]

    def _lines(self, place: Place) -> Iterator[int]:
        yield from range(place.line, max(place.line, min(place.end_line, place.line + 20)) + 1)
        module = self._modules.get(place.file)
        for definition in _around(module, place.line) if module is not None else ():
            first = min([definition.lineno, *(each.lineno for each in definition.decorator_list)])
            # The head of a definition ends before its body.
            yield from range(first, max(definition.lineno, definition.body[0].lineno - 1) + 1)


def _around(module: Module, line: int) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for function in module.functions:
        node = function.node
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        if first <= line <= (node.end_lineno or node.lineno):
            yield node


def comments_in(text: str, *, python: bool = True) -> Iterator[OptOut]:
    """Find the comments of a text; in Python, what stands in a string is none."""
    for number, comment in _comments(text, python):
        if (match := _COMMENT.search(comment)) is not None:
            rules = frozenset(name.strip().upper() for name in (match["rules"] or "").split(",") if name.strip())
            yield OptOut(rules, match["reason"].strip(), number)


def _comments(text: str, python: bool) -> Iterator[tuple[int, str]]:
    if not python:
        yield from enumerate(text.splitlines(), start=1)
        return
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return
