"""Numbers for the graphs that a tool's body runs, so that each of them finds its own checkpoints again.

LangGraph tells the graphs that one task runs apart by the order in which they start. Where a ToolNode runs several
calls in one task, that order is another one as soon as a call is answered without running, or has to wait for its turn:
the graph of one call would go on from the checkpoints of another, and leave its own work undone. So the graphs of a
guarded call are numbered from a number of its own, and from the same one in each attempt that a RetryPolicy makes.

That number is the same in every turn, because a graph compiled with `checkpointer=True` finds its memory by it. A call
that has its task to itself, as each call of an agent made by `create_agent`, keeps the numbers that LangGraph gives.
The first of them has none in its namespace, and only such a graph is found by those who look for sub-agents in the
stream, as `run.subagents` does.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, Final, cast

from langchain_core.runnables.config import var_child_runnable_config
from langgraph.prebuilt import ToolRuntime

from clawproof_langgraph.graph.identity import CallSite, executions
from clawproof_langgraph.graph.surroundings import in_tool_node, is_alone
from clawproof_langgraph.keys import digest

_log = logging.getLogger("clawproof_langgraph")

_SCRATCHPAD: Final = "__pregel_scratchpad"
_DIGITS: Final = 12
"""Hexadecimal digits of a call's first number: two calls of a task share one with a chance of 1 in 10**14."""


class numbered_apart:  # noqa: N801 - used as a function; made by a generator, it would take twice as long
    """Number the graphs that run in this context by the call that runs them.

    Args:
        site: where the call comes from.
        key: its idempotency key.
        nested: whether the code of another guarded call makes it, in the same task.
    """

    __slots__ = ("_numbered", "_token")

    def __init__(self, site: CallSite, key: str, *, nested: bool = False) -> None:
        config = var_child_runnable_config.get()
        self._numbered = (
            _with_scratchpad(config, _numbering(_scratchpad_of(config), site, key, nested)) if key else None
        )

    def __enter__(self) -> None:
        if self._numbered is not None:
            self._token = var_child_runnable_config.set(self._numbered)

    def __exit__(self, *exc: object) -> None:
        if self._numbered is not None:
            var_child_runnable_config.reset(self._token)


def in_force(arguments: Mapping[str, Any], config: Any) -> dict[str, Any]:
    """Give a body's arguments with the numbering of this context in the configs that it was handed.

    Args:
        arguments: by name.
        config: the one with which the tool was invoked.
    """
    scratchpad = _scratchpad_of(var_child_runnable_config.get())
    given = dict(arguments)
    for name, value in arguments.items():
        if value is config and (made := _with_scratchpad(value, scratchpad)):
            given[name] = made
        elif isinstance(value, ToolRuntime) and (made := _with_scratchpad(value.config, scratchpad)):
            given[name] = dataclasses.replace(value, config=made)
    return given


def _numbering(scratchpad: Any, site: CallSite, key: str, nested: bool) -> Any:
    # An internal of LangGraph's: where it has changed, the graphs keep the numbers that LangGraph gives them.
    if not (dataclasses.is_dataclass(scratchpad) and hasattr(scratchpad, "subgraph_counter")):
        return None
    counter = _counter(site, key, nested, scratchpad.subgraph_counter)
    return dataclasses.replace(cast("Any", scratchpad), subgraph_counter=counter)


def _counter(site: CallSite, key: str, nested: bool, langgraphs: Callable[[], int]) -> Callable[[], int]:
    def number() -> int:
        counted = executions.count(site, f"subgraphs of {key}")
        if counted is None:
            return langgraphs()
        company = _Company.NESTED if nested else _company_of(site)
        if company is _Company.NONE:
            return executions.once(site, f"subgraph {counted} of {key}", langgraphs)
        place = site.place if company is _Company.SIBLINGS else ""
        return int(digest("subgraphs", place or key)[:_DIGITS], 16) + 1 + counted

    return number


class _Company(Enum):
    """Who else may start graphs in the task of a call."""

    NONE = auto()
    SIBLINGS = auto()  # other calls of its message
    NESTED = auto()  # whatever the code does that makes the call


def _company_of(site: CallSite) -> _Company:
    try:
        if not in_tool_node(site.configurable):
            return _Company.NESTED
        return _Company.NONE if is_alone(site.configurable) else _Company.SIBLINGS
    except Exception:  # noqa: BLE001 - LangGraph is built in another way than expected: a number of its own does no harm
        _log.debug("the task of a call cannot be read", exc_info=True)
        return _Company.NESTED


def _scratchpad_of(config: Any) -> Any:
    return ((config or {}).get("configurable") or {}).get(_SCRATCHPAD)


def _with_scratchpad(config: Any, scratchpad: Any) -> Any:
    """Copy a config with another scratchpad; None where it has none to replace."""
    if scratchpad is None or _scratchpad_of(config) is None:
        return None
    return {**config, "configurable": {**config["configurable"], _SCRATCHPAD: scratchpad}}
