"""The process that imports a file of the project and walks its compiled graphs: `python -m ...walk`.

It gets its job as JSON on its standard input, and writes what it has found into a file. What the project prints goes
nowhere: it cannot be mixed up with a report.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from clawproof_langgraph.audit.loading.model import Failure, Loaded, LoadedAgent, LoadedTool, Remark

_LONGEST: Final = 400
"""The most characters of an error that are told."""

_UNNAMED: Final = "LangGraph"
"""What LangGraph calls a graph that was given no name."""

_HINTS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")


@dataclass(frozen=True, slots=True)
class Job:
    """What to load.

    Args:
        root: the folder of the project.
        file: relative to it.
        module: the dotted name under which the program imports it.
        attributes: the graphs in it.
        asked: whether they were named by somebody: then a factory among them is called.
        paths: where modules are imported from, before all else.
        answer: the file to write to.
    """

    root: str
    file: str
    module: str
    attributes: tuple[str, ...]
    asked: bool
    paths: tuple[str, ...]
    answer: str


def main() -> None:
    """Do the job that is on the standard input."""
    said = json.load(sys.stdin)
    job = Job(**{**said, "attributes": tuple(said["attributes"]), "paths": tuple(said["paths"])})
    _be_quiet()
    sys.path[:0] = job.paths
    sys.argv = [job.file]
    answer = json.dumps(asdict(asyncio.run(_load(job))))
    Path(job.answer).write_text(answer, "utf-8")
    os._exit(0)  # threads and exit handlers of the project must not keep the audit waiting


def _be_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


async def _load(job: Job) -> Loaded:
    try:
        module = importlib.import_module(job.module)
    except BaseException as exc:  # noqa: BLE001 - sys.exit() in a module must not end the audit
        return Loaded(job.file, failures=(_failure(job, job.file, exc),))
    agents: list[LoadedAgent] = []
    remarks: dict[Remark, None] = {}
    failures: list[Failure] = []
    for name in job.attributes:
        what = f"{job.file}:{name}"
        try:
            async with _made(module, name, asked=job.asked) as graph:
                found = _Walk(job, graph, name)
                agents += found.agents()
                remarks |= dict.fromkeys(found.remarks())
        except _NoGraph as exc:
            if job.asked:
                failures.append(Failure(what, str(exc), job.file))
        except BaseException as exc:  # noqa: BLE001 - of a factory, as of a module
            failures.append(_failure(job, what, exc))
    return Loaded(job.file, tuple(agents), tuple(remarks), tuple(failures))


def _failure(job: Job, what: str, exc: BaseException) -> Failure:
    """Say in one line why something could not be loaded, and where in the project that was."""
    first = next(iter(str(exc).strip().splitlines()), "")
    why = f"it cannot be imported: {type(exc).__name__}{f': {first}' if first else ''}"
    root = Path(job.root).resolve()
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        path = Path(frame.filename)
        if path.is_absolute() and path.resolve().is_relative_to(root):
            return Failure(what, why[:_LONGEST], path.resolve().relative_to(root).as_posix(), frame.lineno or 0)
    return Failure(what, why[:_LONGEST], job.file)


# --- from an attribute to a graph ---------------------------------------------------------------------------------


class _NoGraph(Exception):
    """An attribute is no graph; the message says what it is."""


@asynccontextmanager
async def _made(module: Any, name: str, *, asked: bool) -> AsyncIterator[Any]:
    """Give the compiled graph that an attribute of a module is or makes, as LangGraph Server would."""
    from langgraph.graph import StateGraph
    from langgraph.pregel import Pregel

    if not hasattr(module, name):
        raise _NoGraph(f"its module has no attribute {name}")
    value = getattr(module, name)
    if asked and callable(value) and not isinstance(value, Pregel | StateGraph):
        value = value(*_arguments(value))
        value = await value if inspect.isawaitable(value) else value
    if hasattr(value, "__aenter__"):
        async with value as entered:
            yield _compiled(entered)
    elif hasattr(value, "__enter__") and not isinstance(value, Pregel):
        with value as entered:
            yield _compiled(entered)
    else:
        yield _compiled(value)


def _compiled(value: Any) -> Any:
    from langgraph.graph import StateGraph
    from langgraph.pregel import Pregel

    value = value.compile() if isinstance(value, StateGraph) else value
    if not isinstance(value, Pregel):
        raise _NoGraph(f"it is no graph, but {type(value).__name__}")
    return value


def _arguments(factory: Any) -> list[Any]:
    """Give what a factory is called with: nothing, or an empty config, as the server would give it one."""
    needed = [
        each
        for each in inspect.signature(factory).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    match needed:
        case []:
            return []
        case [one] if one.kind is not one.KEYWORD_ONLY and _is_config(one):
            return [{"configurable": {}}]
        case _:
            names = ", ".join(each.name for each in needed)
            raise _NoGraph(f"it is a factory that needs arguments ({names}), which an audit does not know")


def _is_config(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    said = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return parameter.name == "config" or said.rpartition(".")[2] == "RunnableConfig"


# --- from a graph to data -----------------------------------------------------------------------------------------


class _Walk:
    """Looks into a compiled graph.

    Args:
        job: the job.
        graph: the graph.
        attribute: its name in the module.
    """

    def __init__(self, job: Job, graph: Any, attribute: str) -> None:
        self._root = Path(job.root).resolve()
        self._graph, self._attribute = graph, attribute
        self._guards: dict[int, Any] = {}

    def agents(self) -> Iterator[LoadedAgent]:
        """Find the places where tools run."""
        from clawproof_langgraph.graph.structure import rooms_of

        for room in rooms_of(self._graph):
            if room.tools:
                yield self._agent(room)

    def remarks(self) -> Iterator[Remark]:
        """Ask the guards that were found what they say of the graph."""
        for guard in self._guards.values():
            for said in guard.check(self._graph):
                yield Remark(said.kind, said.where, said.what, said.remedy)

    def _agent(self, room: Any) -> LoadedAgent:
        sync, async_ = (self._guard_in(room.place.tool_node, name) for name in ("_wrap_tool_call", "_awrap_tool_call"))
        guard = sync or async_
        hooks = "both" if (sync is None) == (async_ is None) else "sync" if sync else "async"
        name, named = self._name(room.place.path, guard)
        tools = tuple(self._tool(tool, guard) for tool in room.tools)
        unmapped = guard.unmapped if guard is not None else "error"
        store = guard.coordinator.store if guard is not None else ""
        return LoadedAgent(name, named, room.place.name, tools, hooks, unmapped, store)

    def _guard_in(self, node: Any, hook: str) -> Any:
        """Find the guard that a hook of a ToolNode holds on to."""
        from langchain_core.tools import BaseTool
        from langgraph.pregel import Pregel

        from clawproof_langgraph.graph.references import reachable
        from clawproof_langgraph.guard import Guard

        held = getattr(node, hook, None)
        for item in reachable(held, until=lambda each: isinstance(each, BaseTool | Pregel)):
            if isinstance(item, Guard):
                self._guards[id(item)] = item
                return item
        return None

    def _name(self, path: tuple[str, ...], guard: Any) -> tuple[str, bool]:
        """Name an agent: as its guard says, its node in the outer graph, or its graph."""
        if guard is not None and guard.agent:
            return guard.agent, True
        if len(path) > 1:
            return path[-2], True
        own = self._graph.name
        return (own, True) if own and own != _UNNAMED else (self._attribute, False)

    def _tool(self, tool: Any, guard: Any) -> LoadedTool:
        from clawproof_langgraph.graph.outcomes import is_mcp
        from clawproof_langgraph.graph.tools import calls_of

        calls = calls_of(tool)
        policy = calls.policy if calls is not None else guard.policy_of(tool) if guard is not None else None
        terms, unread = _terms(policy) if policy is not None else (None, ())
        file, line = self._place(tool)
        guarded = calls is not None or guard is not None
        return LoadedTool(tool.name, file, line, guarded, terms, unread, is_mcp(tool), _hints(tool.metadata or {}))

    def _place(self, tool: Any) -> tuple[str, int]:
        for function in (getattr(tool, "func", None), getattr(tool, "coroutine", None), type(tool)._run):
            code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
            path = Path(code.co_filename).resolve() if code is not None else None
            if code is not None and path is not None and path.is_relative_to(self._root):
                return path.relative_to(self._root).as_posix(), code.co_firstlineno
        return "", 0


def _terms(policy: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Part a policy into what can be written as JSON and the names of what cannot."""
    terms: dict[str, Any] = {
        "effect": str(policy.effect.value),
        "locks": [[lock.resource, lock.mode.value] for lock in policy.lock_list()],
    }
    unread = []
    for name in ("ttl", "wait", "expected", "key", "key_fields", "on_in_doubt", "requires_read", "emits"):
        value = getattr(policy, name)
        try:
            terms[name] = json.loads(json.dumps(value))
        except (TypeError, ValueError):  # a key that is a function
            unread.append(name)
    if policy.retry is False:
        terms["retry"] = False
    return terms, tuple(unread)


def _hints(metadata: dict[str, Any]) -> tuple[tuple[str, bool], ...]:
    """Read what an MCP server says of a tool, in either place where an adapter puts it."""
    nested: Any = metadata
    for name in ("mcp", "tool", "annotations"):
        nested = nested.get(name) if isinstance(nested, dict) else None
    found = {}
    for hint in _HINTS:
        snake = "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in hint)
        value = metadata.get(hint, nested.get(snake) if isinstance(nested, dict) else None)
        if isinstance(value, bool):
            found[hint] = value
    return tuple(found.items())


if __name__ == "__main__":
    main()
