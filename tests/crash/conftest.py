"""The process that runs cells."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.warm import WarmParent


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmParent]:
    """Give a process that has imported everything and opened nothing."""
    made = WarmParent()
    yield made
    made.close()
