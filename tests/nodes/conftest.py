"""Every test of this folder runs over each embedded store, and where it asks for a mode, sync and async."""

import pytest

from clawproof_langgraph import Coordinator, Guard
from tests.graph.conftest import coordinator, mode, url

from .scoped import Seen

__all__ = ["coordinator", "guard", "mode", "seen", "url"]


@pytest.fixture
def guard(coordinator: Coordinator) -> Guard:
    """Give a guard without tools."""
    return Guard(coordinator)


@pytest.fixture
def seen(coordinator: Coordinator) -> Seen:
    """Give what notes what is held."""
    return Seen(coordinator)
