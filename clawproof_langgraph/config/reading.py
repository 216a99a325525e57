"""From a file to a configuration: every mistake in it is found in one go, and told where it is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from clawproof_langgraph.config.addresses import fault_of
from clawproof_langgraph.config.configuration import Configuration, Entry
from clawproof_langgraph.config.document import Document, named, parsed
from clawproof_langgraph.config.globs import glob
from clawproof_langgraph.config.models import (
    TOP,
    UNMAPPED,
    AgentTerms,
    AlertTerms,
    AuditTerms,
    ResourceTerms,
    Waiver,
)
from clawproof_langgraph.config.positions import Path as Keys
from clawproof_langgraph.config.problems import InvalidConfiguration, Problem
from clawproof_langgraph.config.references import NAMING, Reference, referred, resolved
from clawproof_langgraph.errors import ConfigurationError, meant
from clawproof_langgraph.policy import Effect, Lock, Retry, ToolPolicy
from clawproof_langgraph.templates import agent_name

_M = TypeVar("_M", bound=BaseModel)

_SINGLE: Final = ("key", "probe")
"""Fields that name one thing that only Python has, and no list of them."""

_OF_WRITES: Final = ("key", "on_in_doubt", "probe", "requires_read")
"""Fields of which a tool that only reads takes nothing from `[defaults]`: they have no meaning there."""


def load(path: str | os.PathLike[str]) -> Configuration:
    """Read a file.

    Raises:
        ConfigurationError: something in it is wrong; the message tells all that is.
    """
    configuration, problems = read(path)
    if problems or configuration is None:
        raise InvalidConfiguration(problems)
    return configuration


def read(path: str | os.PathLike[str]) -> tuple[Configuration | None, tuple[Problem, ...]]:
    """Read a file as far as it can be read, and tell what is wrong in it; None where it could not be parsed."""
    document = parsed(Path(path))
    if isinstance(document, Problem):
        return None, (document,)
    reader = _Reader(document)
    configuration = reader.read()
    return configuration, tuple(sorted(reader.problems, key=lambda problem: (problem.line, problem.column)))


def store_named_in(path: Path) -> tuple[str | None, str | None]:
    """Tell which store a file names, whatever else is in it: its url and its namespace.

    Raises:
        ConfigurationError: it is no TOML, or one of the two is no text.
    """
    document = parsed(path)
    if isinstance(document, Problem):
        raise InvalidConfiguration([document])
    reader = _Reader(document)
    said = reader.url(), reader.text("namespace")
    if reader.problems:
        raise InvalidConfiguration(reader.problems)
    return said


def faults_of(kind: type[BaseModel], values: Mapping[str, Any]) -> list[tuple[Keys, str]]:
    """Tell what is wrong with the fields of a model, each with the way to it; of the whole of it, with none."""
    bare = kind.__new__(kind)
    try:
        kind.__pydantic_validator__.validate_python(dict(values), self_instance=bare)
    except ValidationError as exc:
        return [(error["loc"], _said_of(error)) for error in exc.errors()]
    return []


def _faults_of_field(kind: type[BaseModel], name: str, value: Any) -> list[str]:
    return [message for place, message in faults_of(kind, {name: value}) if place[:1] == (name,)]


def _said_of(error: ErrorDetails) -> str:
    if error["type"] == "literal_error":
        known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        return f'"{error["input"]}" is not known; {meant(str(error["input"]), known)}'
    return _worded(error["msg"])


def _worded(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text if text.endswith((".", "?")) else f"{text[:1].lower()}{text[1:]}."


class _Reader:
    """Reads one document, and gathers what is wrong in it."""

    def __init__(self, document: Document) -> None:
        self._document, self._data = document, document.data
        self.problems: list[Problem] = []
        self._unsound: set[Keys] = set()

    def read(self) -> Configuration:
        for name in self._data:
            if name not in TOP:
                self._tell((name,), f'the file has no key "{name}"; {meant(name, TOP)}', under=())
        defaults = self._policy(("defaults",), self._table(("defaults",)))
        profiles = {name: self._policy(("profiles", name), table) for name, table in self._tables("profiles")}
        tools = {pattern: self._entry(pattern, table, defaults, profiles) for pattern, table in self._tables("tools")}
        return Configuration(
            file=self._document.path,
            url=self.url(),
            namespace=self.text("namespace"),
            unmapped=self._choice("unmapped", UNMAPPED),
            defaults=defaults,
            profiles=profiles,
            tools=tools,
            resources=dict(self._models("resources", ResourceTerms, lambda name: glob(name, fields=True))),
            agents=dict(self._models("agents", AgentTerms, agent_name)),
            alerts=self._model(("alerts",), self._table(("alerts",)), AlertTerms) or AlertTerms(),
            audit=self._audit(),
            policies={pattern: self._stand_in_policy(entry) for pattern, entry in tools.items()},
            document=self._document,
        )

    # --- problems -----------------------------------------------------------------------------------------------

    def _tell(self, keys: Keys, message: str, *, under: Keys | None = None, at_value: bool = False) -> None:
        around = named(keys if under is None else under)
        told = f"{around}: {message}" if around else message
        self.problems.append(self._document.problem(keys, told, at_value=at_value))

    # --- tables -------------------------------------------------------------------------------------------------

    def _table(self, keys: Keys) -> Mapping[str, Any]:
        value: Any = self._data
        for key in keys:
            value = value.get(key, {})
        return value if self._is_table(keys, value) else {}

    def _is_table(self, keys: Keys, value: Any) -> bool:
        if isinstance(value, dict):
            return True
        self._tell(
            keys, f"it is a table: write [{named((*self._document.base, *keys))}]; got {_shown(value)}.", at_value=True
        )
        return False

    def _tables(self, name: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
        for key, value in self._table((name,)).items():
            if self._is_table((name, key), value):
                yield key, value

    def _models(self, name: str, kind: type[_M], check: Callable[[str], object]) -> Iterable[tuple[str, _M]]:
        for key, table in self._tables(name):
            self._checked((name, key), check, key)
            if (made := self._model((name, key), table, kind)) is not None:
                yield key, made

    def _model(self, keys: Keys, table: Mapping[str, Any], kind: type[_M]) -> _M | None:
        """Make a model of a table, without the fields that are wrong; None where the whole does not fit."""
        good = self._fields(keys, table, kind)
        if whole := [message for place, message in faults_of(kind, good) if not place]:
            if len(good) == len(table):  # else it may be wrong only for what was left out
                self._tell(self._blamed(keys, whole[0], good), whole[0], under=keys)
            return None
        is_whole = all(name in good for name, field in kind.model_fields.items() if field.is_required())
        return kind(**good) if is_whole else None

    def _fields(self, keys: Keys, table: Mapping[str, Any], kind: type[BaseModel]) -> dict[str, Any]:
        """Give the fields of a table that are right, telling what is wrong with the others."""
        good = {}
        for name, value in table.items():
            if name not in kind.model_fields:
                self._tell((*keys, name), f'{kind.__name__} has no field "{name}"; {meant(name, kind.model_fields)}',
                           under=keys)  # fmt: skip
            elif self._is_field((*keys, name), name, value, kind):
                good[name] = value
        for name, field in kind.model_fields.items():
            if field.is_required() and name not in table:
                self._tell(keys, f'{kind.__name__} needs "{name}".')
        return good

    def _is_field(self, keys: Keys, name: str, value: Any, kind: type[BaseModel]) -> bool:
        found = _faults_of_field(kind, name, value)
        if not found:
            return True
        # Where one element of a list is to blame, it is the one to point at.
        alone = [_faults_of_field(kind, name, [each]) for each in value] if isinstance(value, list) else []
        blamed = [((*keys, number), texts[0]) for number, texts in enumerate(alone) if texts]
        for place, text in blamed or [(keys, found[0])]:
            self._tell(place, text, at_value=True)
        return False

    def _checked(self, keys: Keys, check: Callable[[str], object], value: str) -> None:
        try:
            check(value)
        except ConfigurationError as exc:
            self._tell(keys, str(exc), under=keys[:-1])

    def _blamed(self, keys: Keys, message: str, values: Mapping[str, Any]) -> Keys:
        name = _named_in(message, values)
        return keys if name is None else (*keys, name)

    # --- policies -----------------------------------------------------------------------------------------------

    def _policy(self, keys: Keys, table: Mapping[str, Any]) -> dict[str, Any]:
        """Give the fields of a policy that are right, with references for what only Python has."""
        good = {}
        for name, value in table.items():
            if name not in ToolPolicy.model_fields:
                known = [*ToolPolicy.model_fields, *(["profile"] if keys[0] == "tools" else [])]
                self._tell((*keys, name), f'ToolPolicy has no field "{name}"; {meant(name, known)}', under=keys)
                continue
            right, put = self._policy_field((*keys, name), name, value)
            if right:
                good[name] = put
            else:
                self._unsound.add(keys)
        return good

    def _policy_field(self, keys: Keys, name: str, value: Any) -> tuple[bool, Any]:
        before = len(self.problems)
        if name == "retry":
            value = self._retry(keys, value)
        elif name == "locks":
            value = self._locks(keys, value)
        elif name in NAMING:
            value = self._referred(keys, name, value)
        if len(self.problems) > before:
            return False, None
        return self._is_field(keys, name, resolved(value, Reference.stand_in), ToolPolicy), value

    def _referred(self, keys: Keys, name: str, value: Any) -> Any:
        if isinstance(value, list) and name not in _SINGLE:
            return [self._referred((*keys, number), name, each) for number, each in enumerate(value)]
        try:
            return referred(name, value, keys, listed=isinstance(keys[-1], int))
        except ValueError as exc:
            self._tell(keys, str(exc), at_value=True)
            return None

    def _retry(self, keys: Keys, value: Any) -> Any:
        if value is False:
            return False
        if not isinstance(value, dict):
            many = value if isinstance(value, int) and value > 1 else 3
            self._tell(
                keys, f"{_shown(value)} is no Retry; write {{ max_retries = {many} }}, or false for none.",
                at_value=True,
            )  # fmt: skip
            return False
        put = dict(value)
        if "retry_on" in put:
            before = len(self.problems)
            put["retry_on"] = self._referred((*keys, "retry_on"), "retry_on", put["retry_on"])
            if len(self.problems) > before:
                del put["retry_on"]
        good = self._fields(keys, resolved(put, Reference.stand_in), Retry)
        return {name: put[name] for name in good}

    def _locks(self, keys: Keys, value: Any) -> Any:
        for number, lock in enumerate(value if isinstance(value, list) else ()):
            if isinstance(lock, dict):
                self._model((*keys, number), lock, Lock)
            elif not isinstance(lock, str):
                told = '"inventory/{sku}", or { resource = "inventory/{sku}", mode = "shared" }'
                self._tell((*keys, number), f"{_shown(lock)} is no lock; write {told}.", at_value=True)
            else:
                for fault in _faults_of_field(ToolPolicy, "locks", [lock]):
                    self._tell((*keys, number), fault, at_value=True)
        return value

    def _entry(
        self,
        pattern: str,
        table: Mapping[str, Any],
        defaults: Mapping[str, Any],
        profiles: Mapping[str, Mapping[str, Any]],
    ) -> Entry:
        keys: Keys = ("tools", pattern)
        self._checked(keys, glob, pattern)
        if not pattern.strip():
            self._tell(keys, "a tool has a name.", under=("tools",))
        own = self._policy(keys, {name: value for name, value in table.items() if name != "profile"})
        profile = self._profile((*keys, "profile"), table.get("profile"), profiles)
        layers: list[tuple[Keys, Mapping[str, Any]]] = [(keys, own)]
        if profile:
            layers.append((("profiles", profile), profiles[profile]))
        effect = next((layer["effect"] for _, layer in [*layers, ((), defaults)] if "effect" in layer), None)
        layers.append((("defaults",), _for_effect(defaults, effect)))
        values = {name: value for _, layer in reversed(layers) for name, value in layer.items()}
        sources = {name: (*where, name) for where, layer in reversed(layers) for name in layer}
        entry = Entry(pattern, values, sources, profile)
        if not any(where in self._unsound for where, _ in layers):
            self._check_whole(entry)
        return entry

    def _profile(self, keys: Keys, value: Any, profiles: Mapping[str, Mapping[str, Any]]) -> str:
        if value is None:
            return ""
        if isinstance(value, str) and value in profiles:
            return value
        hint = meant(value, profiles) if profiles else "there is none: write [profiles.NAME]."
        self._tell(keys, f"there is no profile {_shown(value)}; {hint}", at_value=True)
        self._unsound.add(keys[:-1])
        return ""

    def _check_whole(self, entry: Entry) -> None:
        keys: Keys = ("tools", entry.pattern)
        for place, message in faults_of(ToolPolicy, resolved(entry.values, Reference.stand_in)):
            name = _named_in(message, entry.sources)
            at = keys if place or name is None else entry.sources[name]
            self._tell(at, message, under=keys)

    def _stand_in_policy(self, entry: Entry) -> ToolPolicy:
        try:
            return ToolPolicy(**resolved(entry.values, Reference.stand_in))
        except ConfigurationError:  # told already
            return ToolPolicy()

    # --- the rest -----------------------------------------------------------------------------------------------

    def text(self, name: str) -> str | None:
        """Read a key of the file that is a text."""
        value = self._data.get(name)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self._tell((name,), f"it is a text; got {_shown(value)}.", at_value=True)
        return None

    def _choice(self, name: str, known: tuple[str, ...]) -> Any:
        value = self.text(name)
        if value is None or value in known:
            return value
        self._tell((name,), f'"{value}" is not known; {meant(value, known)}', at_value=True)
        return None

    def url(self) -> str | None:
        """Read the url of the store; a relative file of SQLite is relative to the folder of the file."""
        url = self.text("url")
        if url is not None and (fault := fault_of(url)):
            self._tell(("url",), fault, at_value=True)
            if "@" in url:  # the line may have a password
                self.problems[-1] = replace(self.problems[-1], source="")
            return None
        if url is None or not url.startswith("sqlite:///"):
            return url
        file, mark, options = url.removeprefix("sqlite:///").partition("?")
        path = self._document.path.absolute().parent / unquote(file)
        return f"sqlite:///{quote(str(path))}{mark}{options}" if file else url

    def _audit(self) -> AuditTerms:
        keys: Keys = ("audit",)
        table = dict(self._table(keys))
        waivers = table.pop("waive", [])
        if not isinstance(waivers, list) or not all(isinstance(each, dict) for each in waivers):
            self._tell(("audit", "waive"), "it is a list of tables: write [[audit.waive]].", at_value=True)
            waivers = []
        made = [self._model(("audit", "waive", number), each, Waiver) for number, each in enumerate(waivers)]
        terms = self._model(keys, table, AuditTerms) or AuditTerms()
        return terms.model_copy(update={"waive": tuple(each for each in made if each is not None)})


def _named_in(message: str, fields: Mapping[str, Any]) -> str | None:
    """Find the field that a message about a whole table is about: the first that it says to change, or else names."""
    words = [*re.findall(r"`(\w+)`", message), *re.findall(r"\w+", message)]
    return next((word for word in words if word in fields), None)


def _for_effect(defaults: Mapping[str, Any], effect: Any) -> Mapping[str, Any]:
    if effect != Effect.READ:
        return defaults
    return {name: value for name, value in defaults.items() if name not in _OF_WRITES}


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)
