"""What to paste, for each rule: lines of the configuration file, and the same in Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.findings import Finding, MappedResource, Report
from clawproof_langgraph.audit.reports.markdown import language
from clawproof_langgraph.audit.reports.plain import plain

_MOST: Final = 6
"""The most tools or agents that an example is written out for."""


@dataclass(frozen=True, slots=True)
class Snippets:
    """The same remedy in both languages; empty where one has no word for it."""

    toml: str = ""
    python: str = ""


def snippets_for(rule: str, findings: Sequence[Finding], report: Report) -> Snippets:
    """Write what mends the findings of a rule.

    What the rule itself has written with its findings comes first; what it has not is made from the names of the tools,
    agents and resources that it found.
    """
    written = dict.fromkeys(finding.snippet.rstrip() for finding in findings if finding.snippet)
    by_language = {kind: [each for each in written if language(each) == kind] for kind in ("toml", "python")}
    made = _MADE[rule](findings, report)
    return Snippets(
        "\n\n".join(by_language["toml"][:_MOST]) or made.toml, "\n".join(by_language["python"][:_MOST]) or made.python
    )


def _word(text: str) -> str:
    """Write a text as a string of TOML and of Python, which agree on these."""
    return json.dumps(plain(text), ensure_ascii=False)


def _locks(tool: str, report: Report) -> str:
    found = [each.pattern for each in report.resources if tool in (*each.writing, *each.reading)]
    return ", ".join(_word(pattern) for pattern in found or ["RESOURCE/{id}"])


def _of_tools(terms: Callable[[str, Report], Sequence[tuple[str, str]]]) -> Callable[..., Snippets]:
    """Make a writer of policies, one for each tool of the findings, from the terms that a tool gets."""

    def made(findings: Sequence[Finding], report: Report) -> Snippets:
        names = list(dict.fromkeys(finding.tool for finding in findings if finding.tool))[:_MOST] or ["TOOL"]
        tables = [
            "\n".join([f"[tools.{_word(name)}]", *(f"{key} = {value}" for key, value in terms(name, report))])
            for name in names
        ]
        rows = [
            f"    {_word(name)}: ToolPolicy({', '.join(f'{key}={value}' for key, value in terms(name, report))}),"
            for name in names
        ]
        return Snippets("\n\n".join(tables), "\n".join(["Guard(coordinator, tools={", *rows, "})"]))

    return made


def _behind_guards(findings: Sequence[Finding], report: Report) -> Snippets:
    agents = list(dict.fromkeys(finding.agent for finding in findings if finding.agent))[:_MOST] or ["AGENT"]
    lines = ['guard = CoordinationMiddleware.from_file("clawproof.toml")', ""]
    lines += [f"create_agent(model, tools, name={_word(name)}, middleware=[guard])" for name in agents]
    return Snippets(_of_tools(_naming)(findings, report).toml, "\n".join(lines))


def _naming(tool: str, report: Report) -> list[tuple[str, str]]:
    return [("locks", f"[{_locks(tool, report)}]")]


def _alerting(findings: Sequence[Finding], report: Report) -> Snippets:
    made = _of_tools(lambda tool, report: [*_naming(tool, report), ("expected", '"2s"')])(findings, report)
    return Snippets(f'{made.toml}\n\n[alerts]\nevents = ["deadlock.suspected"]\nsinks = ["log"]', made.python)


def _following(findings: Sequence[Finding], report: Report) -> Snippets:
    made = _of_tools(lambda tool, report: [*_naming(tool, report), ("emits", '"Changed"')])(findings, report)
    return Snippets(made.toml, f'{made.python}\n\ncoordinator.subscribe("READER", types=["Changed"])')


def _testing(findings: Sequence[Finding], report: Report) -> Snippets:
    test = 'def test_nothing_is_lost(stress):\n    stress("PACKAGE.stress:scenario", n=12, processes=3, seconds=20)'
    return Snippets("", test)


def _splitting(findings: Sequence[Finding], report: Report) -> Snippets:
    hot: MappedResource | None = next(
        (each for finding in findings for each in report.resources if each.pattern == finding.resource), None
    )
    tools = list(hot.writing if hot else ())[:_MOST] or ["TOOL"]
    name = (hot.pattern if hot else "RESOURCE").partition("/")[0]
    tables = [
        f"[tools.{_word(tool)}]\nlocks = [{_word(name + '/{id}')}]  # one for each, in place of one for all"
        for tool in tools
    ]
    rows = [f"{_word(tool)}: ToolPolicy(locks=[{_word(name + '/{id}')}])," for tool in tools]
    return Snippets("\n\n".join(tables), "\n".join(rows))


def _naming_agents(findings: Sequence[Finding], report: Report) -> Snippets:
    agents = list(dict.fromkeys(finding.agent for finding in findings if finding.agent))[:_MOST] or ["AGENT"]
    lines = [f"create_agent(model, tools, name={_word(name)}, middleware=[guard])" for name in agents]
    stop = f'coordinator.kill({_word(agents[0])}, reason="...", by="ops")  # what then works'
    return Snippets("", "\n".join([*lines, "", stop]))


_MADE: Final[Mapping[str, Callable[[Sequence[Finding], Report], Snippets]]] = {
    "CP001": _of_tools(_naming),
    "CP002": _behind_guards,
    "CP003": _of_tools(lambda tool, report: [*_naming(tool, report), ("ttl", '"30s"')]),
    "CP004": _of_tools(_naming),
    "CP005": _following,
    "CP006": _alerting,
    "CP007": _testing,
    "CP008": _of_tools(lambda tool, report: [*_naming(tool, report), ("effect", '"once"')]),
    "CP009": _splitting,
    "CP010": _naming_agents,
}
