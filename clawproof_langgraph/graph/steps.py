"""Which intended execution of a node a running task is: the same over resume, retry and replay, and no other.

A task's id holds over resume and retry, but a replay from an earlier checkpoint begins with a copy of that checkpoint,
under an id of its own. So a step is named by the checkpoint that the first in a chain of such copies was made of. A
copy that was changed on the way, as by `Command(update=...)`, is where another history begins.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from langgraph.checkpoint.base import CheckpointTuple

from clawproof_langgraph.graph.identity import CallSite, site_of_config
from clawproof_langgraph.graph.surroundings import loop_of
from clawproof_langgraph.keys import digest

Config = Mapping[str, Any]
_Lookup = Generator[Any, CheckpointTuple | None, str]
"""Yields configs of checkpoints, and is sent what is stored under them."""


def site_of_node(config: Config | None) -> CallSite:
    """Read where the call of a node comes from."""
    search, saver = _search(config)
    try:
        wanted = next(search)
        while True:
            wanted = search.send(saver.get_tuple(wanted))
    except StopIteration as found:
        return _site(config, found.value)


async def asite_of_node(config: Config | None) -> CallSite:
    """Do what `site_of_node` does, from an event loop."""
    search, saver = _search(config)
    try:
        wanted = next(search)
        while True:
            wanted = search.send(await saver.aget_tuple(wanted))
    except StopIteration as found:
        return _site(config, found.value)


def _site(config: Config | None, step: str) -> CallSite:
    site = site_of_config(config, None)
    return site.of_step(step) if step else site


def _search(config: Config | None) -> tuple[_Lookup, Any]:
    configurable = (config or {}).get("configurable") or {}
    loop = loop_of(configurable)
    task = getattr(loop, "tasks", {}).get(configurable.get("__pregel_task_id"))
    return _step(loop, task), getattr(loop, "checkpointer", None)


def _step(loop: Any, task: Any) -> _Lookup:
    path = _words(getattr(task, "path", ()))
    known = all(hasattr(loop, name) for name in ("checkpoint", "checkpoint_metadata", "prev_checkpoint_config"))
    if not (path and known):  # the id of the task names it, which a replay changes
        return ""
    origin = yield from _origin(loop)
    # A resume may change the state, too: what was begun with another one is another call.
    versions = [f"{name} {version}" for name, version in sorted(loop.checkpoint["channel_versions"].items())]
    return digest("step", origin, *path, *versions)


def _origin(loop: Any) -> _Lookup:
    found, versions = str(loop.checkpoint["id"]), loop.checkpoint["channel_versions"]
    source, parent = loop.checkpoint_metadata.get("source"), loop.prev_checkpoint_config
    while source == "fork" and parent and loop.checkpointer is not None:
        copied = yield parent
        if copied is None or copied.checkpoint["channel_versions"] != versions:
            break
        found = str(copied.checkpoint["id"])
        source, parent = copied.metadata.get("source"), copied.parent_config
    return found


def _words(path: Any) -> list[str]:
    """Spell the place of a task in its graph; empty where a call is part of it, which has no name."""
    plain = isinstance(path, tuple) and all(isinstance(part, str | int | bool) for part in path)
    return [str(part) for part in path] if plain else []
