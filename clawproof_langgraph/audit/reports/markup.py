"""HTML and SVG, built so that text is escaped unless it says that it is markup."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final

from clawproof_langgraph.audit.reports.plain import plain

_VOID: Final = frozenset({"br", "hr", "meta"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | float | Iterable["Child"] | None


def element(name: str, *children: Child, **attributes: str | float | None) -> Markup:
    """Make an element.

    Args:
        name: its name.
        children: what is in it, in order; a `Markup` as it is, any other text escaped, nothing for None.
        attributes: with `class_` for `class` and `stroke_width` for `stroke-width`; left out where it is None.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{said}>" if name in _VOID else f"<{name}{said}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Markup:
    """Put children in a row."""
    return Markup("".join(_written(child) for child in children))


def _written(child: Child) -> str:
    match child:
        case None:
            return ""
        case Markup():
            return child
        case str() | int() | float():
            return html.escape(plain(child))
        case _:
            return joined(child)


def prose(text: str) -> Markup:
    """Write a sentence in which backticks mark code, as messages have it."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one of them marks nothing
        return joined([text])
    return joined(element("code", part) if number % 2 else part for number, part in enumerate(parts))


def lines(text: str) -> Markup:
    """Write a text of several lines as it is, for `pre`."""
    return Markup("\n".join(html.escape(plain(line)) for line in text.expandtabs(4).split("\n")))
