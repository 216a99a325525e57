"""The report of a run: tables of figures, some of which have a goal, for people and as JSON."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import click

from benchmarks.table import render


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure with its target, which is an upper bound, or else a lower one."""

    value: float
    limit: float
    upper: bool = True

    @property
    def ok(self) -> bool:
        """Whether the target is met."""
        return self.value <= self.limit if self.upper else self.value >= self.limit


Figure = str | int | float | Goal | None
"""What stands in a table; None where there is nothing to say."""


@dataclass(slots=True)
class Table:
    """A table of a report.

    Args:
        title: what was measured.
        columns: their names, each with the format of its numbers.
        note: how to read it.
    """

    title: str
    columns: Mapping[str, str]
    note: str = ""
    rows: list[tuple[Figure, ...]] = field(default_factory=list)

    def add(self, *figures: Figure) -> None:
        """Add a row."""
        assert len(figures) == len(self.columns)
        self.rows.append(figures)

    def render(self) -> str:
        """Write it for people."""
        cells = [
            [_worded(figure, form) for figure, form in zip(row, self.columns.values(), strict=True)]
            for row in self.rows
        ]
        return "\n".join(part for part in (self.title, render(list(self.columns), cells), self.note) if part)

    def plain(self) -> dict[str, Any]:
        """Give it as JSON knows it."""
        rows = [dict(zip(self.columns, map(_plain, row), strict=True)) for row in self.rows]
        return {"title": self.title, "note": self.note, "rows": rows}

    def goals(self) -> Iterator[tuple[str, Goal]]:
        """Give each figure that has a goal, named by its row's first cells and its column."""
        for row in self.rows:
            name = " ".join(map(str, takewhile(lambda figure: isinstance(figure, str | int), row)))
            for column, figure in zip(self.columns, row, strict=True):
                if isinstance(figure, Goal):
                    yield f"{self.title}: {name}: {column}", figure


def _worded(figure: Figure, form: str) -> str:
    match figure:
        case None:
            return "-"
        case Goal():
            sign, verdict = "<=" if figure.upper else ">=", "ok" if figure.ok else "MISSED"
            return f"{format(figure.value, form)} ({sign} {figure.limit:g} {verdict})"
        case str():
            return figure
        case _:
            return format(figure, form)


def _plain(figure: Figure) -> Any:
    if not isinstance(figure, Goal):
        return figure
    return {"value": figure.value, "at_most" if figure.upper else "at_least": figure.limit, "ok": figure.ok}


class Report:
    """Shows tables as they are finished, and keeps them.

    Args:
        parameters: what the run depends on, such as its seed.
    """

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._facts = {**_machine(), **parameters}
        self._tables: list[Table] = []
        click.echo(" ".join(f"{name}={value}" for name, value in self._facts.items()))
        if os.getloadavg()[0] > (os.cpu_count() or 1) / 2:
            click.echo(
                "Other work keeps this machine busy: rates, hand-offs and p99 suffer most, ratios of medians least."
            )

    def show(self, table: Table) -> None:
        """Print a table."""
        self._tables.append(table)
        click.echo(f"\n{table.render()}")

    def conclude(self, file: Path | None) -> None:
        """Print which goals were missed, and write all as JSON if a file is named."""
        goals = [goal for table in self._tables for goal in table.goals()]
        missed = [name for name, goal in goals if not goal.ok]
        click.echo(f"\n{len(goals)} targets, {len(missed)} missed; load average at the end {_load()}")
        for name in missed:
            click.echo(f"  MISSED {name}")
        if file is not None:
            facts = {**self._facts, "load_at_end": _load()}
            content = {"facts": facts, "missed": missed, "tables": [table.plain() for table in self._tables]}
            file.write_text(json.dumps(content, indent=2, default=str) + "\n")


def _machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()}-{platform.machine()}",
        "cores": os.cpu_count(),
        "load": _load(),
    }


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"
