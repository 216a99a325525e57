"""Arguments of a call for others to see."""

from __future__ import annotations

from typing import Any


def shown(value: Any) -> Any:
    """Give an argument in a form that a log or a checkpoint can hold."""
    if isinstance(value, int | float | bool | None):
        return value
    return str(value).encode("utf-8", "replace").decode()  # a model may send half a surrogate pair
