"""What is told once, and not at every call."""

from __future__ import annotations

import warnings
from collections.abc import Hashable

from clawproof_langgraph.errors import ClawproofWarning


class Notices:
    """Remembers what was told already."""

    def __init__(self) -> None:
        self._told: dict[Hashable, object] = {}

    def first(self, about: Hashable) -> bool:
        """Tell whether this is the first time that something comes up, from whichever thread."""
        mark = object()
        return self._told.setdefault(about, mark) is mark

    def warn(self, about: Hashable, text: str) -> None:
        """Warn of something, the first time that it comes up."""
        if self.first(about):
            warnings.warn(text, ClawproofWarning, stacklevel=3)
