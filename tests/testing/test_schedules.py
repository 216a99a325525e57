"""Random schedules of twelve agents: guarded, they keep what must hold; else they break it.

`python -m tests.testing.schedules --schedules 1000` plays as many as one has patience for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import Server
from tests.servers.fixtures import redis_server
from tests.testing.schedules import Way, play

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
    report, refused = play(seed, url, str(tmp_path))

    assert report.ok, report
    assert report.turns == {"ended": 12}
    assert not report.overlaps and not report.in_doubt
    assert any(refused), "nobody was overtaken while it was thinking"


@pytest.mark.parametrize("way", ["unread", "unguarded"])
@pytest.mark.parametrize("seed", SEEDS[:1])
def test_the_same_schedules_break_without_it(seed: int, way: Way, url: str | None, tmp_path: Path) -> None:
    report, refused = play(seed, url, str(tmp_path), way=way)

    assert [finding.kind for finding in report.findings] == ["invariant"], report
    assert not any(refused)
    assert any("no guarded call is in the log" in note for note in report.notes) is (way == "unguarded")


def test_twelve_agents_that_want_the_same_counter_all_come_to_an_end(url: str | None, tmp_path: Path) -> None:
    report, refused = play(0, url, str(tmp_path), crowd=True)

    assert report.ok, report
    # Whoever is refused was overtaken: the first of twelve by nobody, the last by the eleven others at most.
    assert len(refused) == 12 and max(refused) <= 11
