"""The way to look that imports the graphs of a project: which there are, and what becomes of them."""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from clawproof_langgraph.audit.findings import Place, Unseen
from clawproof_langgraph.audit.loading.merge import merged
from clawproof_langgraph.audit.loading.model import Failure
from clawproof_langgraph.audit.loading.process import TIMEOUT, Request, load
from clawproof_langgraph.audit.project.model import Project
from clawproof_langgraph.audit.source import Module
from clawproof_langgraph.audit.targets import Target, resolve

_MAKERS: Final = frozenset({"compile", "create_agent", "create_react_agent", "create_deep_agent", "scope"})
"""Functions of which the result may be a compiled graph."""

_TEST: Final = re.compile(r"(?:^|/)(?:tests?/|test_[^/]*$|[^/]*_test\.py$|conftest\.py$)")
_VARIABLE: Final = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$")


class Loading:
    """The way to look that imports graphs: it runs the code of their modules.

    Args:
        folder: what the target is relative to.
        target: as it was written.
        timeout: seconds that importing a file may take.
    """

    name = "import"

    def __init__(self, folder: Path, target: str = ".", *, timeout: float = TIMEOUT) -> None:
        self._folder, self._written, self._timeout = folder, target, timeout

    def look(self, project: Project) -> Project:
        """Add what loaded graphs show; a file that cannot be loaded is told of, and the rest is looked at."""
        target = resolve(self._written, self._folder)
        requests = list(_requests(target, project))
        if not requests:
            gone = Unseen("the graphs", "none was found that could be imported; name one as module:graph")
            return replace(project, unseen=(*project.unseen, gone))
        found = load(requests, timeout=self._timeout)
        project = merged(project, found)
        unseen = [_unseen(failure) for each in found for failure in each.failures]
        return replace(project, unseen=(*project.unseen, *unseen))


def _unseen(failure: Failure) -> Unseen:
    return Unseen(failure.what, failure.why, Place(failure.file, failure.line) if failure.file else None)


def _requests(target: Target, project: Project) -> Iterator[Request]:
    """Say which files to load: those of the graphs that were named, else all that seem to make one."""
    wanted = _named(target) if target.graphs else _found(project)
    environment = dict(_environment(target))
    for file, attributes in wanted.items():
        module = next((each.name for each in project.tree.modules.values() if each.file == file), _module(file))
        folders = (target.root, target.root / "src", target.root / "lib")
        paths = tuple(str(folder) for folder in folders if folder.is_dir())
        yield Request(target.root, file, module, tuple(attributes), bool(target.graphs), paths, environment)


def _named(target: Target) -> dict[str, list[str]]:
    wanted: defaultdict[str, list[str]] = defaultdict(list)
    base = target.only if target.only.is_dir() else target.root
    for _, where in target.graphs:
        file, _, attribute = where.rpartition(":")
        path = (base / file).resolve()
        root = target.root.resolve()
        wanted[path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)].append(attribute)
    return wanted


def _module(file: str) -> str:
    parts = list(Path(file).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _found(project: Project) -> dict[str, list[str]]:
    """Find names at the top of modules that seem to be compiled graphs."""
    files = {agent.place.file for agent in project.agents}
    makers = {module.name for module in project.tree.modules.values() if module.file in files}
    wanted = {}
    for module in project.tree.modules.values():
        meant = module.file in files or _imports(module, makers)
        names = [name for name, value in module.assigned.items() if _may_be_graph(value, meant)]
        names += _entrypoints(module)
        if names and not _TEST.search(module.file):
            wanted[module.file] = names
    return wanted


def _imports(module: Module, makers: set[str]) -> bool:
    return any(name in makers or name.rpartition(".")[0] in makers for name in module.imports.values())


def _may_be_graph(value: ast.expr, meant: bool) -> bool:
    """Tell whether an expression may make a graph: by the name of what is called, or as any call near agents."""
    if not isinstance(value, ast.Call):
        return False
    called = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
    return called in _MAKERS or meant


def _entrypoints(module: Module) -> list[str]:
    found = []
    for function in module.functions:
        for decorator in function.node.decorator_list:
            inner = decorator.func if isinstance(decorator, ast.Call) else decorator
            if not function.owner and module.dotted(inner) == "langgraph.func.entrypoint":
                found.append(function.node.name)
    return found


def _environment(target: Target) -> Mapping[str, str]:
    """Read the variables that a `langgraph.json` gives to its graphs: an object, or the name of a file of lines."""
    folder = target.only if target.only.is_dir() else target.only.parent
    try:
        said = json.loads((folder / "langgraph.json").read_text("utf-8-sig")).get("env", {})
        if isinstance(said, dict):
            return {str(name): str(value) for name, value in said.items()}
        lines = (folder / str(said)).read_text("utf-8").splitlines()
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
    pairs = [match for line in lines if not line.lstrip().startswith("#") and (match := _VARIABLE.match(line))]
    return {match[1]: match[2].strip("'\"") for match in pairs}
