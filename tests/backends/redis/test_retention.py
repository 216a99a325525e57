"""What a sweep leaves of the log on the server."""

from __future__ import annotations

import pytest

from clawproof_langgraph.backends.redis import RedisBackend
from clawproof_langgraph.events import EventFilter
from clawproof_langgraph.model import Note, Sweep
from clawproof_langgraph.testing.clock import ManualClock
from tests.servers import Server


@pytest.mark.parametrize("terms", [Sweep(keep_events=60.0), Sweep(max_events=0)], ids=["old", "too many"])
def test_the_newest_entry_stays(redis_server: Server, terms: Sweep) -> None:
    """An end of a range without a second number reaches to the last entry of that number, also if it is left out."""
    clock = ManualClock()
    backend = RedisBackend(redis_server.url, f"newest-{terms.max_events}", clock=clock)
    cursors = [backend.record(Note("A")) for _ in range(3)]
    clock.advance(3600)
    backend.sweep(terms)
    assert [event.cursor for event in backend.events(EventFilter())] == cursors[-1:]
    backend.close()
