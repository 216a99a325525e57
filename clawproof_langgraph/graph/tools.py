"""Guarded copies of tools: a subclass of the tool's own class whose body runs under coordination.

`run` and `arun` note who is called; `_run` and `_arun`, which get the validated arguments and see raw exceptions, go
through the guard. A tool that is sync only is run on a thread by the guard, after its turn has come on the loop.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Final, get_type_hints

from langchain_core.tools import BaseTool, StructuredTool, Tool
from langgraph.prebuilt import ToolRuntime

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.graph.calls import GuardedCalls
from clawproof_langgraph.graph.identity import CallSite, site_of_config
from clawproof_langgraph.graph.seen import with_versions
from clawproof_langgraph.graph.subgraphs import in_force
from clawproof_langgraph.model import Versions

_CALLS: Final = "_clawproof_calls"
_NEVER_FINGERPRINTED: Final = frozenset({"run_manager", "callbacks", "config"})

_SINGLE_INPUT: Final = "tool_input"
"""What LangChain calls the argument of a tool that has but one."""

site_from_hook: ContextVar[tuple[BaseTool, CallSite] | None] = ContextVar("clawproof_site", default=None)
"""What a ToolNode hook knows of the call that it passes on, and for which guarded copy: not for what that calls."""


class _AsyncOnly(ConfigurationError, NotImplementedError):
    """Says, as LangChain does with NotImplementedError, that a tool has no sync body."""


class _Invocation:
    """One entry into a tool through `run` or `arun`, until its body takes it."""

    __slots__ = ("config", "site", "taken", "tool", "tool_call_id", "versions")

    def __init__(self, tool: BaseTool, kwargs: dict[str, Any]) -> None:
        self.tool, self.tool_call_id, self.config = tool, kwargs.get("tool_call_id"), kwargs.get("config")
        self.site, self.taken = entry_site(tool, kwargs), False
        self.versions: Versions = ()

    def note(self, versions: Versions) -> None:
        """Note which versions the answer is to tell."""
        self.versions = versions

    def answered(self, output: Any) -> Any:
        """Give what the tool has answered, with the versions that it is to tell."""
        if not self.versions:
            return output
        calls: GuardedCalls = self.tool.__dict__[_CALLS]
        return with_versions(output, self.tool_call_id, self.versions, calls.space)


_invocation: ContextVar[_Invocation | None] = ContextVar("clawproof_invocation", default=None)


def entry_site(tool: BaseTool, kwargs: dict[str, Any]) -> CallSite:
    """Tell where a call of `run` or `arun` comes from: from the hook that passes it on, else from its config."""
    known = site_from_hook.get()
    if known is not None and known[0] is tool:
        return known[1]
    return site_of_config(kwargs.get("config"), kwargs.get("tool_call_id"))


def guarded_copy(tool: BaseTool, calls: GuardedCalls) -> BaseTool:
    """Copy a tool so that its calls are coordinated; the copy keeps type, schema, injected arguments and artifacts."""
    copy = tool.model_copy()
    copy.__dict__[_CALLS] = calls
    object.__setattr__(copy, "__class__", _guarded_class(type(tool)))
    return copy


def calls_of(tool: BaseTool) -> GuardedCalls | None:
    """Give what coordinates the calls of a guarded copy, None for any other tool."""
    return tool.__dict__.get(_CALLS)


def is_guarded(tool: BaseTool) -> bool:
    """Tell whether a tool is a guarded copy."""
    return _CALLS in tool.__dict__


def model_arguments(tool: BaseTool) -> frozenset[str] | None:
    """List the arguments that the model gives, None where the tool's schema does not tell."""
    if isinstance(tool, Tool) and tool.args_schema is None:
        return frozenset({_SINGLE_INPUT})
    schema = tool.tool_call_schema
    if isinstance(schema, dict):
        properties = schema.get("properties")
        return None if properties is None else frozenset(properties)
    fields = schema.model_fields if hasattr(schema, "model_fields") else schema.__fields__
    return frozenset(fields) - _NEVER_FINGERPRINTED


@functools.lru_cache(maxsize=256)
def _guarded_class(kind: type[BaseTool]) -> type[BaseTool]:
    """Make the guarded subclass of a tool class, once: making one takes most of a millisecond."""
    members: dict[str, Any] = {
        "run": _entering(kind.run),
        "arun": _aentering(kind.arun),
        "_run": _with_resolved_hints(_guarding(kind._run)),
        "_arun": _with_resolved_hints(_aguarding(kind)),
    }
    if kind.ainvoke in (StructuredTool.ainvoke, Tool.ainvoke):
        # These go to a thread before anything else, where waiting for a turn could starve its holder.
        members["ainvoke"] = BaseTool.ainvoke
    return subclass(kind, members)


def subclass(kind: type[BaseTool], members: dict[str, Any]) -> type[BaseTool]:
    """Make a subclass of a tool class that overrides some members and looks like it otherwise."""
    members = {"__module__": kind.__module__, "__doc__": kind.__doc__, **members}
    made: type[BaseTool] = type(kind)(kind.__name__, (kind,), members)  # type: ignore[misc]
    return made


def _entering(run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def entering(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        entry = _enter(self, kwargs)
        try:
            return entry[0].answered(run(self, *args, **kwargs))
        finally:
            _leave(entry)

    return entering


def _aentering(arun: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(arun)
    async def entering(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        entry = _enter(self, kwargs)
        try:
            return entry[0].answered(await arun(self, *args, **kwargs))
        finally:
            _leave(entry)

    return entering


_Entry = tuple[_Invocation, Token[_Invocation | None], Token[tuple[BaseTool, CallSite] | None]]


def _enter(tool: BaseTool, kwargs: dict[str, Any]) -> _Entry:
    invocation = _Invocation(tool, kwargs)
    # What the hook knows is for this call alone, and not for the tools that its body may call.
    return invocation, _invocation.set(invocation), site_from_hook.set(None)


def _leave(entry: _Entry) -> None:
    _invocation.reset(entry[1])
    site_from_hook.reset(entry[2])


def _guarding(run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def guarded(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        invocation = _take(self)
        if invocation is None:
            return run(self, *args, **kwargs)
        if not _has_sync_body(self):
            raise _AsyncOnly(
                f'Tool "{self.name}" is async only; use ainvoke() or astream() of the '
                f"graph or the tool, and give a ToolNode both hooks, as guard.tool_node() does."
            )
        calls: GuardedCalls = self.__dict__[_CALLS]
        code = _code(run, self, args, kwargs, invocation)
        values = _values(invocation, args, kwargs)
        return calls.run(code, values, invocation.site, invocation.tool_call_id, invocation.note)

    return guarded


def _aguarding(kind: type[BaseTool]) -> Callable[..., Any]:
    arun, run = kind._arun, kind._run
    native = arun is not BaseTool._arun

    # The base class looks at the signature to decide what to pass: without an async body of its own, the sync one's.
    @functools.wraps(arun if native else run)
    async def guarded(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        invocation = _take(self)
        if invocation is None:
            return await arun(self, *args, **kwargs)
        calls: GuardedCalls = self.__dict__[_CALLS]
        code = acode = None
        if native and _has_async_body(self):
            acode = _code(arun, self, args, kwargs, invocation)
        else:
            code = _code(run, self, args, _for_thread(kwargs), invocation)
        values = _values(invocation, args, kwargs)
        return await calls.arun(code, acode, values, invocation.site, invocation.tool_call_id, invocation.note)

    return guarded


def _code(
    body: Callable[..., Any], tool: BaseTool, args: tuple[Any, ...], kwargs: dict[str, Any], invocation: _Invocation
) -> Callable[[], Any]:
    return lambda: body(tool, *args, **in_force(kwargs, invocation.config))


def _with_resolved_hints(guarded: Callable[..., Any]) -> Callable[..., Any]:
    """Resolve the annotations of a guarded body once: LangChain asks for them at every call, which takes 50 µs."""
    try:
        signature, hints = inspect.signature(guarded), get_type_hints(guarded, include_extras=True)
    except Exception:  # noqa: BLE001 - names that are known to type checkers only: LangChain goes on without them, too
        return guarded
    guarded.__signature__ = signature  # type: ignore[attr-defined]
    guarded.__annotations__ = hints
    return guarded


def _take(tool: BaseTool) -> _Invocation | None:
    """Take the invocation of a tool; None where its body calls itself, as a fallback from `_arun` to `_run` does."""
    invocation = _invocation.get()
    if invocation is None or invocation.tool is not tool or invocation.taken:
        return None
    invocation.taken = True
    return invocation


def _has_sync_body(tool: BaseTool) -> bool:
    return not isinstance(tool, StructuredTool | Tool) or tool.func is not None


def _has_async_body(tool: BaseTool) -> bool:
    return not isinstance(tool, StructuredTool | Tool) or tool.coroutine is not None


def _for_thread(kwargs: dict[str, Any]) -> dict[str, Any]:
    manager = kwargs.get("run_manager")
    return kwargs if manager is None else {**kwargs, "run_manager": manager.get_sync()}


def _values(invocation: _Invocation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Give the validated arguments that the model gave, by name."""
    names = _model_arguments_of(invocation.tool)
    values = {
        name: value
        for name, value in kwargs.items()
        if (name in names if names is not None else name not in _NEVER_FINGERPRINTED)
        and (value is None or value is not invocation.config)  # a config parameter may have any name
        and not isinstance(value, ToolRuntime)  # LangGraph injects it by the name `runtime`, whatever the schema says
    }
    if args:
        values.update(zip(sorted(names or (_SINGLE_INPUT,)), args, strict=False))
    return values


def _model_arguments_of(tool: BaseTool) -> frozenset[str] | None:
    memo = "_clawproof_arguments"
    if memo not in tool.__dict__:
        tool.__dict__[memo] = model_arguments(tool)
    return tool.__dict__[memo]  # type: ignore[no-any-return]
