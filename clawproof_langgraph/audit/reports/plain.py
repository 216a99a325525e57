"""Text from source files and from the event log, made harmless before a format gets it.

Whoever names a tool, an agent or a file could otherwise steer a terminal, end a line where a format begins a new
command, or turn the direction in which a reader reads.
"""

from __future__ import annotations


def plain(text: object) -> str:
    """Write what cannot be seen as escapes: the text is one line, and all of it is visible."""
    said = str(text)
    return said if said.isprintable() else "".join(map(_visible, said))


def plain_lines(text: object) -> list[str]:
    """Do what `plain` does for a text of several lines, line by line; tabs become spaces."""
    return [plain(line) for line in str(text).expandtabs(4).split("\n")]


def _visible(sign: str) -> str:
    return sign if sign.isprintable() else sign.encode("unicode_escape").decode()
