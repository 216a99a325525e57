"""The text of files that findings are in, for excerpts."""

from __future__ import annotations

import tokenize
from functools import cache
from pathlib import Path


class Sources:
    """Reads lines of the files of a project.

    Args:
        root: the folder to which places are relative.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read = cache(self._lines)

    def lines(self, file: str) -> tuple[str, ...]:
        """Give the lines of a file; none where it cannot be read."""
        return self._read(file)

    def line(self, file: str, number: int) -> str:
        """Give one line, from 1; empty where there is none."""
        lines = self.lines(file)
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def _lines(self, file: str) -> tuple[str, ...]:
        path = self._root / file
        try:
            if path.suffix == ".py":
                with tokenize.open(path) as stream:
                    return tuple(stream.read().splitlines())
            return tuple(path.read_text("utf-8", errors="replace").splitlines())
        except (OSError, SyntaxError, ValueError):
            return ()
