"""The formats by the names that `--format` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from clawproof_langgraph.audit.findings import Report
from clawproof_langgraph.audit.reports import github, json, junit, markdown, sarif, text
from clawproof_langgraph.audit.source import SourceTree

Render = Callable[[Report, SourceTree | None], str]


def _text(report: Report, tree: SourceTree | None = None) -> str:
    return text.render(report)


FORMATS: Final[Mapping[str, Render]] = MappingProxyType(
    {
        "text": _text,
        "json": json.render,
        "sarif": sarif.render,
        "github": github.render,
        "junit": junit.render,
        "markdown": markdown.render,
    }
)
"""By the name that `--format` takes. The text for a terminal has options of its own: `reports.text.render`."""

FROM_HERE: Final = frozenset({"sarif", "github", "junit", "markdown"})
"""The formats of which the readers know the repository, and so want places as they are seen from its root."""
