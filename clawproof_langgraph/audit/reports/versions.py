"""Who has written a report."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import Final

NAME: Final = "clawproof"
"""The name of the command."""

PACKAGE: Final = "clawproof-langgraph"


def version() -> str:
    """Give the version of the package that is installed; `0` where it runs from a folder that is not installed."""
    try:
        return installed(PACKAGE)
    except PackageNotFoundError:
        return "0"
