"""The files of a project: which there are, and what a name means across them."""

from __future__ import annotations

import os
import stat
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from clawproof_langgraph.audit.findings import Place, Unseen
from clawproof_langgraph.audit.source.modules import Function, Module

_NEVER: Final = frozenset({"node_modules", "site-packages", "__pycache__", "build", "dist", "venv", "env"})
"""Folders without code of the project; so are those whose name begins with a dot, and virtual environments."""

_LARGEST: Final = 4_000_000
"""Bytes over which a file is not read."""

_ROOTS: Final = ("src", "lib")
"""Folders that are no package themselves, but hold the packages."""


@dataclass(frozen=True, eq=False)
class SourceTree:
    """The modules of a project.

    Args:
        root: its folder.
        modules: by dotted name.
        unseen: files that could not be read or parsed.
        notes: what an analysis keeps of this project, by what it is called: it lives as long as the tree.
    """

    root: Path
    modules: dict[str, Module]
    unseen: tuple[Unseen, ...] = ()
    notes: dict[object, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, root: Path, only: Path | None = None) -> SourceTree:
        """Read the Python files of a folder.

        Args:
            root: the folder.
            only: a file or folder inside it, to read no more than that.
        """
        modules: dict[str, Module] = {}
        unseen: list[Unseen] = []
        for path in _files(only or root, unseen):
            found = _read(root, path)
            if isinstance(found, Unseen):
                unseen.append(found)
            elif found.name in modules:  # two folders, such as `.` and `src`, have a module of that name
                modules[found.file] = replace(found, name=found.file)
            else:
                modules[found.name] = found
        return cls(root, modules, tuple(unseen))

    @classmethod
    def follow(cls, root: Path, start: Path) -> SourceTree:
        """Read one file, and those of the folder that it imports, directly or through others.

        Args:
            root: the folder from which they are imported.
            start: the file.
        """
        modules: dict[str, Module] = {}
        unseen: list[Unseen] = []
        pending, known = [start], {start}
        while pending:
            found = _read(root, pending.pop(0))
            if isinstance(found, Unseen):
                unseen.append(found)
                continue
            modules[found.name] = found
            new = [path for path in _imported(root, found) if path not in known]
            pending += new
            known.update(new)
        return cls(root, modules, tuple(unseen))

    def function(self, dotted: str) -> Function | None:
        """Find a function of the project by its full name, through modules that only pass it on."""
        for _ in range(5):  # `from .a import b` may go through several packages
            module, name = self.split(dotted)
            if module is None:
                return None
            if name in module.by_name:
                return module.by_name[name]
            if name not in module.imports:
                return None
            dotted = module.imports[name]
        return None

    def split(self, dotted: str) -> tuple[Module | None, str]:
        """Find the module in which a full name is, and the name in it; None and the whole name where there is none."""
        base, rest = dotted, ""
        while base:
            if rest and (found := self._module(base)) is not None:
                return found, rest
            base, _, last = base.rpartition(".")
            rest = f"{last}.{rest}" if rest else last
        return None, dotted

    def _module(self, name: str) -> Module | None:
        """Find a module by its name, or by the end of it: a project may be imported from a folder inside the root."""
        if name in self.modules:
            return self.modules[name]
        return self._ends.get(name) if name.partition(".")[0] not in sys.stdlib_module_names else None

    @cached_property
    def _ends(self) -> dict[str, Module | None]:
        """The modules by the ends of their names; None for an end that several have."""
        found: dict[str, Module | None] = {}
        for module in self.modules.values():
            parts = module.name.split(".")
            for at in range(1, len(parts)):
                end = ".".join(parts[at:])
                found[end] = module if end not in found else None
        return found


def _files(start: Path, unseen: list[Unseen]) -> Iterator[Path]:
    if start.is_file():
        yield start
        return

    def note(error: OSError) -> None:
        unseen.append(Unseen(str(error.filename), f"it cannot be read: {error.strerror}", Place(str(error.filename))))

    for folder, folders, files in os.walk(start, onerror=note):
        folders[:] = sorted(name for name in folders if not _is_foreign(Path(folder), name))
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".py"))


def _imported(root: Path, module: Module) -> Iterator[Path]:
    """Give the files of the folder that a module may import: a name in it may be a module, or in one."""
    for dotted in dict.fromkeys(module.imports.values()):
        parts = dotted.split(".")
        for length in range(1, len(parts) + 1):
            for base in (root, *(root / name for name in _ROOTS)):
                inner = base.joinpath(*parts[:length])
                yield from (path for path in (inner.with_suffix(".py"), inner / "__init__.py") if path.is_file())


def _is_foreign(folder: Path, name: str) -> bool:
    return name.startswith(".") or name in _NEVER or (folder / name / "pyvenv.cfg").exists()


def _read(root: Path, path: Path) -> Module | Unseen:
    file = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    name, is_package = _name_of(root, path)
    try:
        if why := _unfit(path):
            return Unseen(file, why, Place(file))
        with tokenize.open(path) as stream:  # as Python does: a file may declare its encoding
            text = stream.read()
        return Module.parse(name, file, text, is_package=is_package)
    except SyntaxError as exc:
        version = ".".join(map(str, sys.version_info[:2]))  # a file may be written for a later Python
        why = f"it is no Python {version}: {exc.msg}"
        return Unseen(file, why, Place(file, exc.lineno or 0, exc.offset or 0))
    except (OSError, ValueError, RecursionError, MemoryError) as exc:
        return Unseen(file, f"it cannot be read: {exc}", Place(file))


def _unfit(path: Path) -> str:
    """Say why a file is not read: a pipe would block, and a file of many megabytes holds data."""
    kind = path.stat()
    if not stat.S_ISREG(kind.st_mode):
        return "it is no regular file"
    return f"it is larger than {_LARGEST // 1_000_000} MB" if kind.st_size > _LARGEST else ""


def _name_of(root: Path, path: Path) -> tuple[str, bool]:
    relative = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    parts = list(relative.with_suffix("").parts)
    if len(parts) > 1 and parts[0] in _ROOTS and not (root / parts[0] / "__init__.py").exists():
        parts = parts[1:]
    is_package = parts[-1] == "__init__"
    if is_package and len(parts) > 1:
        parts = parts[:-1]
    return ".".join(parts), is_package
