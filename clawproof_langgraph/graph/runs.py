"""Locks for whole runs of a graph: a copy of a compiled graph whose runs hold them, from the first step to the last.

All ways to run a compiled graph lead through its `stream` and `astream`: `invoke`, `batch`, the streams of events, and
a run as a node of another graph. So the copy overrides these two, and is in all else the graph that it was.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any, Final, Protocol, TypeVar

from langchain_core.runnables.config import var_child_runnable_config
from langgraph.pregel import Pregel

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.held_lock import HeldRun

_HOLDS: Final = "_clawproof_holds"
_MARK: Final = "_clawproof_holding"
"""Marks the classes of graphs whose runs hold locks."""
_ADDRESS: Final = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")
"""What in a config says which checkpoints are meant."""

Graph = Pregel[Any, Any, Any, Any]
Configurable = Mapping[str, Any]
G = TypeVar("G", bound=Graph)


class Hold(Protocol):
    """Says what a run holds."""

    def lock(self, graph: Graph, given: Any, config: Any) -> HeldRun | None:
        """Make the lock of a run that is about to begin; None where it needs none."""

    async def alock(self, graph: Graph, given: Any, config: Any) -> HeldRun | None:
        """Do what `lock` does, from an event loop."""


def holding(graph: G, hold: Callable[[str], Hold], method: str) -> G:
    """Copy a compiled graph so that each of its runs holds a lock.

    Args:
        graph: what `compile()` gave.
        hold: makes, for the name of the graph, what says what a run holds; taken before what it holds already.
        method: of the guard, for an error.

    Raises:
        ConfigurationError: it is no compiled graph.
    """
    if not isinstance(graph, Pregel):
        raise ConfigurationError(f"{method}() takes a compiled graph, not {graph!r}; call compile() first.")
    made = copy.copy(graph)
    made.__dict__[_HOLDS] = (hold(graph.get_name()), *made.__dict__.get(_HOLDS, ()))
    made.__class__ = _holding_class(type(graph))  # type: ignore[assignment]
    return made


@functools.lru_cache(maxsize=64)
def _holding_class(kind: type[Graph]) -> type[Graph]:
    if hasattr(kind, _MARK):
        return kind

    def stream(self: Graph, input: Any, config: Any = None, **options: Any) -> Iterator[Any]:
        def bare() -> Iterator[Any]:
            return kind.stream(self, input, config, **options)

        for hold in reversed(self.__dict__[_HOLDS]):
            bare = functools.partial(_held, hold, self, input, config, bare)
        return bare()

    def astream(self: Graph, input: Any, config: Any = None, **options: Any) -> AsyncIterator[Any]:
        def bare() -> AsyncIterator[Any]:
            return kind.astream(self, input, config, **options)

        for hold in reversed(self.__dict__[_HOLDS]):
            bare = functools.partial(_aheld, hold, self, input, config, bare)
        return bare()

    def copied(self: Graph, update: dict[str, Any] | None = None) -> Graph:
        made: Graph = kind.copy(self, update)
        made.__dict__[_HOLDS] = self.__dict__[_HOLDS]
        return made

    members: dict[str, Any] = {"stream": stream, "astream": astream, "copy": copied, "__doc__": kind.__doc__}
    members |= {"__module__": kind.__module__, _MARK: True}
    made: type[Graph] = type(kind)(kind.__name__, (kind,), members)  # type: ignore[misc]
    return made


def _held(hold: Hold, graph: Graph, given: Any, config: Any, bare: Any) -> Iterator[Any]:
    lock = hold.lock(graph, given, config)
    if lock is None:
        yield from bare()
        return
    with lock as lease, closing(_inside(lock, bare())) as steps:
        for step in steps:
            yield step
            lease.check()  # whoever lost the lock, or was stopped, begins no other step


def _inside(lock: HeldRun, steps: Any) -> Generator[Any, None, None]:
    try:
        while True:
            with lock.inside():
                try:
                    step = next(steps)
                except StopIteration:
                    return
            yield step
    finally:
        with lock.inside():
            steps.close()


async def _aheld(hold: Hold, graph: Graph, given: Any, config: Any, bare: Any) -> AsyncIterator[Any]:
    lock = await hold.alock(graph, given, config)
    if lock is None:
        async with aclosing(bare()) as steps:
            async for step in steps:
                yield step
        return
    async with lock as lease, aclosing(_ainside(lock, bare())) as steps:
        async for step in steps:
            yield step
            lease.check()


async def _ainside(lock: HeldRun, steps: Any) -> AsyncGenerator[Any, None]:
    try:
        while True:
            with lock.inside():
                try:
                    step = await anext(steps)
                except StopAsyncIteration:
                    return
            yield step
    finally:
        with lock.inside():
            await steps.aclose()


# --- what a run is told -----------------------------------------------------------------------------------------


def configurable_of(graph: Graph, config: Any) -> Configurable:
    """Give what a run is told of where it is, as LangGraph puts it together.

    A config that names checkpoints of its own is not about those of the run around it.
    """
    given = {**_configurable(graph.config), **_configurable(config)}
    if any(given.get(name) for name in _ADDRESS):
        return given
    return {**_configurable(var_child_runnable_config.get()), **given}


def _configurable(config: Any) -> Configurable:
    return (config or {}).get("configurable") or {}


def agent_in(graph: Graph, config: Any) -> str:
    """Name the agent whose run it is, as far as LangGraph tells; empty if it does not."""
    metadata = {**((graph.config or {}).get("metadata") or {}), **((config or {}).get("metadata") or {})}
    return str(metadata.get("lc_agent_name") or "")


def pulse_of(configurable: Configurable) -> Any:
    """Give what tells LangGraph that a wait is not a hang."""
    return getattr(configurable.get("__pregel_runtime"), "heartbeat", None)
