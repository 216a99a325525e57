"""Values as they are written in TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

_DURATIONS: Final = ("ttl", "wait", "expected", "key_window", "initial_delay", "max_delay", "deadline")
_UNITS: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"), (0.001, "ms"))


def as_toml(value: Any, name: str = "") -> str:
    """Write a value.

    Args:
        value: what a field of a model holds.
        name: of the field: of some, a number is a duration.
    """
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case int() | float():
            return f'"{_duration(value)}"' if name in _DURATIONS else f"{value:g}"
        case BaseModel():
            said = value.model_fields_set
            return as_toml({field: getattr(value, field) for field in type(value).model_fields if field in said})
        case Mapping():
            return f"{{ {', '.join(f'{field} = {as_toml(each, field)}' for field, each in value.items())} }}"
        case tuple() | list():
            return f"[{', '.join(as_toml(each) for each in value)}]"
        case type():
            return f'"{value.__name__}"'
        case _:
            return f'"{value!r}"'


def _duration(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size and (seconds / size).is_integer():
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"
