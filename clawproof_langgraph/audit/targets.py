"""What is to be audited: from what somebody wrote to the folders and files that are read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MARKS: Final = ("clawproof.toml", "langgraph.json", "pyproject.toml", ".git")
"""What marks the folder of a project."""


class WrongTarget(ValueError):
    """There is no such target; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be audited.

    Args:
        written: as it was given.
        root: the folder that imports, and the places in findings, are relative to.
        only: the file or folder inside it that is audited.
        project: the folder of the project: where its configuration, tests and stress reports are.
        graphs: graphs by name, as `file:attribute`, of a `langgraph.json`; or the one that was asked for.
        follows: whether no more is read than `only` and what it imports.
        missing: what a `langgraph.json` names and the folder does not have, each in a sentence.
    """

    written: str
    root: Path
    only: Path
    project: Path
    graphs: tuple[tuple[str, str], ...] = ()
    follows: bool = False
    missing: tuple[str, ...] = ()


def resolve(written: str, folder: Path) -> Target:
    """Find a target.

    Args:
        written: a `langgraph.json`, `module:graph`, a file or a folder; empty for the folder itself.
        folder: what it is relative to.

    Raises:
        WrongTarget: there is none.
    """
    if "\0" in written:
        raise WrongTarget(
            "The name of a target has a null byte. Name a folder, a file, langgraph.json or module:graph."
        )
    path = (folder / (written or ".")).absolute()
    if path.is_dir():
        return _of_folder(written, path)
    if path.is_file():
        if path.suffix == ".json":
            return _of_json(written, path)
        if path.suffix == ".py":
            return _of_file(written, path)
        raise WrongTarget(f"{written} is no Python file and no langgraph.json. Name one of these, or a folder.")
    module, colon, attribute = written.rpartition(":")
    if colon and module:
        return _of_module(written, folder.absolute(), module, attribute)
    raise WrongTarget(
        f"There is no file or folder {written}. Name a folder, a file, a langgraph.json, or module:graph such as "
        f"shop.agents:app; without a target, the current folder is checked."
    )


def _of_folder(written: str, path: Path) -> Target:
    graphs = path / "langgraph.json"
    named, missing = _graphs(graphs) if graphs.is_file() else ((), ())
    return Target(written, import_root(path), path, project_of(path), named, missing=missing)


def _of_json(written: str, path: Path) -> Target:
    named, missing = _graphs(path)
    return Target(written, import_root(path.parent), path.parent, project_of(path.parent), named, missing=missing)


def _of_file(written: str, path: Path, attribute: str = "") -> Target:
    root = import_root(path.parent)
    graphs = ((attribute, f"{path.relative_to(root).as_posix()}:{attribute}"),) if attribute else ()
    return Target(written, root, path, project_of(path.parent), graphs, follows=True)


def _of_module(written: str, folder: Path, module: str, attribute: str) -> Target:
    if module.endswith(".py") and (folder / module).is_file():
        return _of_file(written, folder / module, attribute)
    inner = Path(*module.split("."))
    for base in (folder, folder / "src", folder / "lib"):
        for path in (base / inner.with_suffix(".py"), base / inner / "__init__.py"):
            if path.is_file():
                graphs = ((attribute, f"{path.relative_to(base).as_posix()}:{attribute}"),)
                return Target(written, base, path, project_of(folder), graphs, follows=True)
    raise WrongTarget(
        f'There is no module "{module}" in {folder}. Run the command in the folder from which it is imported, or name '
        f"the file or folder."
    )


def _graphs(path: Path) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Read the graphs of a `langgraph.json`, those without a file apart."""
    try:
        said = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as exc:
        raise WrongTarget(f"{path} cannot be read: {exc}. Mend it, or name a folder.") from exc
    graphs = said.get("graphs") if isinstance(said, dict) else None
    if not isinstance(graphs, dict):
        raise WrongTarget(
            f'{path} names no graphs. Write "graphs": {{"shop": "./shop/agents.py:app"}}, or name a folder.'
        )
    named, missing = [], []
    for name, value in graphs.items():
        where = value.get("path", "") if isinstance(value, dict) else value
        file, _, attribute = str(where).rpartition(":")
        if not (path.parent / file).is_file():
            missing.append(f"the file of the graph {name} does not exist: {where}")
        elif not _is_inside(path.parent / file, path.parent):
            missing.append(f"the file of the graph {name} is not in the folder that is checked: {where}")
        else:
            named.append((str(name), f"{file}:{attribute}"))
    others = said.get("dependencies")
    missing += [
        f"the dependency {other} is not in the folder that is checked"
        for other in (others if isinstance(others, list) else ())
        if isinstance(other, str) and other.startswith(".") and not _is_inside(path.parent / other, path.parent)
    ]
    return tuple(named), tuple(missing)


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def import_root(folder: Path) -> Path:
    """Give the folder from which what is in a folder is imported: the one that holds the outermost package."""
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        folder = folder.parent
    return folder


def project_of(folder: Path) -> Path:
    """Give the nearest folder above with the mark of a project; the folder itself where there is none."""
    for above in (folder, *folder.parents):
        if any((above / mark).exists() for mark in _MARKS):
            return above
    return folder
