"""Words that rules and reports share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def joined(words: Sequence[str]) -> str:
    """Put words in a row: `a, b and c`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def quoted(names: Iterable[str], most: int = 3) -> str:
    """Write names in a row, each in quotes; many are cut short."""
    listed = list(dict.fromkeys(names))
    shown = ", ".join(f'"{name}"' for name in listed[:most])
    return f"{shown} and {len(listed) - most} more" if len(listed) > most else shown
