"""Texts that a program reads from files of its own: prompts, mostly."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from clawproof_langgraph.audit.findings import Place
from clawproof_langgraph.audit.project.names import Expr, Names

_SOURCES: Final = ("src", "lib")
"""Folders from which a project is imported: its other files are beside them."""
_LARGE: Final = 1024 * 1024
"""Bytes over which a file is no prompt."""
_DEEP: Final = 12


def text_of_file(expr: Expr, names: Names) -> tuple[str, Place] | None:
    """Give the text that an expression reads from a file, and the file; None where it is none of the project's.

    What leads to the file is taken from the texts in the expression, such as `Path(__file__).parent / "prompts/a.md"`,
    and looked for from the folder of the module upwards.
    """
    path = _read(names.follow(expr))
    if path is None:
        return None
    named = [each for each in _parts(path, names, _DEEP) if each]
    top = names.tree.root.parent if names.tree.root.name in _SOURCES else names.tree.root
    if not named or not PurePosixPath(named[-1]).suffix:
        return None
    inner = PurePosixPath(*named)
    for folder in (names.tree.root / expr.scope.module.file).parents:
        if (found := _text(folder / inner, top)) is not None:
            return found, Place(_shown(folder / inner, names.tree.root), 1)
        if folder == top:
            break
    return None


def _read(expr: Expr) -> Expr | None:
    """Give the path in `PATH.read_text()` and `open(PATH).read()`, with what may be stripped off the text."""
    match expr.node:
        case ast.Call(func=ast.Attribute(value=ast.Call() as inner, attr="strip" | "lstrip" | "rstrip")):
            return _read(expr.at(inner))
        case ast.Call(func=ast.Attribute(value=path, attr="read_text")):
            return expr.at(path)
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="open"), args=[path, *_]), attr="read")):
            return expr.at(path)
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Attribute(value=path, attr="open")), attr="read")):
            return expr.at(path)
        case _:
            return None


def _parts(expr: Expr, names: Names, depth: int) -> Iterator[str]:
    """Give the texts that a path is put together from, in their order."""
    expr = names.follow(expr)
    match expr.node:
        case ast.Constant(value=str(value)):
            yield value.replace("\\", "/").lstrip("/")
        case ast.BinOp(left=left, op=ast.Div(), right=right) if depth:
            yield from _parts(expr.at(left), names, depth - 1)
            yield from _parts(expr.at(right), names, depth - 1)
        case ast.Call(func=func, args=args) if depth:
            if isinstance(func, ast.Attribute):
                yield from _parts(expr.at(func.value), names, depth - 1)
            for arg in args:
                yield from _parts(expr.at(arg), names, depth - 1)


def _text(path: Path, top: Path) -> str | None:
    try:
        if path.is_file() and path.resolve().is_relative_to(top.resolve()) and path.stat().st_size <= _LARGE:
            return path.read_text("utf-8")
    except (OSError, ValueError):
        return None
    return None


def _shown(path: Path, root: Path) -> str:
    return Path(os.path.normpath(path)).relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
