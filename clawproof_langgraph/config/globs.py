"""Patterns of names: `*` for any text, `?` and `[abc]` for one sign, `{a,b}` for either.

A pattern of resources may also hold the fields of a template: `inventory/{sku}` stands for `inventory/*`. A name may
hold any of these signs, too: what is the same, letter for letter, is looked up before any pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import translate
from functools import lru_cache
from itertools import islice, pairwise
from typing import Final, NamedTuple

from clawproof_langgraph.errors import ConfigurationError

_SIGNS: Final = frozenset("*?[{")
_WILD: Final = re.compile(r"\*+|\?|\[!?\]?[^\]]*\]")
_MOST: Final = 256
"""The most patterns that the braces of one may stand for."""


class Weight(NamedTuple):
    """How specific a pattern is: more letters that stand for themselves, then fewer stars, then fewer `?`."""

    letters: int
    stars: int
    wildcards: int


class Glob:
    """A pattern, and how specific it is.

    Args:
        text: as it was written.
        fields: whether a brace without a comma is a field of a template, and so stands for any text.

    Raises:
        ConfigurationError: a brace is not closed, or there are too many alternatives.
    """

    __slots__ = ("_choices", "text")

    def __init__(self, text: str, *, fields: bool = False) -> None:
        self.text = text
        self._choices = tuple((_weight(plain), re.compile(translate(plain))) for plain in _expanded(text, fields))

    def match(self, name: str) -> Weight | None:
        """Tell how specifically the pattern fits a name, None where it does not."""
        return max((weight for weight, pattern in self._choices if pattern.match(name)), default=None)

    def __repr__(self) -> str:
        return f"Glob({self.text!r})"


@lru_cache(maxsize=512)
def glob(text: str, *, fields: bool = False) -> Glob:
    """Make a pattern, once; raises as `Glob` does."""
    return Glob(text, fields=fields)


def is_pattern(text: str) -> bool:
    """Tell whether a text has any sign of a pattern."""
    return not _SIGNS.isdisjoint(text)


def fits(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a resource is among those that patterns name."""
    return any(name == pattern or glob(pattern, fields=True).match(name) for pattern in patterns)


def best(name: str, patterns: Iterable[str]) -> tuple[str, ...]:
    """Give the most specific of the patterns of tools that fit a name: none, one, or several that are equal."""
    found = [(weight, text) for text in patterns if (weight := glob(text).match(name))]
    top = max((weight for weight, _ in found), default=None)
    return tuple(text for weight, text in found if weight == top)


def _weight(plain: str) -> Weight:
    wild = _WILD.findall(plain)
    letters = len(_WILD.sub("", plain)) + sum(sign[0] == "[" for sign in wild)
    return Weight(letters, -sum(sign[0] == "*" for sign in wild), -sum(sign == "?" for sign in wild))


def _expanded(text: str, fields: bool) -> tuple[str, ...]:
    found = tuple(islice(_alternatives(text, text, fields), _MOST + 1))
    if len(found) > _MOST:
        raise ConfigurationError(f'The pattern "{text}" stands for more than {_MOST} patterns.')
    return found


def _alternatives(rest: str, whole: str, fields: bool) -> Iterator[str]:
    start = _opening(rest)
    if start < 0:
        yield rest
        return
    end, commas = _closing(rest, start)
    if end < 0:
        raise ConfigurationError(f'The pattern "{whole}" has a "{{" without its "}}"; for the sign itself write [{{].')
    before, after = rest[:start], rest[end + 1 :]
    if not commas and fields:
        choices: list[str] = ["*"]
    else:
        cuts = [start, *commas, end]
        inner = [rest[left + 1 : right] for left, right in pairwise(cuts)]
        choices = [each for part in inner for each in islice(_alternatives(part, whole, fields), _MOST + 1)]
    for tail in _alternatives(after, whole, fields):
        yield from (f"{before}{choice}{tail}" for choice in choices)


def _opening(text: str) -> int:
    """Find the first brace that is not in brackets."""
    at = 0
    while at < len(text):
        if text[at] == "[" and (end := text.find("]", at + 2)) > 0:
            at = end
        elif text[at] == "{":
            return at
        at += 1
    return -1


def _closing(text: str, start: int) -> tuple[int, list[int]]:
    """Find where a brace is closed, and its own commas."""
    depth, commas = 0, list[int]()
    for at in range(start, len(text)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at, commas
        elif text[at] == "," and depth == 1:
            commas.append(at)
    return -1, []
