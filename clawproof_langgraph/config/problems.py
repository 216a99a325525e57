"""What is wrong in a configuration file, told as a compiler tells it: place, message, the line, and a mark below."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from clawproof_langgraph.config.positions import Position
from clawproof_langgraph.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a configuration file.

    Args:
        file: as it is shown.
        position: where; None for the file as a whole.
        message: what is wrong, and the remedy.
        source: the line of the file.
    """

    file: str
    position: Position | None
    message: str
    source: str = ""

    @property
    def line(self) -> int:
        """The line, from 1; 0 for the file as a whole."""
        return self.position.line if self.position else 0

    @property
    def column(self) -> int:
        """The column, from 1; 0 for the file as a whole."""
        return self.position.column if self.position else 0

    def __str__(self) -> str:
        if self.position is None:
            return f"{self.file}: {self.message}"
        told = f"{self.file}:{self.line}:{self.column}: {self.message}"
        if not self.source.strip():
            return told
        number = f"{self.line:>5} | "
        before = _printable(self.source[: self.column - 1])
        marked = _printable(self.source[self.column - 1 : self.column - 1 + self.position.width])
        after = _printable(self.source[self.column - 1 + self.position.width :])
        mark = " " * _cells(before) + "^" * max(_cells(marked), 1)
        return f"{told}\n{number}{before}{marked}{after}\n{'|':>7} {mark}"


class InvalidConfiguration(ConfigurationError):
    """Says all that is wrong in a configuration file.

    Args:
        problems: in the order of the file.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def _cells(text: str) -> int:
    """Count the columns that a text takes in a terminal."""
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return len(text) + wide - sum(unicodedata.combining(sign) > 0 for sign in text)


def _printable(text: str) -> str:
    plain = text.replace("\t", "    ")
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in plain)
