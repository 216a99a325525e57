"""The configuration file of a project, as the audit sees it: read, and nothing that it names imported."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.parse import quote

from clawproof_langgraph.audit.findings import Place, Unseen
from clawproof_langgraph.audit.project.model import GuardSeen, Policy, Store, Subscription, Waiver
from clawproof_langgraph.audit.targets import Target
from clawproof_langgraph.config import Configuration, find, located, read
from clawproof_langgraph.config.globs import glob, is_pattern
from clawproof_langgraph.config.references import Reference
from clawproof_langgraph.errors import ConfigurationError


class ProjectFile:
    """What the configuration file of a project says; nothing, where there is none.

    Args:
        target: what is audited.
        config: the file that is meant; None finds it.

    Raises:
        ConfigurationError: the file that is named does not exist.
    """

    def __init__(self, target: Target, config: str | os.PathLike[str] | None = None) -> None:
        self._target = target
        self.unseen: list[Unseen] = []
        self.used = False
        """Whether code makes a guard of it."""
        self._others: dict[Path, Configuration | None] = {}
        self._path = file_of(target, config)
        self._said = self._read(self._path) if self._path is not None else None

    # --- the audit itself ---------------------------------------------------------------------------------------

    @property
    def hot_wait(self) -> float:
        """Seconds of waiting from which on a resource is hot."""
        return self._said.audit.hot_wait if self._said else 1.0

    def excludes(self, path: Path) -> bool:
        """Tell whether a file is not to be looked at."""
        if self._said is None:
            return False
        name = relative(path, self._said.folder)
        return any(glob(pattern).match(name) for pattern in self._said.audit.exclude)

    def waivers(self) -> tuple[Waiver, ...]:
        """Give the findings that the team accepts."""
        if self._said is None:
            return ()
        return tuple(
            Waiver(each.rule, each.reason, each.tool, each.agent, each.path, self._place("audit", "waive", number))
            for number, each in enumerate(self._said.audit.waive)
        )

    @property
    def folder(self) -> Path:
        """The folder from which the paths in the file count."""
        return self._said.folder if self._said is not None else self._target.root

    # --- guards -------------------------------------------------------------------------------------------------

    def guard(self, file: str, place: Place, agent: str) -> GuardSeen:
        """Give the guard that `Guard.from_file(...)` makes; of the project's own file where none is named."""
        said = self._named(file) if file else self._said
        self.used = True
        if said is None:
            return GuardSeen(place, complete=False, agent=agent)
        return self._as_guard(said, place, agent)

    def as_guards(self) -> tuple[GuardSeen, ...]:
        """Give what the file says of tools, where no code was seen that makes a guard of it."""
        if self._said is None or not self._said.tools:
            return ()
        return (replace(self._as_guard(self._said, Place(self._file(self._said), 1), ""), made=False),)

    def _as_guard(self, said: Configuration, place: Place, agent: str) -> GuardSeen:
        terms = [
            (pattern, {"ttl": each.ttl or 0.0, "expected": each.expected or 0.0})
            for pattern, each in said.resources.items()
        ]
        policies = tuple(self._policy(said, pattern, pattern) for pattern in said.tools)

        @cache
        def lookup(tool: str) -> Policy | None:
            try:
                pattern = said.pattern_of(tool)
            except ConfigurationError:  # two patterns fit equally well: the guard refuses the tool
                return None
            return self._policy(said, pattern, tool) if pattern is not None else None

        return GuardSeen(
            place, policies, True, agent, said.unmapped or "error", tuple(terms), self._store(said), said.file, lookup
        )

    def _policy(self, said: Configuration, pattern: str, tool: str) -> Policy:
        entry = said.tools[pattern]
        named = {name for name, value in entry.values.items() if isinstance(value, Reference)}
        places = {name: self._at(said, *keys) for name, keys in entry.sources.items()}
        places[""] = self._at(said, "tools", pattern)
        name = pattern if is_pattern(pattern) and tool == pattern else tool
        return Policy(name, said.policies[pattern], frozenset(named), places, "file")

    def store(self, place: Place) -> Store | None:
        """Give the coordinator that the file names."""
        return self._store(self._said) if self._said is not None else None

    def _store(self, said: Configuration) -> Store:
        url = (said.url or "").replace(f"{quote(str(said.folder))}/", "")  # as code that runs in this folder writes it
        return Store(url, said.namespace or "", self._at(said, "url"))

    # --- events and alerts --------------------------------------------------------------------------------------

    def subscriptions(self) -> tuple[Subscription, ...]:
        """Give the events that agents follow."""
        if self._said is None:
            return ()
        return tuple(
            Subscription(terms.subscriptions, name, self._at(self._said, "agents", name, "subscriptions"))
            for name, terms in self._said.agents.items()
            if terms.subscriptions
        )

    def sinks(self) -> tuple[str, ...]:
        """Give where alerts of suspected deadlocks go."""
        if self._said is None or "deadlock.suspected" not in self._said.alerts.events:
            return ()
        return self._said.alerts.sinks

    # --- the file -----------------------------------------------------------------------------------------------

    def _named(self, file: str) -> Configuration | None:
        for folder in (self._target.project, self._target.root):
            path = folder / file
            path = path / "clawproof.toml" if path.is_dir() else path
            if path == self._path:
                return self._said
            if path.is_file():
                if path not in self._others:
                    self._others[path] = self._read(path)
                return self._others[path]
        return None

    def _read(self, path: Path) -> Configuration | None:
        said, problems = read(path)
        for problem in problems:
            place = Place(relative(path, self._target.root), problem.line, problem.column)
            self.unseen.append(Unseen(problem.file, problem.message, place))
        return said

    def _file(self, said: Configuration) -> str:
        return relative(said.file.absolute(), self._target.root)

    def _at(self, said: Configuration, *keys: str | int) -> Place:
        position = said.position(*keys)
        return Place(self._file(said), position.line, position.column)

    def _place(self, *keys: str | int) -> Place | None:
        return self._at(self._said, *keys) if self._said is not None else None


def file_of(target: Target, config: str | os.PathLike[str] | None = None) -> Path | None:
    """Find the configuration file of a target: the one that is named, or the nearest one from there upwards.

    Raises:
        ConfigurationError: the file that is named does not exist.
    """
    if config is not None and (named := located(config)) is not None:
        return named.absolute()
    return find(target.only if target.only.is_dir() else target.only.parent)


def relative(path: Path, folder: Path) -> str:
    """Name a file from a folder, where it is inside it."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
