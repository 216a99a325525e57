"""The assessment as one page for people who decide: it needs no network and no script, and prints well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib import resources
from string import Template

from clawproof_langgraph.audit.findings import Finding, Report, Severity, Status
from clawproof_langgraph.audit.reports.assessment import TITLE, Assessment, Risk, assess
from clawproof_langgraph.audit.reports.markup import Child, Markup, element, joined, lines, prose
from clawproof_langgraph.audit.reports.picture import describe, picture
from clawproof_langgraph.audit.reports.plain import plain
from clawproof_langgraph.audit.reports.sources import Sources
from clawproof_langgraph.audit.reports.text import excerpt
from clawproof_langgraph.audit.reports.versions import PACKAGE, version
from clawproof_langgraph.audit.rules.catalog import rule_of
from clawproof_langgraph.audit.source import SourceTree
from clawproof_langgraph.audit.words import counted

_STATES = {
    Status.PASSED: ("✓ kept", "none"),
    Status.FAILED: ("✗ not kept", "high"),
    Status.NOT_CHECKED: ("? not checked", "unknown"),
}
_NOBODY = "-"
_MOST = 12
"""The most findings that are shown of one rule; the rest is counted."""


def render(report: Report, tree: SourceTree | None = None, *, made: datetime | None = None) -> str:
    """Give the assessment as HTML.

    Args:
        report: the report.
        tree: the files, for excerpts; without it there are none.
        made: the date that is shown.
    """
    said = assess(report, made)
    sources = Sources(report.root) if tree is not None else None
    parts = (_header(said), element("main", list(_main(said, sources)), id="main"), _footer(said))
    page = Template(_file("page.html"))
    return page.substitute(
        title=joined([f"{TITLE}: {said.name}"]),
        generator=joined([f"{PACKAGE} {version()}"]),
        style=_file("page.css"),
        body=joined(parts),
    )


def _file(name: str) -> str:
    return (resources.files(__package__) / "page" / name).read_text("utf-8")


def _header(said: Assessment) -> Markup:
    when = said.made.strftime("%d %B %Y").lstrip("0") if said.made else ""
    target = "" if said.report.target in ("", ".") else f"target {said.report.target}"
    return joined(
        [
            element("a", "Skip to the result", href="#main", class_="skip"),
            element(
                "header",
                element("p", TITLE, class_="kind"),
                element("h1", said.name),
                element("p", ", ".join(filter(None, (when, target))), class_="when"),
                _contents(said),
            ),
        ]
    )


def _contents(said: Assessment) -> Markup:
    items = [("result", "Result"), ("map", "Map"), ("risks", "Risks"), ("plan", "Plan")]
    items += [("observed", "What really happened"), ("unseen", "What was not seen"), ("about", "About")]
    if not said.risks:
        items = [item for item in items if item[0] not in ("risks", "plan")]
    links = [element("li", element("a", words, href=f"#{name}")) for name, words in items]
    return element("nav", element("ul", links), aria_label="Contents")


def _main(said: Assessment, sources: Sources | None) -> Iterator[Markup]:
    yield _verdict(said)
    yield _section("duties", "The ten duties", _duties(said))
    yield _section("map", "Who touches what", *_map(said))
    if said.risks:
        yield _section(
            "risks", "Risks, the gravest first", [_risk(risk, sources) for risk in said.risks], own_page=True
        )
        yield _section("plan", "The plan", *_plan(said), own_page=True)
    yield _section("observed", "What really happened", _observed(said))
    yield _section("unseen", "What was not seen", *_unseen(said))
    yield _section("about", "About this assessment", _about(said))


def _section(name: str, title: str, *children: Child, own_page: bool = False) -> Markup:
    head = element("h2", title, id=f"{name}-title")
    kind = "own-page" if own_page else None
    return element("section", head, *children, id=name, aria_labelledby=f"{name}-title", class_=kind)


def _verdict(said: Assessment) -> Markup:
    severity = said.report.severity
    tone = severity.value if said.risks or not said.unchecked else "unknown"
    badge = f"Severity: {severity}" if said.risks else "No risk found" if not said.unchecked else "Not all was checked"
    figures = [element("div", element("dt", words), element("dd", number)) for number, words in said.figures]
    return element(
        "div",
        element("span", badge, class_="badge"),
        element("p", said.verdict, class_="sentence"),
        element("dl", figures, class_="figures"),
        class_=f"verdict {tone}",
        id="result",
        role="region",
        aria_label="Result",
    )


def _duties(said: Assessment) -> Markup:
    rows = []
    for outcome in said.report.outcomes:
        state, tone = _STATES[outcome.status]
        rows.append((outcome.rule, element("td", state, class_=f"state {tone}"), prose(outcome.line)))
    return _table("The result of each rule", ("Rule", "State", "What was found"), rows)


def _table(caption: str, titles: tuple[str, ...], rows: Sequence[tuple[Child, ...]]) -> Markup:
    head = element("tr", [element("th", title, scope="col") for title in titles])
    body = [
        element("tr", element("th", first, scope="row"), [_cell(cell) for cell in others]) for first, *others in rows
    ]
    table = element("table", element("caption", caption), element("thead", head), element("tbody", body))
    return element("div", table, class_="scroll", tabindex="0", role="group", aria_label=caption)


def _cell(cell: Child) -> Markup:
    return cell if isinstance(cell, Markup) and cell.startswith("<td") else element("td", cell)


# --- the map ------------------------------------------------------------------------------------------------------


def _map(said: Assessment) -> Iterator[Markup]:
    if not said.report.resources:
        yield element("p", "No shared resource was found, so there is nothing to draw.")
        return
    caption = element("figcaption", describe(said.report.resources))
    yield element("figure", caption, picture(said.report.resources))
    rows: list[tuple[Child, ...]] = [
        (
            each.pattern,
            ", ".join(each.writers) or _NOBODY,
            ", ".join(each.readers) or _NOBODY,
            ", ".join(dict.fromkeys((*each.writing, *each.reading))) or _NOBODY,
            ", ".join(each.unguarded) or _NOBODY,
        )
        for each in said.report.resources
    ]
    yield element("h4", "The same as a table")
    titles = ("Resource", "Written by", "Read by", "Tools", "Without a guard")
    yield _table("Resources and agents", titles, rows)


# --- risks and the plan -------------------------------------------------------------------------------------------


def _risk(risk: Risk, sources: Sources | None) -> Markup:
    return element(
        "article",
        element("h3", _badge(risk.severity), " ", risk.rule.id, " ", risk.rule.risk.capitalize()),
        element("p", prose(risk.line)),
        element("h4", "What can happen"),
        element("p", risk.story, class_="story"),
        element("p", prose(risk.rule.why)),
        element("h4", "Evidence"),
        element("ul", [_finding(finding, sources) for finding in risk.findings[:_MOST]], class_="evidence"),
        element("p", f"… and {len(risk.findings) - _MOST} more.") if len(risk.findings) > _MOST else None,
        id=risk.rule.id,
    )


def _badge(severity: Severity) -> Markup:
    return element("span", severity.upper(), class_=f"badge {severity}")


def _finding(finding: Finding, sources: Sources | None) -> Markup:
    where = element("div", f"{finding.confidence}; at {', '.join(map(str, finding.places))}", class_="where")
    shown = "\n".join(excerpt(finding.place, sources)) if sources and finding.place else ""
    code = element("pre", element("code", lines(shown))) if shown else None
    return element("li", prose(finding.message), where if finding.places else None, code)


def _plan(said: Assessment) -> Iterator[Markup]:
    yield element("p", "One step for each risk, in the same order. Names in capitals are for you to fill in.")
    for number, risk in enumerate(said.risks, 1):
        fixes = list(dict.fromkeys(finding.fix for finding in risk.findings)) or [risk.rule.fix]
        snippets = [("clawproof.toml", risk.snippets.toml), ("Python", risk.snippets.python)]
        yield element(
            "article",
            element("h3", f"{number}. {risk.rule.remedy.capitalize()} ({risk.rule.id})"),
            element("ul", [element("li", prose(fix)) for fix in fixes[:_MOST]], class_="plain"),
            element(
                "div",
                [element("div", element("h4", name), _code(text)) for name, text in snippets if text],
                class_="pair",
            ),
        )


def _code(text: str) -> Markup:
    return element("pre", element("code", lines(text)))


# --- the rest -----------------------------------------------------------------------------------------------------


def _observed(said: Assessment) -> Markup:
    if "log" not in said.report.ways:
        return element(
            "p",
            "The log of a running system was not read, so this says nothing about what has happened: name its store "
            "with --url.",
        )
    if not said.report.observed:
        return element("p", "The log could not be read, or is empty; nothing can be said about what has happened.")
    return element("ul", [element("li", prose(line)) for line in said.report.observed], class_="plain")


def _unseen(said: Assessment) -> Iterator[Markup]:
    if not said.report.unseen and not said.unchecked:
        yield element("p", "All that belongs to the target was looked at.")
    if said.unchecked:
        yield element("p", f"{counted(len(said.unchecked), 'duty', 'duties')} could not be checked. That is no pass:")
        items = [element("li", f"{each.rule} {rule_of(each.rule).subject}: {each.line}") for each in said.unchecked]
        yield element("ul", items, class_="plain")
    if said.report.unseen:
        yield element("p", "These could not be looked at:")
        items = [element("li", f"{each.place or each.what}: {each.why}") for each in said.report.unseen]
        yield element("ul", items, class_="plain")


def _about(said: Assessment) -> Markup:
    rows: list[tuple[Child, ...]] = [(name, plain(value)) for name, value in said.facts]
    return _table("What this rests on", ("", "Value"), rows)


def _footer(said: Assessment) -> Markup:
    return element("footer", element("p", f"Made by {PACKAGE} {version()}. This page loads nothing and runs nothing."))
