"""Guarded copies of nodes: what LangGraph makes of a function, with a class that runs it under coordination.

LangGraph looks at a node in many ways: at its signature for what to inject, at its hints for the schema of its input
and for where it may go, at its closure for graphs inside it, at its async body for time-outs. A copy of what LangGraph
itself makes of the function answers all of them as before; only `invoke` and `ainvoke` go through the guard.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, Final

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.config import run_in_executor
from langchain_core.tools import BaseTool
from langgraph.graph import StateGraph
from langgraph.pregel.protocol import PregelProtocol

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.graph.node_calls import NodeCalls, values_of
from clawproof_langgraph.graph.steps import asite_of_node, site_of_node

_CALLS: Final = "_clawproof_calls"
_BARE: Final = "_clawproof_bare"
_FACE: Final = "_clawproof_face"

_Bare = Runnable[Any, Any]


def name_of(function: object, name: str | None) -> tuple[str, str]:
    """Name a node for humans, and tell it from all others.

    Raises:
        ConfigurationError: it has no name, and none is given.
    """
    if name is not None:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f'{name!r} does not name a node; write, for example, name="ship".')
        return name, name
    inner = function.func if isinstance(function, functools.partial) else function
    found = getattr(inner, "__name__", None) or getattr(inner, "name", None)
    if not found or found == "<lambda>":
        raise ConfigurationError(f'{function!r} has no name of its own: write guard.node(..., name="ship").')
    return str(found), f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', found)}"


def runnable_of(function: Any) -> _Bare:
    """Make of a node what LangGraph makes of it.

    Raises:
        ConfigurationError: it is no node, is a tool or a whole graph, or is guarded already.
    """
    if isinstance(function, PregelProtocol):
        raise ConfigurationError(
            f'"{function.get_name()}" is a graph: guard.scope(graph, policy) holds locks while it runs, and '
            f"guards of its nodes and tools see to their effects."
        )
    if isinstance(function, BaseTool):
        raise ConfigurationError(f'"{function.name}" is a tool; make a node with guard.tool_node([{function.name}]).')
    if is_guarded_node(function):
        raise ConfigurationError(f'Node "{function.get_name()}" is guarded already; guard it once.')
    if isinstance(function, type) or not (callable(function) or isinstance(function, Runnable)):
        raise ConfigurationError(f"{function!r} is no node; give a function of the state, or a Runnable.")
    if not isinstance(function, Runnable):
        return _made_of(function)
    # LangGraph takes a sequence to pieces, and past what is around it.
    return _in_one_piece(function) if hasattr(function, "steps") else function


def _made_of(function: Any) -> _Bare:
    # Not by its hints: these are looked at when it is added to the graph of which it becomes a node.
    builder: Any = StateGraph
    made: _Bare = builder(dict).add_node("node", function, input_schema=dict).nodes["node"].runnable
    return made


def _in_one_piece(sequence: _Bare) -> _Bare:
    def run(state: Any, config: RunnableConfig) -> Any:
        return sequence.invoke(state, config)

    async def arun(state: Any, config: RunnableConfig) -> Any:
        return await sequence.ainvoke(state, config)

    made: Any = _made_of(run)
    made.name, made.afunc = sequence.get_name(), arun
    return made  # type: ignore[no-any-return]


def guarded_node(function: Any, bare: _Bare, calls: NodeCalls, name: str) -> _Bare:
    """Copy what LangGraph made of a node so that its calls are coordinated."""
    is_function = not isinstance(function, Runnable)
    if is_function:  # else it has a name of its own
        bare.__dict__["name"] = name
    made = copy.copy(bare)
    made.__dict__[_CALLS], made.__dict__[_BARE] = calls, bare
    if is_function:
        made.__dict__["__signature__"] = inspect.signature(function)
        made.__dict__[_FACE] = _face(function)
    object.__setattr__(made, "__class__", _guarded_class(type(bare), is_function))
    return made


def is_guarded_node(node: object) -> bool:
    """Tell whether something is a guarded copy of a node."""
    return _CALLS in getattr(node, "__dict__", ()) and _BARE in node.__dict__


def calls_of_node(node: object) -> NodeCalls | None:
    """Give what coordinates the calls of a guarded node, None for any other node."""
    return node.__dict__[_CALLS] if is_guarded_node(node) else None


@functools.lru_cache(maxsize=64)
def _guarded_class(kind: type[_Bare], is_function: bool) -> type[_Bare]:
    members: dict[str, Any] = {
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        "invoke": _invoke,
        "ainvoke": _ainvoke,
        # Those of other kinds go past `invoke`. These give what it returns, in one piece.
        "stream": Runnable.stream,
        "astream": Runnable.astream,
        "transform": Runnable.transform,
        "atransform": Runnable.atransform,
    }
    if is_function:
        members["__call__"] = property(lambda self: MethodType(self.__dict__[_FACE], self))
    made: type[_Bare] = type(kind)(kind.__name__, (kind,), members)  # type: ignore[misc]
    return made


def _invoke(self: _Bare, input: Any, config: Any = None, **kwargs: Any) -> Any:
    calls, bare = self.__dict__[_CALLS], self.__dict__[_BARE]
    site = site_of_node(config)
    return calls.run(lambda: bare.invoke(input, config, **kwargs), values_of(input), site, None)


async def _ainvoke(self: _Bare, input: Any, config: Any = None, **kwargs: Any) -> Any:
    calls, bare = self.__dict__[_CALLS], self.__dict__[_BARE]
    site = await asite_of_node(config)
    if _has_async_body(bare):
        return await calls.arun(None, lambda: bare.ainvoke(input, config, **kwargs), values_of(input), site, None)
    return await calls.arun(lambda: bare.invoke(input, config, **kwargs), None, values_of(input), site, None)


def _has_async_body(bare: _Bare) -> bool:
    """Tell whether a node runs on an event loop; else LangGraph has it run on a thread, and so does the guard."""
    if isinstance(bare, RunnableLambda):
        return hasattr(bare, "afunc")
    if hasattr(bare, "afunc"):
        made_up = isinstance(bare.afunc, functools.partial) and bare.afunc.func is run_in_executor
        return bare.afunc is not None and not made_up
    return type(bare).ainvoke is not Runnable.ainvoke


def _face(function: Any) -> Callable[..., Any]:
    """Make the method by which a guarded node is called like its function; LangGraph reads its hints."""
    signature = inspect.signature(function)
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(function.__call__)

    def called(self: _Bare, *args: Any, **kwargs: Any) -> Any:
        state, given = _arguments(signature, args, kwargs)
        config = given.pop("config", None)
        return (self.ainvoke if is_async else self.invoke)(state, config, **given)

    hinted = function if inspect.isfunction(function) or inspect.ismethod(function) else function.__call__
    return functools.wraps(hinted)(called) if inspect.isfunction(hinted) or inspect.ismethod(hinted) else called


def _arguments(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    given = dict(signature.bind(*args, **kwargs).arguments)
    return given.pop(next(iter(given))), given
