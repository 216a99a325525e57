"""What functions and runnables hold on to: how an agent, a guard or a middleware is found behind a hook or a node."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from langchain_core.language_models import BaseLanguageModel
from langchain_core.runnables import Runnable

_FRAMEWORKS: Final = frozenset({"langgraph", "langchain", "langchain_core", "langsmith"})
"""Whose functions name globals of their own, of which none is the user's."""

_AT_MOST: Final = 5_000
"""The most that is looked at: a node that names half of an application is not worth a search of all of it."""


def reachable(start: Any, *, until: Callable[[Any], bool] = lambda item: False) -> Iterator[Any]:
    """Give what a function, hook or runnable holds on to, itself included, nearest first.

    It reads attributes that hold data, and runs no code of what it looks at.

    Args:
        start: where to begin.
        until: tells what not to look into.
    """
    seen: dict[int, Any] = {}  # holds what it has seen, so that no id is used twice
    pending = [start]
    while pending and len(seen) < _AT_MOST:
        following: list[Any] = []
        for item in pending:
            if id(item) not in seen:
                seen[id(item)] = item
                yield item
                if not until(item):
                    following += _held_by(item)
        pending = following


def names_in(code: CodeType) -> frozenset[str]:
    """List the names that a function's code uses, those of functions inside it included."""
    inner = [names_in(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(code.co_names).union(*inner)


def _held_by(item: Any) -> list[Any]:
    match item:
        case FunctionType():
            return _held_by_function(item)
        case MethodType():
            return [item.__func__, item.__self__, *_attributes(item.__self__)]
        case functools.partial():
            return [item.func, *item.args, *item.keywords.values()]
        case list() | tuple() | set() | frozenset():
            return list(item)
        case dict():
            return list(item.values())
        case type() | ModuleType() | BuiltinFunctionType() | BaseLanguageModel():
            return []
        case _ if isinstance(item, Runnable) or callable(item):
            return _attributes(item)
        case _:
            return []


def _held_by_function(function: FunctionType) -> list[Any]:
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    held = [*defaults, *vars(function).values(), *closed_over(function)]
    if str(function.__module__).partition(".")[0] not in _FRAMEWORKS:
        held += [function.__globals__[name] for name in names_in(function.__code__) if name in function.__globals__]
    return held


def closed_over(function: Any) -> list[Any]:
    """List what the closure of a function holds; nothing for what is no function."""
    held = []
    for cell in getattr(function, "__closure__", None) or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    return held


def _attributes(item: Any) -> list[Any]:
    held = getattr(item, "__dict__", None)
    return list(held.values()) if isinstance(held, dict) else []
