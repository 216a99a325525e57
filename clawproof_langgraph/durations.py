"""Durations as users write them (`"30s"`, `"2m"`, 1.5), converted once into seconds."""

from __future__ import annotations

import math
import re
from typing import Final

from clawproof_langgraph.errors import ConfigurationError

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PATTERN: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")


def seconds(value: str | float, name: str) -> float:
    """Convert a duration to seconds.

    Args:
        value: a number of seconds, or a text such as `"500ms"`, `"30s"`, `"2m"`, `"24h"`, `"30d"`.
        name: what it is, for the message.

    Raises:
        ConfigurationError: it is no duration, or negative.
    """
    if isinstance(value, str):
        match = _PATTERN.fullmatch(value)
        if match is None:
            raise ConfigurationError(f'{name}="{value}" is not a duration; write, for example, "30s", "2m" or 1.5.')
        value = float(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ConfigurationError(f'{name}={value!r} is not a duration; write, for example, "30s", "2m" or 1.5.')
    return float(value)
