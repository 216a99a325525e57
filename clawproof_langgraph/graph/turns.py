"""One run at a time for each thread: what a run holds while it is at work on its thread's checkpoints."""

from __future__ import annotations

from typing import Any, Literal, get_args

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.durations import seconds
from clawproof_langgraph.errors import ConfigurationError, meant
from clawproof_langgraph.graph.runs import Graph, agent_in, configurable_of, pulse_of
from clawproof_langgraph.held_lock import HeldRun
from clawproof_langgraph.model import Mode, Want
from clawproof_langgraph.runtime.context import current_frame
from clawproof_langgraph.templates import agent_name, canonical

OnConflict = Literal["queue", "reject"]

_PREFIX = "!thread/"
"""Sorts before what tools lock, for their calls nest in the run."""
_PATIENCE = 300.0
"""Seconds that a run waits for the one before it, if nobody says how long: models take their time."""


class Turns:
    """Lets the runs of one thread go one after the other.

    Args:
        coordinator: where.
        agent: the agent's name; empty to find it per run.
        on_conflict: whether a run waits for the one before it, or is refused.
        wait: seconds to wait at most; None for five minutes, and not at all where it is refused.
        ttl: seconds after which the turn of a process that died passes on.

    Raises:
        ConfigurationError: an argument is unknown, or contradicts another.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        agent: str,
        *,
        on_conflict: OnConflict,
        wait: str | float | None,
        ttl: str | float,
    ) -> None:
        if on_conflict not in get_args(OnConflict):
            known = meant(on_conflict, get_args(OnConflict))
            raise ConfigurationError(f'on_conflict="{on_conflict}" is not known; {known}')
        if on_conflict == "reject" and wait is not None:
            raise ConfigurationError(f'on_conflict="reject" does not wait; remove wait={wait!r}, or write "queue".')
        self._coordinator, self._agent, self._ttl = coordinator, agent, seconds(ttl, "ttl")
        if self._ttl <= 0:
            raise ConfigurationError('ttl must be more than zero. Try "30s".')
        patience = _PATIENCE if wait is None else seconds(wait, "wait")
        self._wait = 0.0 if on_conflict == "reject" else patience

    def lock(self, graph: Graph, given: Any, config: Any) -> HeldRun | None:
        """Make the lock of a run; None for one inside a run of the same thread.

        Raises:
            ConfigurationError: the run has no thread.
        """
        configurable = configurable_of(graph, config)
        thread = str(configurable.get("thread_id") or "")
        if not thread:
            raise ConfigurationError(
                f'Graph "{graph.get_name()}" was not run: serialize_threads() needs to know the thread. Invoke it with '
                f'config={{"configurable": {{"thread_id": "..."}}}}.'
            )
        name = canonical(f"{_PREFIX}{thread}", "the thread_id")
        if "__pregel_task_id" in configurable or self._is_held(name):
            return None
        agent = self._agent or agent_name(agent_in(graph, config))
        return HeldRun(
            self._coordinator, (Want(name, Mode.EXCLUSIVE),), agent, self._ttl, self._wait, thread=thread,
            pulse=pulse_of(configurable),
            busy=f'clawproof: another run of this thread ("{thread}") is going on.',
        )  # fmt: skip

    async def alock(self, graph: Graph, given: Any, config: Any) -> HeldRun | None:
        """Do what `lock` does, from an event loop."""
        return self.lock(graph, given, config)

    def _is_held(self, name: str) -> bool:
        frame = current_frame()
        links = frame.links if frame is not None else ()
        return any(
            want.resource == name for link in links if link.coordinator is self._coordinator for want in link.wants
        )
