"""What is told once, and not at every call."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Hashable
from typing import Final

from clawproof_langgraph.errors import ClawproofWarning

_NOT_THE_USERS: Final = frozenset(
    {"clawproof_langgraph", "langgraph", "langchain", "langchain_core", "langsmith", "pydantic"}
    | {"asyncio", "concurrent", "contextvars", "functools", "threading"}
)
"""Packages through which a call comes on its way from the user's code."""


class Notices:
    """Remembers what was told already."""

    def __init__(self) -> None:
        self._told: dict[Hashable, object] = {}

    def first(self, about: Hashable) -> bool:
        """Tell whether this is the first time that something comes up, from whichever thread."""
        mark = object()
        return self._told.setdefault(about, mark) is mark

    def warn(self, about: Hashable, text: str) -> None:
        """Warn of something, the first time that it comes up, at the user's line that led there."""
        if self.first(about):
            warnings.warn(text, ClawproofWarning, stacklevel=_level_of_the_user())


def _level_of_the_user() -> int:
    """Count the frames up to the user's own; up to the caller's where a thread or a loop has none of the user's."""
    frame, level = sys._getframe(2), 2
    while frame.f_back is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _NOT_THE_USERS:
            return level
        frame, level = frame.f_back, level + 1
    return 2
