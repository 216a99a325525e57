"""What the fast paths of the scripts answer, the rules would have answered, and have written, too."""

from __future__ import annotations

from collections.abc import Iterator
from random import SystemRandom

import pytest

from tests.backends.redis.both_ways import Pair, play
from tests.servers import Server


@pytest.fixture
def pair(redis_server: Server) -> Iterator[Pair]:
    pair = Pair(redis_server.port)
    yield pair
    pair.clear()
    pair.close()


@pytest.mark.parametrize("seeds", [range(300), None], ids=["known", "new"])
def test_fast_paths_write_what_the_rules_would(pair: Pair, seeds: range | None) -> None:
    first = SystemRandom().randrange(1_000_000, 1_000_000_000)

    for seed in seeds or range(first, first + 200):
        assert not (found := play(pair, seed)), found

    pair.clear()
    for name in ("begin", "settle"):
        assert pair.left[name] < 0.7 * pair.sent[name], f"the fast path of {name} has hardly been asked"
