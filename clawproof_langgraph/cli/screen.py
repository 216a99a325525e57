"""Where commands print: lines that stay whole, colours only for a terminal, JSON for programs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import click
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from clawproof_langgraph.cli.wording import plain

_PIPED_WIDTH: Final = 100
"""Columns of a drawing for a reader that has no terminal."""


_GAP: Final = "  "
_INDENT: Final = "    "


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text with a style of rich."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its title, and whether its cells are moved to the right."""

    title: str
    right: bool = False


Cell = Span | str


def columns(*titles: str) -> tuple[Column, ...]:
    """Make columns of their titles; `>` in front of one moves its cells to the right."""
    return tuple(Column(title.removeprefix(">"), right=title.startswith(">")) for title in titles)


class Screen:
    """The standard output. No line is broken or cut: what is piped stays one record, what is copied stays whole."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the encoding lacks must not end the command
            sys.stdout.reconfigure(errors="backslashreplace")
        self._console = Console(highlight=False, markup=False, emoji=False)

    @property
    def width(self) -> int:
        """The columns that a drawing should take."""
        return self._console.width if self._console.is_terminal else _PIPED_WIDTH

    @property
    def ascii_only(self) -> bool:
        """Whether the encoding has nothing but ASCII."""
        return self._console.options.ascii_only

    def line(self, *cells: Cell) -> None:
        """Print one line, put together from pieces."""
        spans = [_span(cell) for cell in cells]
        if self._console.is_terminal:
            text = Text.assemble(*[(span.text, span.style) for span in spans])
            text.rstrip()  # blanks beyond the last column would make an empty line
            self._console.print(text, soft_wrap=True)
        else:
            click.echo("".join(span.text for span in spans).rstrip())

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        """Print rows under their titles, each on one line; in a terminal that is too narrow, on several."""
        titles = [Span(column.title.upper(), "bold") for column in columns]
        lines = [titles, *([_span(cell) for cell in row] for row in rows)]
        widths = [max(cell_len(line[at].text) for line in lines) for at in range(len(columns))]
        groups = _groups(widths, self._console.width) if self._console.is_terminal else [range(len(columns))]
        for line in lines:
            for group in groups:
                indent = _INDENT if group.start else ""
                self.line(indent, *[_padded(line[at], columns[at], widths[at]) for at in group])

    def json(self, value: Any) -> None:
        """Print a value as an indented document, in ASCII, which every reader can decode."""
        click.echo(json.dumps(value, indent=2))

    def json_line(self, value: Any) -> None:
        """Print a value on one line."""
        click.echo(json.dumps(value, separators=(",", ":")))


def _span(cell: Cell) -> Span:
    return Span(plain(cell)) if isinstance(cell, str) else Span(plain(cell.text), cell.style)


def _groups(widths: Sequence[int], room: int) -> list[range]:
    """Spread columns over lines so that each line fits, if it can: a terminal would break them anywhere."""
    starts, used = [0], 0
    for at, width in enumerate(widths):
        if used + width > room and at > starts[-1]:
            starts.append(at)
            used = len(_INDENT)
        used += width + len(_GAP)
    return [range(*ends) for ends in pairwise([*starts, len(widths)])]


def _padded(cell: Span, column: Column, width: int) -> Span:
    room = " " * (width - cell_len(cell.text))
    return Span(f"{room}{cell.text}{_GAP}" if column.right else f"{cell.text}{room}{_GAP}", cell.style)
