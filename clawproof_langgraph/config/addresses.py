"""What a store URL may be: told where one is written, before anything is opened."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from clawproof_langgraph.errors import meant

REDIS_SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")
SCHEMES: Final = (
    "sqlite:///file.db, memory://, memory://name, redis://host:6379/0, rediss://, unix://, redis+sentinel:// and "
    "redis+cluster://"
)
_KINDS: Final = ("sqlite", "memory", *REDIS_SCHEMES)


def fault_of(url: str) -> str:
    """Say what is wrong with a URL by its kind; empty where it may be one. What is between is left to who opens it."""
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        return f"it is no URL ({exc}); there are {SCHEMES}."
    if parts.scheme not in _KINDS:
        nearest = meant(parts.scheme, _KINDS)
        hint = nearest if nearest.startswith("did you mean") else f"there are {SCHEMES}."
        return (
            f'"{parts.scheme}:" is no kind of store; {hint}' if parts.scheme else f"it is no URL; there are {SCHEMES}."
        )
    if parts.scheme == "sqlite" and (parts.netloc or len(parts.path) < 2):
        return no_file(url)
    return ""


def no_file(url: str) -> str:
    """Say that a URL of SQLite names no file."""
    return f'The URL "{url}" names no file: write sqlite:///relative.db or sqlite:////absolute/path.db.'
