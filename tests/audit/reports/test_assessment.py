"""The page for people who decide: complete, self-contained, accessible, and deaf to markup in names."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections import Counter
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from clawproof_langgraph.audit.reports import html, paper
from clawproof_langgraph.audit.reports.assessment import assess
from clawproof_langgraph.audit.reports.picture import layout_of, lines_of
from clawproof_langgraph.audit.source import SourceTree
from tests.audit.reports import samples

_VOID = {"meta", "br", "hr", "link", "img", "input"}
_MADE = datetime(2026, 3, 1, 9, 30)


class Page(HTMLParser):
    """Reads a page: its elements with their attributes, and whether they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def tags(self) -> Counter[str]:
        return Counter(name for name, _ in self.elements)


def test_the_page_tells_all_that_was_found(tmp_path: Path) -> None:
    page = Page(html.render(samples.shop(tmp_path), made=_MADE))
    for fact in (
        "3 duties are not kept, of 9 that were checked",
        "Severity: high",
        "1 March 2026",
        '"data_enricher" calls "enrich_customer"',  # the story
        "hottest resource inventory/sku-42",
        "shop/broken.py:3:7",
        "concurrency test",
        '[tools."set_price"]',
        "pricing writes price/{sku}",
    ):
        assert fact in page.words


def test_the_gravest_risk_comes_first(tmp_path: Path) -> None:
    assert [risk.rule.id for risk in assess(samples.shop(tmp_path)).risks] == ["CP002", "CP008", "CP006"]


def test_the_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    text = html.render(samples.shop(tmp_path))
    page = Page(text)
    assert not page.tags.keys() & {"script", "link", "img", "iframe", "object", "embed", "base"}
    assert not re.search(r"url\(|@import|https?:", text)
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith("#")


def test_the_page_is_accessible(tmp_path: Path) -> None:
    page = Page(html.render(samples.shop(tmp_path)))
    assert page.all("html") == [{"lang": "en"}]
    assert page.tags["main"] == page.tags["header"] == page.tags["footer"] == page.tags["nav"] == page.tags["h1"] == 1
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for section in page.all("section"):
        assert section["aria-labelledby"] in ids
    for link in page.all("a"):
        assert (link["href"] or "")[1:] in ids
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    assert page.tags["caption"] == page.tags["table"]
    [svg] = page.all("svg")
    assert svg["role"] == "img"
    assert all(name in ids for name in (svg["aria-labelledby"] or "").split())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_of_words_can_be_read(theme: str) -> None:
    style = html._file("page.css")
    themes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#\w+);", themes[0 if theme == "light" else 1]))
    for name in ("ink", "soft", "accent", "bare", "high", "medium", "low", "none"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
    for name in ("high", "medium", "low", "none", "soft"):
        assert contrast(colours["on"], colours[name]) >= 4.5, name
    for name in ("agent", "resource"):
        assert contrast(colours["ink"], colours[name]) >= 4.5, name


def contrast(one: str, other: str) -> float:
    """As WCAG 2.1 defines it."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", samples.HOSTILE)
def test_a_name_is_never_markup(tmp_path: Path, name: str) -> None:
    page, ordinary = (Page(html.render(samples.hostile(tmp_path, each))) for each in (name, "name"))
    assert page.tags.keys() <= ordinary.tags.keys() | {"code"}
    assert page.tags["script"] == 0
    assert not any(attribute.startswith("on") for _, given in page.elements for attribute in given)
    html.render(samples.hostile(tmp_path, name)).encode("utf-8")


def test_a_report_that_found_nothing_says_so_without_a_plan(tmp_path: Path) -> None:
    page = Page(html.render(samples.clean(tmp_path)))
    assert "The 10 duties of coordination that were checked are kept." in page.words
    assert "The plan" not in page.words


def test_what_was_not_checked_is_no_pass(tmp_path: Path) -> None:
    from dataclasses import replace

    from clawproof_langgraph.audit.rules.catalog import RULES

    nothing = replace(samples.clean(tmp_path), outcomes=samples.outcomes(unchecked=tuple(rule.id for rule in RULES)))
    words = Page(html.render(nothing)).words
    assert "Nothing could be checked" in words
    assert "No risk found" not in words


def test_excerpts_are_shown_where_the_files_are_given(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "tools.py").write_text("\n" * 11 + 'db.execute("INSERT <b>")\n')
    report = samples.shop(tmp_path)
    assert 'db.execute("INSERT <b>")' in Page(html.render(report, SourceTree.read(tmp_path))).words
    assert "db.execute" not in Page(html.render(report)).words


def test_the_plan_can_be_pasted(tmp_path: Path) -> None:
    for risk in assess(samples.shop(tmp_path)).risks:
        if risk.snippets.toml:
            tomllib.loads(risk.snippets.toml)
        compile(risk.snippets.python, "plan", "exec")
        assert risk.snippets.python


@pytest.mark.parametrize("name", samples.HOSTILE)
def test_the_plan_can_be_pasted_whatever_the_names(tmp_path: Path, name: str) -> None:
    from dataclasses import replace

    report = samples.hostile(tmp_path, name)
    bare = [replace(finding, snippet="") for each in report.outcomes for finding in each.findings]
    for risk in assess(replace(report, outcomes=samples.outcomes(*bare[:1], *bare[2:]))).risks:
        tomllib.loads(risk.snippets.toml)
        compile(risk.snippets.python, "plan", "exec")


# --- the picture --------------------------------------------------------------------------------------------------


def test_no_two_boxes_of_a_large_map_touch(tmp_path: Path) -> None:
    layout = layout_of(samples.crowd(tmp_path).resources)
    for side in (layout.agents, layout.resources):
        middles = sorted(side.values())
        assert all(below - above > 27 for above, below in itertools.pairwise(middles))
        assert middles[0] > 13 and middles[-1] < layout.height + 10
    assert len(layout.agents) == 30 and len(layout.resources) == 40


def test_the_order_of_the_boxes_makes_fewer_lines_cross(tmp_path: Path) -> None:
    resources = samples.crowd(tmp_path).resources
    layout, lines = layout_of(resources), lines_of(resources)
    as_found = (
        {name: rank for rank, name in enumerate(sorted(layout.agents))},
        {each.pattern: rank for rank, each in enumerate(resources)},
    )
    assert crossings(lines, layout.agents, layout.resources) < 0.75 * crossings(lines, *as_found)


def crossings(lines, left, right) -> int:  # type: ignore[no-untyped-def]
    ends = [(left[line.agent], right[line.resource]) for line in lines]
    return sum((a - c) * (b - d) < 0 for number, (a, b) in enumerate(ends) for c, d in ends[:number])


def test_a_line_without_a_guard_looks_different(tmp_path: Path) -> None:
    page = Page(html.render(samples.shop(tmp_path)))
    drawn = Counter(path["class"] for path in page.all("path") if "C" in (path["d"] or ""))
    assert drawn == {"write": 3, "write bare": 1, "read": 3}


# --- Markdown -----------------------------------------------------------------------------------------------------


def test_the_same_is_told_in_markdown(tmp_path: Path) -> None:
    said = paper.render(samples.shop(tmp_path), made=_MADE)
    for fact in ("3 duties are not kept", "HIGH: CP002", "## The plan", "```toml", "2026-03-01", "hottest resource"):
        assert fact in said


def test_the_plan_is_what_the_configuration_file_takes(tmp_path: Path) -> None:
    from dataclasses import replace

    from clawproof_langgraph import config
    from clawproof_langgraph.audit.rules.catalog import RULES

    broken = [replace(samples.INSERTS, rule=rule.id) for rule in RULES]
    for risk in assess(replace(samples.shop(tmp_path), outcomes=samples.outcomes(*broken))).risks:
        file = tmp_path / "clawproof.toml"
        file.write_text(risk.snippets.toml)
        said, problems = config.read(file)
        assert said is not None and not problems, (risk.rule.id, problems)
