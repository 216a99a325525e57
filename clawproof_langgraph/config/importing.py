"""Policies as a guard needs them: with what the file names as `module:name` imported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clawproof_langgraph.config.configuration import Configuration
from clawproof_langgraph.config.document import named
from clawproof_langgraph.config.problems import InvalidConfiguration, Problem
from clawproof_langgraph.config.reading import faults_of
from clawproof_langgraph.config.references import Reference, resolved
from clawproof_langgraph.policy import ToolPolicy


def imported_policies(configuration: Configuration) -> dict[str, ToolPolicy]:
    """Import what the policies of a file name, and give the policies by name or pattern of tools.

    Raises:
        ConfigurationError: something cannot be imported, or is of the wrong kind; the message tells all that is.
    """
    importer = _Importer(configuration)
    policies = {pattern: importer.policy(pattern) for pattern in configuration.tools}
    if importer.problems:
        problems = sorted(dict.fromkeys(importer.problems), key=lambda problem: (problem.line, problem.column))
        raise InvalidConfiguration(problems) from importer.cause
    return policies


class _Importer:
    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._found: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.cause: BaseException | None = None

    def policy(self, pattern: str) -> ToolPolicy:
        entry = self._configuration.tools[pattern]
        if not any(_references(entry.values)):
            return self._configuration.policies[pattern]
        before = len(self.problems)
        values = resolved(dict(entry.values), self._imported)
        if len(self.problems) == before:
            for place, message in faults_of(ToolPolicy, values):
                keys = entry.sources[str(place[0])] if place else ("tools", pattern)
                self._tell(keys, message)
        return ToolPolicy(**values) if len(self.problems) == before else self._configuration.policies[pattern]

    def _imported(self, reference: Reference) -> Any:
        if reference.text in self._found:
            return self._found[reference.text]
        try:
            found = reference.load()
        except Exception as exc:  # noqa: BLE001 - a module may raise anything while it is imported
            self.cause = self.cause or exc
            self._tell(
                reference.keys,
                f'"{reference.text}" cannot be imported ({type(exc).__name__}: {exc}); write "module:name", with a '
                f"module that Python finds from here: install it, or put its folder on PYTHONPATH.",
            )
            return reference.stand_in()
        self._found[reference.text] = found
        return found

    def _tell(self, keys: tuple[str | int, ...], message: str) -> None:
        document = self._configuration.document
        assert document is not None
        self.problems.append(document.problem(keys, f"{named(keys)}: {message}", at_value=True))


def _references(value: Any) -> Iterable[Reference]:
    if isinstance(value, Reference):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _references(each)
