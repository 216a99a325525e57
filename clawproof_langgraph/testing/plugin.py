"""The pytest plugin: the fixture `coordinator`, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from clawproof_langgraph import Coordinator


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Coordinator]:
    """Give a coordinator over a fresh SQLite file, closed after the test."""
    from clawproof_langgraph import Coordinator  # a test run that does not use the fixture pays nothing

    url = f"sqlite:///{tmp_path / 'clawproof.db'}?synchronous=normal"
    with Coordinator.from_url(url) as made:
        yield made
