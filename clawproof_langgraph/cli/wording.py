"""Times, durations and names as people read them in a terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any


def plain(text: str) -> str:
    """Write control characters as escapes: a name must not be able to steer the reader's terminal."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def quoted(text: str) -> str:
    """Write a text as a word for a shell; what cannot be printed becomes an escape, which bash and zsh read back."""
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(_escape(sign) for sign in text) + "'"


def _escape(sign: str) -> str:
    if sign in "\\'":
        return f"\\{sign}"
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"


def duration(seconds: float) -> str:
    """Write a duration in the unit that fits it."""
    if seconds < 0.0005:
        return "0"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02} h"
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m {rest:02} s"


def moment(time: float) -> str:
    """Write a time, in seconds since the epoch, as the reader's clock shows it."""
    return datetime.fromtimestamp(time).isoformat(sep=" ", timespec="milliseconds")


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(names: Iterable[str]) -> str:
    """Write names in a row."""
    return ", ".join(names)


def pairs(data: Mapping[str, Any]) -> str:
    """Write data as `name=value`, with values as in JSON unless they are simple words."""
    return " ".join(f"{name}={_value(value)}" for name, value in data.items())


def _value(value: Any) -> str:
    if isinstance(value, str) and value and value.isprintable() and not set(value) & set(' "='):
        return value
    return json.dumps(value, ensure_ascii=False)
