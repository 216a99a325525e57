"""The file itself: finding it, reading it, and knowing where in it everything stands."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from clawproof_langgraph.config.positions import START, Position, Spot, locate
from clawproof_langgraph.config.positions import Path as Keys
from clawproof_langgraph.config.problems import Problem
from clawproof_langgraph.errors import ConfigurationError

NAME: Final = "clawproof.toml"
PROJECT: Final = "pyproject.toml"
_TABLE: Final = ("tool", "clawproof")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_AT: Final = re.compile(r"(?P<why>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration file that could be parsed.

    Args:
        path: where it is.
        lines: its text.
        data: what is in it; of a pyproject.toml, what is in `[tool.clawproof]`.
        base: the keys that lead there.
        spots: where everything stands.
    """

    path: Path
    lines: tuple[str, ...] = field(repr=False)
    data: Mapping[str, Any]
    base: Keys
    spots: Mapping[Keys, Spot] = field(repr=False)

    def spot(self, keys: Keys) -> Spot:
        """Tell where a key stands, or else the nearest one around it."""
        whole = (*self.base, *keys)
        for length in range(len(whole), 0, -1):
            if found := self.spots.get(whole[:length]):
                return found
        return Spot(START, START)

    def problem(self, keys: Keys, message: str, *, at_value: bool = False) -> Problem:
        """Make a problem of a key, or of its value."""
        spot = self.spot(keys)
        position = spot.value if at_value else spot.key
        return Problem(shown(self.path), position, message, self.lines[position.line - 1] if self.lines else "")


def named(keys: Keys) -> str:
    """Write the way to a key as it is written in TOML: `tools."reserve_*".ttl`."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f"{'.' if text else ''}{key if _BARE.fullmatch(key) else _quoted(key)}"
    return text


def _quoted(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in escaped) + '"'


def shown(path: Path) -> str:
    """Write a path as one would type it here."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return path.as_posix()


def find(start: Path) -> Path | None:
    """Find the nearest clawproof.toml, or pyproject.toml with a table `[tool.clawproof]`, from a folder upwards."""
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / NAME).is_file():
            return folder / NAME
        if _has_table(folder / PROJECT):
            return folder / PROJECT
    return None


def located(path: str | os.PathLike[str] | None = None) -> Path | None:
    """Find the file that counts: the one that is named, the one that `CLAWPROOF_CONFIG` names, or the nearest.

    Raises:
        ConfigurationError: the one that is named does not exist.
    """
    said = path if path is not None else os.environ.get("CLAWPROOF_CONFIG") or None
    if said is None:
        return find(Path.cwd())
    named_by = "" if path is not None else " (from CLAWPROOF_CONFIG)"
    chosen = Path(said)
    if chosen.is_dir():
        found = next((chosen / name for name in (NAME, PROJECT) if (chosen / name).is_file()), None)
        if found is None:
            raise ConfigurationError(f"There is no {NAME} in {chosen}{named_by}; `clawproof init` writes a first one.")
        return found
    if not chosen.is_file():
        raise ConfigurationError(f"There is no file {chosen}{named_by}; `clawproof init` writes a first one.")
    return chosen


def parsed(path: Path) -> Document | Problem:
    """Read and parse a file."""
    name = shown(path)
    try:
        content = path.read_bytes()
    except OSError as exc:
        return Problem(name, None, f"it cannot be read: {exc.strerror or exc}.")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as exc:
        return _undecodable(name, content, exc)
    lines = tuple(text.split("\n"))
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        return _unparsable(name, lines, str(exc))
    except RecursionError:
        return Problem(name, None, "its values are nested too deeply.")
    spots = locate(text)
    if path.name != PROJECT:
        return Document(path, lines, data, (), spots)
    table = data.get("tool", {}).get("clawproof", {})
    document = Document(path, lines, table if isinstance(table, dict) else {}, _TABLE, spots)
    if not isinstance(table, dict):
        return document.problem((), "tool.clawproof is a table: write [tool.clawproof].", at_value=True)
    return document


def _undecodable(name: str, content: bytes, exc: UnicodeDecodeError) -> Problem:
    line = content.count(b"\n", 0, exc.start) + 1
    column = len(content[content.rfind(b"\n", 0, exc.start) + 1 : exc.start].decode("utf-8", "replace")) + 1
    return Problem(
        name, Position(line, column), f"byte 0x{content[exc.start]:02x} is no UTF-8; save the file as UTF-8."
    )


def _unparsable(name: str, lines: tuple[str, ...], message: str) -> Problem:
    match = _AT.fullmatch(message)
    if match is None:
        return Problem(name, None, f"it is no TOML: {message}.")
    if match["line"]:
        position = Position(int(match["line"]), int(match["column"]))
    else:
        last = max((number for number, line in enumerate(lines, 1) if line), default=1)
        position = Position(last, len(lines[last - 1]) + 1)
    source = lines[position.line - 1] if position.line <= len(lines) else ""
    return Problem(name, position, f"it is no TOML: {match['why']}.", source)


def _has_table(path: Path) -> bool:
    try:
        content = path.read_bytes()
    except OSError:  # there is none, or it is none of ours
        return False
    if b"clawproof" not in content:
        return False
    text = content.decode("utf-8-sig", "replace")
    try:
        return "clawproof" in tomllib.loads(text.replace("\r\n", "\n")).get("tool", {})
    except (tomllib.TOMLDecodeError, RecursionError, AttributeError):
        return re.search(r"^\s*\[+\s*tool\s*\.\s*\"?clawproof\b(?!-)", text, re.MULTILINE) is not None
