"""The commands as Lua scripts: each is a file, with the parts that its header names put before it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

_FOLDER: Final = files(__package__) / "lua"
_PARTS: Final = "-- parts: "
_OPEN: Final = ("step", "begin_fast", "settle_fast")
"""The parts that are no tables of functions: what all others stand on, and what may answer before them."""


@dataclass(frozen=True, slots=True)
class Script:
    """A command as the server runs it.

    Args:
        text: the whole script.
        sha: the name under which the server keeps it.
    """

    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """Put the script of a command together."""
    command = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    header = next(line for line in command.splitlines() if line.startswith(_PARTS))
    text = "\n".join([*map(_part, header[len(_PARTS) :].split()), command])
    # The server's name for a script is the SHA-1 of its text; nothing rests on its strength.
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _part(name: str) -> str:
    text = (_FOLDER / "parts" / f"{name}.lua").read_text(encoding="utf-8")
    if name in _OPEN:
        return text
    # A block closes its variables with its end. As long as they are open, each function that is made looks for its own
    # among all of them, which costs a script of a hundred functions more than its work.
    return f"local {name} = {{}}\ndo\n{text}end\n"
