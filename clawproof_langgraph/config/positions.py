"""Where each key and value of a TOML text stands. tomllib tells what a text means, and not where.

It reads text that tomllib has accepted, and so knows fewer rules than TOML has: what is a mistake was found before.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

Path = tuple[str | int, ...]
"""The way to a value: names of keys, and places in arrays counted from 0."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_BLANK: Final = re.compile(r"[ \t]*")
_GAP: Final = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_PLAIN: Final = re.compile(r"[^,\]}#\n]+")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_LONG_STRING: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}|\'\'\'(?:[^\']|\'{1,2}(?!\'))*\'{3,5}', re.DOTALL
)


class Position(NamedTuple):
    """A place in a text: line and column counted from 1, and how many characters belong to it."""

    line: int
    column: int
    width: int = 1


class Spot(NamedTuple):
    """Where a key stands, and its value; for a table with a header, both are the key in its header."""

    key: Position
    value: Position


START: Final = Position(1, 1)


def locate(text: str) -> Mapping[Path, Spot]:
    """Find where the keys and values of a TOML text stand.

    Args:
        text: a text that tomllib has read, with LF as its line end.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._line, self._counted = 1, 0
        self._arrays: dict[Path, int] = {}
        self._found: dict[Path, Spot] = {}

    def read(self) -> Mapping[Path, Spot]:
        table: Path = ()
        self._skip(_GAP)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_GAP)
        return self._found

    def _header(self) -> Path:
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        path: Path = ()
        keys = self._keys()
        for number, (name, position) in enumerate(keys, 1):
            path = (*path, name)
            self._note(path, position)
            if brackets == 2 and number == len(keys):
                self._arrays[path] = self._arrays.get(path, -1) + 1
            if path in self._arrays:
                path = (*path, self._arrays[path])
                self._note(path, position)
        self._found[path] = Spot(keys[-1][1], keys[-1][1])  # where a header before this one has only named it
        self._at += brackets
        return path

    def _pair(self, table: Path) -> None:
        path, position = table, START
        for name, position in self._keys():
            path = (*path, name)
            self._note(path, position)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path, position)

    def _note(self, path: Path, position: Position) -> None:
        self._found.setdefault(path, Spot(position, position))

    def _keys(self) -> list[tuple[str, Position]]:
        """Read a key, which may have dots, and what follows it on the line."""
        found = []
        while True:
            self._skip(_BLANK)
            start = self._at
            match = _BARE.match(self._text, start) or _STRING.match(self._text, start)
            assert match is not None
            self._at = match.end()
            found.append((_name(match.group()), self._position(start)))
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return found
            self._at += 1

    def _value(self, path: Path, key: Position) -> None:
        start = self._at
        sign = self._text[start]
        if sign == "[":
            self._array(path)
        elif sign == "{":
            self._inline(path)
        else:
            self._at = self._end_of_plain(start)
        self._found[path] = Spot(key, self._position(start))

    def _end_of_plain(self, start: int) -> int:
        for pattern in (_LONG_STRING, _STRING):
            if match := pattern.match(self._text, start):
                return match.end()
        match = _PLAIN.match(self._text, start)
        assert match is not None
        return start + len(match.group().rstrip())

    def _array(self, path: Path) -> None:
        for number in self._elements("]"):
            element = (*path, number)
            self._value(element, self._position(self._at))
            self._found[element] = Spot(self._found[element].value, self._found[element].value)

    def _inline(self, path: Path) -> None:
        for _ in self._elements("}"):
            self._pair(path)

    def _elements(self, end: str) -> Iterator[int]:
        """Stand before each element in turn, and at last behind the end."""
        self._at += 1
        number = 0
        self._skip(_GAP)
        while self._text[self._at] != end:
            yield number
            number += 1
            self._skip(_GAP)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_GAP)
        self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _position(self, start: int) -> Position:
        """Give the position of what begins at `start` and ends where the reader is, or at the end of its first line."""
        end = self._text.find("\n", start, self._at)
        width = (self._at if end < 0 else end) - start
        before = self._text.rfind("\n", 0, start) + 1
        return Position(self._line_of(start), start - before + 1, max(width, 1))

    def _line_of(self, start: int) -> int:
        if start < self._counted:  # the start of an array or a table, whose end was read before
            return self._line - self._text.count("\n", start, self._counted)
        self._line += self._text.count("\n", self._counted, start)
        self._counted = start
        return self._line


def _name(raw: str) -> str:
    if raw[0] not in "\"'":
        return raw
    name: str = tomllib.loads(f"name = {raw}")["name"]
    return name
