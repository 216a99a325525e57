"""The pytest plugin: the fixtures `coordinator`, fresh for each test, and `stress`, which runs agents together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from clawproof_langgraph import Coordinator
    from clawproof_langgraph.testing import StressReport


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Coordinator]:
    """Give a coordinator over a fresh SQLite file, closed after the test."""
    from clawproof_langgraph import Coordinator  # a test run that does not use the fixture pays nothing

    url = f"sqlite:///{tmp_path / 'clawproof.db'}?synchronous=normal"
    with Coordinator.from_url(url) as made:
        yield made


@pytest.fixture
def stress() -> Callable[..., StressReport]:
    """Give `run_agents`, which fails the test with its report if something broke."""

    def run(make_agent: Any, **options: Any) -> StressReport:
        from clawproof_langgraph.testing import run_agents

        __tracebackhide__ = True
        report = run_agents(make_agent, **options)
        if not report.ok:
            pytest.fail(str(report), pytrace=False)
        return report

    return run
