"""A Python module as its text tells: what it imports, defines and assigns, and what a name in it stands for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from clawproof_langgraph.audit.findings import Place

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False, slots=True)
class Function:
    """A function of a module.

    Args:
        module: where it is.
        node: its definition.
        owner: the class or function around it, with dots; empty at the top.
    """

    module: Module
    node: FunctionNode
    owner: str = ""

    @property
    def name(self) -> str:
        """Its name, with what is around it."""
        return f"{self.owner}.{self.node.name}" if self.owner else self.node.name

    @property
    def place(self) -> Place:
        """Where it is defined."""
        return self.module.place(self.node)


@dataclass(frozen=True, eq=False)
class Module:
    """A module, parsed.

    Args:
        name: its dotted name, as other modules of the project import it.
        file: its path as findings name it.
        text: its source.
        tree: what it parses to.
        is_package: whether it is the `__init__` of a package.
    """

    name: str
    file: str
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)
    is_package: bool = False

    @classmethod
    def parse(cls, name: str, file: str, text: str, *, is_package: bool = False) -> Module:
        """Parse a module; raises SyntaxError, or ValueError for text that no Python file may have."""
        return cls(name, file, text, ast.parse(text, file), is_package)

    def place(self, node: ast.AST) -> Place:
        """Give the place of a node."""
        line, offset = getattr(node, "lineno", 0), getattr(node, "col_offset", -1)
        if offset > 0 and not (before := self._lines[line - 1].encode()[:offset]).isascii():
            offset = len(before.decode(errors="ignore"))  # the parser counts bytes, and readers letters
        return Place(self.file, line, offset + 1, getattr(node, "end_lineno", None) or 0)

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _statements(self) -> tuple[tuple[ast.stmt, str], ...]:
        """All statements in the order of the text, each with the dotted name of the class or function around it."""
        found: list[tuple[ast.stmt, str]] = []
        pending: list[tuple[ast.stmt, str]] = [(node, "") for node in reversed(self.tree.body)]
        while pending:  # no recursion: a chain of a thousand `elif` is nested as deep
            node, owner = pending.pop()
            found.append((node, owner))
            if isinstance(node, FunctionNode | ast.ClassDef):
                owner = f"{owner}.{node.name}" if owner else node.name
            pending += [(child, owner) for child in reversed(list(statements_in(node)))]
        return tuple(found)

    @cached_property
    def imports(self) -> dict[str, str]:
        """What each imported name stands for, wherever in the module it is imported: `t` -> `langchain_core.tools`."""
        found: dict[str, str] = {}
        for node, _ in self._statements:
            match node:
                case ast.Import():
                    for alias in node.names:
                        local = alias.asname or alias.name.partition(".")[0]
                        found[local] = alias.name if alias.asname else local
                case ast.ImportFrom():
                    base = self._base_of(node)
                    for alias in node.names:
                        found[alias.asname or alias.name] = f"{base}.{alias.name}" if base else alias.name
        return found

    def _base_of(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        around = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*around, *([node.module] if node.module else [])])

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """All functions, those of classes and those inside others included, in the order of the text."""
        return tuple(Function(self, node, owner) for node, owner in self._statements if isinstance(node, FunctionNode))

    @cached_property
    def by_name(self) -> dict[str, Function]:
        """The functions by their names, with what is around them; of several, the last, as Python has it."""
        return {function.name: function for function in self.functions}

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """The classes at the top, by name."""
        return {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}

    @cached_property
    def assigned(self) -> dict[str, ast.expr]:
        """What is assigned to each name at the top of the module; of several, the last."""
        found: dict[str, ast.expr] = {}
        for node in _top(self.tree):
            match node:
                case ast.Assign(targets=targets, value=value):
                    found.update(pair for target in targets for pair in _assigned(target, value))
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    found[name] = value
        return found

    def may_have(self, name: str) -> bool:
        """Tell whether a name may be an attribute of the module: not if its text neither has it nor takes in others."""
        words = set(re.findall(r"\w+", self.text))
        return bool(words & {name, "__getattr__", "globals", "setattr"}) or "*" in self.imports

    def dotted(self, node: ast.expr) -> str:
        """Give the full dotted name that an expression stands for, imports followed; empty where it is no name.

        A name that is neither imported nor built in is given with this module's name in front.
        """
        match node:
            case ast.Name(id=name) if name in self.imports:
                return self.imports[name]
            case ast.Name(id=name):
                return f"{self.name}.{name}" if name in self._own else name
            case ast.Attribute(value=value, attr=attr):
                base = self.dotted(value)
                return f"{base}.{attr}" if base else ""
            case _:
                return ""

    @cached_property
    def _own(self) -> frozenset[str]:
        return frozenset({*self.assigned, *self.classes, *(each.name for each in self.functions if not each.owner)})


def statements_in(node: ast.AST) -> Iterator[ast.stmt]:
    """Give the statements directly inside a statement: those of all its blocks, handlers and cases."""
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, block, ()):
            if isinstance(child, ast.stmt):
                yield child
            else:
                yield from child.body


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Give the names that an assignment binds, each with its value: `s3, sqs = client("s3"), client("sqs")`."""
    match target, value:
        case ast.Name(id=name), _:
            yield name, value
        case ((ast.Tuple(elts=targets) | ast.List(elts=targets)), (ast.Tuple(elts=values) | ast.List(elts=values))):
            if len(targets) == len(values):
                for one, given in zip(targets, values, strict=True):
                    yield from _assigned(one, given)


def _top(tree: ast.Module) -> Iterator[ast.stmt]:
    """Give the statements at the top of a module, those under `if`, `try` and `with` included."""
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop(0)
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            for block in ("body", "orelse", "finalbody"):
                pending += getattr(node, block, [])
