"""Random schedules of twelve agents: guarded, they keep what must hold; unguarded, they break it.

`python -m tests.testing.schedules --schedules 1000` plays as many as one has patience for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import Server
from tests.servers.fixtures import redis_server
from tests.testing.schedules import play

__all__ = ["redis_server"]

SEEDS = range(2)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Name a store; None is a new file."""
    if request.param == "redis":
        server: Server = request.getfixturevalue("redis_server")
        return server.url
    return "memory://" if request.param == "memory" else None


@pytest.mark.parametrize("seed", SEEDS)
def test_guarded_agents_keep_what_must_hold(seed: int, url: str | None, tmp_path: Path) -> None:
    report = play(seed, url, str(tmp_path))

    assert report.ok, report
    assert report.turns == {"ended": 24}
    assert not report.overlaps and not report.in_doubt


@pytest.mark.parametrize("seed", SEEDS[:1])
def test_the_same_schedules_break_without_the_guard(seed: int, url: str | None, tmp_path: Path) -> None:
    report = play(seed, url, str(tmp_path), guarded=False)

    assert [finding.kind for finding in report.findings] == ["invariant"], report
    assert any("no guarded call is in the log" in note for note in report.notes)
