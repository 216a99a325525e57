"""What a file names as `module:name`: kept as it is written, and imported only when a guard is made."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from clawproof_langgraph.config.models import REFERENCE
from clawproof_langgraph.config.positions import Path as Keys

NAMING: Final = ("key", "probe", "retry_on", "not_applied_on")
"""The fields that may name what only Python has."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Something that a file names.

    Args:
        text: `module:name`.
        keys: where in the file.
        is_error: whether a type of exception is meant.
    """

    text: str
    keys: Keys
    is_error: bool = False

    def load(self) -> Any:
        """Import it; raises whatever the import raises, and AttributeError where there is no such name."""
        module, _, name = self.text.partition(":")
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def stand_in(self) -> Any:
        """Make something of the right kind in its place, for who only wants to know what the file says."""
        if self.is_error:
            return type(self.text, (Exception,), {"reference": self})
        return Unimported(self)


@dataclass(frozen=True, slots=True)
class Unimported:
    """Stands in for a function that was not imported."""

    reference: Reference

    def __call__(self, argument: Any) -> Any:
        """Refuse: who only reads a file runs none of its functions."""
        raise RuntimeError(f"{self.reference.text} was not imported.")

    def __repr__(self) -> str:
        return self.reference.text


def referred(field: str, value: Any, keys: Keys, *, listed: bool = False) -> Any:
    """Put a reference in the place of the name of something that only Python has.

    Args:
        field: of the policy.
        value: what is written, or one element of it.
        keys: where.
        listed: whether it is one element of a list.

    Raises:
        ValueError: it names nothing.
    """
    if field == "not_applied_on" or listed or (field == "retry_on" and ":" not in str(value)):
        return _error(value, keys)
    if isinstance(value, str) and REFERENCE.fullmatch(value):
        return Reference(value, keys)
    if field != "key":
        raise ValueError(f'{value!r} names no function; write "module:function".')
    return value


def _error(value: Any, keys: Keys) -> Any:
    if not isinstance(value, str):
        raise ValueError(f'{value!r} names no exception; write ["ValueError"], or ["module:NotFound"].')
    if REFERENCE.fullmatch(value):
        return Reference(value, keys, is_error=True)
    known = getattr(builtins, value, None)
    if isinstance(known, type) and issubclass(known, BaseException):
        return known
    raise ValueError(f'"{value}" is no exception of Python; write ["ValueError"], or ["module:{value}"] for your own.')


def resolved(value: Any, answer: Callable[[Reference], Any]) -> Any:
    """Put what they stand for in the place of the references in a value."""
    if isinstance(value, Reference):
        return answer(value)
    if isinstance(value, list):
        return [resolved(each, answer) for each in value]
    if isinstance(value, dict):
        return {name: resolved(each, answer) for name, each in value.items()}
    return value
