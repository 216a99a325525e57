"""Scripts of SQL: their statements, with placeholders that every dialect reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_TOKENS: Final = re.compile(
    r"(?P<kept>'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|::|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|:=|%%)"
    r"|(?P<mark>%\((?P<percent>\w+)\)s|%s|\?(?![|&?])|(?<![\w:]):(?P<colon>[A-Za-z_]\w*)|\$(?P<number>\d+))"
    r"|(?P<end>;)",
    re.DOTALL,
)


def split(text: str) -> Iterator[str]:
    """Split a script, with each placeholder replaced by one that every dialect reads: `:p0`, or `:n_name`."""
    parts: list[str] = []
    at = count = 0
    for match in _TOKENS.finditer(text):
        parts.append(text[at : match.start()])
        at = match.end()
        if match["end"]:
            yield "".join(parts)
            parts = []
        elif match["mark"]:
            name = match["percent"] or match["colon"]
            number = int(match["number"]) - 1 if match["number"] else count
            parts.append(f":n_{name}" if name else f":p{number}")
            count += not name
        elif not match["kept"].startswith(("--", "/*")):
            parts.append("%" if match["kept"] == "%%" else match["kept"])
    yield "".join([*parts, text[at:]])
