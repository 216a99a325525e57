"""What one SQL statement does: frozen data without behaviour."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Verb = Literal["insert", "update", "delete", "merge", "select", "ddl", "call", "lock", "load", "other"]
Change = Literal["absolute", "relative", "counter"]
"""How a column is set: to a value, from its own old value, or as a counter of versions."""

HOLE: Final = "hole_"
"""What stands for an unknown part of a text, with a number behind it."""

COUNTERS: Final = re.compile(
    r"(^|_)(version|revision|rev|lock_version|etag|row_version|generation|attempts?)$", re.IGNORECASE
)
"""Columns that count versions or attempts: that they differ after a repetition harms nobody."""


@dataclass(frozen=True, slots=True)
class Term:
    """A value in a statement.

    Args:
        marks: the placeholders in it.
        literal: it as a text, where it is a literal.
        by_chance: whether it is another one each time.
        text: as it is written.
    """

    marks: tuple[str, ...] = ()
    literal: str | None = None
    by_chance: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Compare:
    """A column that a condition compares with a value."""

    column: str
    operator: str
    term: Term


@dataclass(frozen=True, slots=True)
class Assigned:
    """A column that an UPDATE, or the DO UPDATE of an INSERT, sets."""

    column: str
    change: Change
    term: Term


@dataclass(frozen=True, slots=True)
class Statement:
    """What a statement does.

    Args:
        verb: which it is.
        table: what it changes.
        values: of an INSERT, the columns with what they get.
        upsert: of an INSERT, whether it says what to do when the row is there.
        on_columns: of an upsert, the columns that tell that it is there.
        guarded: of an INSERT or UPDATE, whether it asks for the absence of a row itself.
        sets: of an UPDATE, an upsert or a MERGE, what is set.
        compares: what the condition compares.
        picks: whether it chooses some rows out of many (LIMIT), others the next time.
        exists: of DDL, whether it says IF [NOT] EXISTS.
        locks: whether it takes locks that outlive the statement.
        words: its first words.
        parsed: whether sqlglot understood it.
    """

    verb: Verb
    table: str = ""
    values: tuple[tuple[str, Term], ...] = ()
    upsert: bool = False
    on_columns: tuple[str, ...] = ()
    guarded: bool = False
    sets: tuple[Assigned, ...] = ()
    compares: tuple[Compare, ...] = ()
    picks: bool = False
    exists: bool = False
    locks: bool = False
    words: str = ""
    parsed: bool = True
