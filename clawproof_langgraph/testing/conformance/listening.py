"""Hearing at once that an agent was stopped or may go on, where the store can push."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from clawproof_langgraph.backends.base import Backend, Deaf
from clawproof_langgraph.model import Kill, Revive
from clawproof_langgraph.testing.builders import ask
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import MakeBackend, Suite
from clawproof_langgraph.testing.faces import Face

_PROMPT: Final = 2.0
"""Seconds in which a word comes, also on a slow machine; a heartbeat of a lease of 30 seconds takes ten."""

Heard = queue.Queue[str]


@contextmanager
def listening(backend: Backend, session: str = "s1") -> Iterator[Heard]:
    """Collect what is heard."""
    heard: Heard = queue.Queue()
    began = backend.listen(session, heard.put)
    if isinstance(began, Deaf):
        pytest.skip("the store does not push: a stop is told by renewals")
    try:
        yield heard
    finally:
        began.close()


class Listening(Suite):
    """What renewals tell, too, but sooner."""

    def test_who_has_leases_of_an_agent_hears_that_it_was_stopped_and_may_go_on(self, store: Face) -> None:
        with listening(store.backend) as heard:
            store.granted(ask("a", "inventory/1", agent="orders"))
            store.record(Kill("orders"))
            assert heard.get(timeout=_PROMPT) == "orders"
            store.record(Revive("orders"))
            assert heard.get(timeout=_PROMPT) == "orders"

    def test_a_stop_elsewhere_is_heard_here(self, make_backend: MakeBackend, clock: ManualClock) -> None:
        here, there = make_backend(clock), make_backend(clock)
        here.begin(ask("a", "inventory/1", agent="orders"))
        with listening(here) as heard:
            there.record(Kill("orders"))
            assert heard.get(timeout=_PROMPT) == "orders"
        here.close()
        there.close()

    def test_all_who_have_leases_hear_it(self, backend: Backend) -> None:
        with listening(backend, "s1") as one, listening(backend, "s2") as other:
            backend.begin(ask("a", "inventory/1", session="s1", agent="orders"))
            backend.begin(ask("b", "inventory/2", session="s2", agent="orders"))
            backend.record(Kill("orders"))
            assert one.get(timeout=_PROMPT) == other.get(timeout=_PROMPT) == "orders"

    def test_stops_of_several_agents_are_all_heard(self, store: Face) -> None:
        agents = [f"agent-{number}" for number in range(20)]
        with listening(store.backend) as heard:
            for agent in agents:
                store.granted(ask(agent, f"inventory/{agent}", agent=agent))
                store.record(Kill(agent))
                # One after the other: what is said faster than it is heard may be left to the heartbeat.
                assert heard.get(timeout=_PROMPT) == agent

    def test_who_has_closed_hears_no_more(self, backend: Backend) -> None:
        heard: Heard = queue.Queue()
        began = backend.listen("s1", heard.put)
        began.close()
        began.close()
        with listening(backend, "s2") as others:
            backend.begin(ask("a", "inventory/1", session="s1", agent="orders"))
            backend.begin(ask("b", "inventory/2", session="s2", agent="orders"))
            backend.record(Kill("orders"))
            others.get(timeout=_PROMPT)
        assert heard.empty()

    def test_closing_the_store_ends_what_listens(self, make_backend: MakeBackend, clock: ManualClock) -> None:
        backend = make_backend(clock)
        began = backend.listen("s1", lambda agent: None)
        backend.close()
        began.close()
