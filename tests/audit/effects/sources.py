"""Projects of a few lines, for tests of the analysis."""

from pathlib import Path
from textwrap import dedent

from clawproof_langgraph.audit.effects import Touch, touches_of
from clawproof_langgraph.audit.source import Function, Module, SourceTree


def tree_of(text: str, **others: str) -> SourceTree:
    """Make a project of a module `tools` and others, by name."""
    texts = {"tools": text, **others}
    return SourceTree(Path(), {name: Module.parse(name, f"{name}.py", dedent(each)) for name, each in texts.items()})


def function_of(tree: SourceTree, name: str = "tool") -> Function:
    """Find a function of the module `tools`."""
    return tree.modules["tools"].by_name[name]


def touches_in(text: str, **others: str) -> tuple[Touch, ...]:
    """Tell what the function `tool` touches."""
    tree = tree_of(text, **others)
    return touches_of(function_of(tree), tree)


def writes_in(text: str, **others: str) -> list[Touch]:
    """Tell what the function `tool` changes."""
    return [touch for touch in touches_in(text, **others) if touch.writes]
