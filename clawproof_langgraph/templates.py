"""Resource templates: `inventory/{sku}`, `{order.id}`, `{items[*].sku}`, `{path|realpath}`.

A field is a path of names, each followed by any number of `[*]` (every element) or `[3]`; filters follow a bar. It
reads mappings, sequences and the declared fields of models, never other attributes: `str.format` would.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import product
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from clawproof_langgraph.errors import ConfigurationError, meant

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_INDEX: Final = re.compile(r"\[(\*|\d+)\]")
_FILTERS: Final[Mapping[str, Callable[[str], str]]] = {"lower": str.lower, "realpath": os.path.realpath}
_FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff\U0010fffe\U0010ffff]")
_EVERY: Final = "*"
_TEXTUAL: Final = (UUID, Decimal, date, time, PurePath)

Part = str | int
"""A step of a path: the name of a field, an index, or `*` for every element (which is no name)."""


@dataclass(frozen=True, slots=True)
class Field:
    """One `{...}` of a template: its text, the path that it reads, and its filters."""

    text: str
    path: tuple[Part, ...]
    filters: tuple[str, ...] = ()

    @property
    def root(self) -> str:
        """The argument that it reads."""
        return str(self.path[0])


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: literal texts and fields in turn."""

    text: str
    pieces: tuple[str | Field, ...]

    @property
    def roots(self) -> tuple[str, ...]:
        """The arguments that it reads."""
        return tuple(piece.root for piece in self.pieces if isinstance(piece, Field))

    def render(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Make the resource names of a call: one, or one for each element that a `[*]` meets.

        Raises:
            ConfigurationError: a field is missing or empty, or the name is not a resource name.
        """
        if len(self.pieces) == 1 and isinstance(self.pieces[0], str):
            return (self.pieces[0],)
        choices = [(piece,) if isinstance(piece, str) else _texts(self, piece, values) for piece in self.pieces]
        return tuple([canonical("".join(parts), self.text) for parts in product(*choices)])


@lru_cache(maxsize=1024)
def parse(text: str) -> Template:
    """Parse a template.

    Raises:
        ConfigurationError: it is empty, or has a syntax error; the message shows where.
    """
    if not isinstance(text, str) or not text.strip():
        raise ConfigurationError(f'A resource needs a name; got {text!r}. Write, for example, "inventory/{{sku}}".')
    pieces: list[str | Field] = []
    rest = text
    while rest:
        literal, opened, rest = rest.partition("{")
        if "}" in literal:
            raise ConfigurationError(f'Template "{text}" has a "}}" without its "{{".')
        if literal:
            _refuse_control_characters(literal, f"The template {text!r}")
            pieces.append(unicodedata.normalize("NFC", literal))
        if opened:
            inner, closed, rest = rest.partition("}")
            if not closed:
                raise ConfigurationError(f'Template "{text}" has a "{{" without its "}}".')
            pieces.append(_parse_field(inner, text))
    if all(isinstance(piece, str) for piece in pieces):
        canonical(text, text)
    return Template(text, tuple(pieces))


def _parse_field(inner: str, text: str) -> Field:
    path_text, *filters = [part.strip() for part in inner.split("|")]
    for name in filters:
        if name not in _FILTERS:
            known = meant(name, sorted(_FILTERS))
            raise ConfigurationError(f'Template "{text}" uses the filter "{name}"; {known}')
    path: list[Part] = []
    for step in path_text.split("."):
        path.extend(_parse_step(step, text))
    return Field(inner, tuple(path), tuple(filters))


def _parse_step(step: str, text: str) -> list[Part]:
    match = _NAME.match(step)
    if match is None:
        hint = " Names with an underscore in front are private." if step.startswith("_") else ""
        raise ConfigurationError(f'Template "{text}" has the field name "{step}", which is not a name.{hint}')
    parts: list[Part] = [match.group()]
    at = match.end()
    while at < len(step):
        index = _INDEX.match(step, at)
        if index is None:
            raise ConfigurationError(f'Template "{text}" cannot be read at "{step[at:]}"; write [*] or [0].')
        parts.append(_EVERY if index[1] == _EVERY else int(index[1]))
        at = index.end()
    return parts


def canonical(name: str, source: str = "") -> str:
    """Bring a resource name into its one form (Unicode NFC).

    Raises:
        ConfigurationError: it is empty, has blanks at an end, or holds control characters.
    """
    if not isinstance(name, str):
        raise ConfigurationError(f"A resource is named by a text; got {name!r}.")
    name = name if name.isascii() else unicodedata.normalize("NFC", name)
    where = f' (from "{source}")' if source and source != name else ""
    if not name or name != name.strip():
        raise ConfigurationError(f"The resource name {name!r}{where} is empty or has blanks at an end.")
    _refuse_control_characters(name, f"The resource name {name!r}{where}")
    return name


@lru_cache(maxsize=256)
def agent_name(name: str) -> str:
    """Check the name of an agent; it may be empty, where nobody has given one.

    Raises:
        ConfigurationError: it is no text, or holds control characters.
    """
    if not isinstance(name, str):
        raise ConfigurationError(f'An agent is named by a text, such as agent="orders"; got {name!r}.')
    _refuse_control_characters(name, f"The agent's name {name!r}")
    return name


def _refuse_control_characters(name: str, what: str) -> None:
    if _FORBIDDEN.search(name):
        # Stores and logs keep several names in one text, a line for each.
        raise ConfigurationError(f"{what} has control characters, such as a line feed; name it without them.")


def _texts(template: Template, field: Field, values: Mapping[str, Any]) -> list[str]:
    found = _follow(values, field.path, template, field)
    return [_text(value, template, field) for value in found]


def _follow(value: Any, path: tuple[Part, ...], template: Template, field: Field) -> list[Any]:
    for at, part in enumerate(path):
        if part == _EVERY:
            if not _is_list(value) or not value:
                raise _missing(template, field, f"{_shown(path[:at])} is not a list with elements")
            return [found for element in value for found in _follow(element, path[at + 1 :], template, field)]
        value = _step(value, part)
        if value is None:
            raise _missing(template, field, f"there is no {_shown(path[: at + 1])}")
    return [value]


def _step(value: Any, part: Part) -> Any:
    if isinstance(part, int):
        return value[part] if _is_list(value) and part < len(value) else None
    if isinstance(value, Mapping):
        return value.get(part)
    kind: type = type(value)
    return getattr(value, part, None) if part in _declared_fields(kind) else None


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


@lru_cache(maxsize=256)
def _declared_fields(kind: type) -> frozenset[str]:
    if is_dataclass(kind):
        return frozenset(field.name for field in fields(kind))
    return frozenset(getattr(kind, "model_fields", None) or getattr(kind, "_fields", None) or ())


def _text(value: Any, template: Template, field: Field) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool) or not isinstance(value, str | int):
        value = _plain(value, template, field)
    text = str(value).strip()
    if not text:
        raise _missing(template, field, "it is empty")
    for name in field.filters:
        text = _FILTERS[name](text)
    return text


def _plain(value: Any, template: Template, field: Field) -> Any:
    """Give the text of values that have one obvious text: UUID, Decimal, date, path."""
    if isinstance(value, _TEXTUAL):
        return str(value)
    raise _missing(template, field, f"a {type(value).__name__} does not name a resource")


def _shown(path: tuple[Part, ...]) -> str:
    steps = [f"[{part}]" if isinstance(part, int) or part == _EVERY else f".{part}" for part in path]
    return "".join(steps).lstrip(".")


def _missing(template: Template, field: Field, why: str) -> ConfigurationError:
    return ConfigurationError(
        f'The template "{template.text}" cannot be filled: field "{field.text}": {why}. '
        f"Nothing was run; correct the arguments or the template."
    )
