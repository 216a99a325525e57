"""What a file says, read and checked: the policy that a tool gets, and where each word of it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from clawproof_langgraph.config.document import Document, named, shown
from clawproof_langgraph.config.globs import best
from clawproof_langgraph.config.models import AgentTerms, AlertTerms, AuditTerms, ResourceTerms, Unmapped
from clawproof_langgraph.config.positions import Path as Keys
from clawproof_langgraph.config.positions import Position
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.policy import ToolPolicy

_LANGGRAPHS_OWN: Final = ("write_todos", "task")
_HANDOFF: Final = "transfer_to_"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from.

    Args:
        where: in words: a table of the file such as `profiles.payments`, `environment`, `default`.
        file: the file, as it is shown; empty where it comes from elsewhere.
        line: in it, from 1.
        column: in it, from 1.
    """

    where: str
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.where})" if self.file else self.where


DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is said of the tools of one name or pattern.

    Args:
        pattern: as it is written.
        values: the fields of the policy, those of its profile and of `[defaults]` included, as they are written;
            what only Python has, is a `Reference`.
        sources: for each of these fields, the keys that lead to it.
        profile: the name of its profile, if any.
    """

    pattern: str
    values: Mapping[str, Any]
    sources: Mapping[str, Keys]
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Effective:
    """The policy that a tool gets.

    Args:
        tool: its name.
        pattern: the name or pattern in the file that fits it.
        policy: what holds. What the file names as `module:name` is not imported: a stand-in is in its place.
        origins: where each field comes from.
        profile: the name of the profile, if any.
    """

    tool: str
    pattern: str
    policy: ToolPolicy
    origins: Mapping[str, Origin]
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a configuration file says.

    Args:
        file: where it is.
        url: of the store, None if the file does not say; a relative file of SQLite is relative to this file's folder.
        namespace: None if the file does not say.
        unmapped: what becomes of tools without a policy; None if the file does not say.
        defaults: the fields of `[defaults]`, as they are written.
        profiles: those of each profile.
        tools: what is said of tools, by name or pattern.
        resources: terms by pattern.
        agents: what each is there for.
        alerts: what is told to whom.
        audit: what the audit goes by.
    """

    file: Path
    url: str | None = None
    namespace: str | None = None
    unmapped: Unmapped | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tools: Mapping[str, Entry] = field(default_factory=dict)
    resources: Mapping[str, ResourceTerms] = field(default_factory=dict)
    agents: Mapping[str, AgentTerms] = field(default_factory=dict)
    alerts: AlertTerms = field(default_factory=AlertTerms)
    audit: AuditTerms = field(default_factory=AuditTerms)
    policies: Mapping[str, ToolPolicy] = field(default_factory=dict, repr=False)
    document: Document | None = field(default=None, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """The folder from which its paths count."""
        return self.file.absolute().parent

    def policy_of(self, tool: str) -> Effective | None:
        """Give the policy of a tool: that of its name, or else of the most specific pattern; None if there is none.

        Raises:
            ConfigurationError: two patterns are equally specific.
        """
        pattern = self.pattern_of(tool)
        if pattern is None:
            return None
        entry = self.tools[pattern]
        origins = {name: self._origin_of(entry, name) for name in ToolPolicy.model_fields}
        return Effective(tool, pattern, self.policies[pattern], origins, entry.profile)

    def pattern_of(self, tool: str) -> str | None:
        """Give the key under which the file speaks of a tool; raises as `policy_of` does."""
        return chosen(tool, self.tools, lambda pattern: str(self.origin("tools", pattern)))

    def _origin_of(self, entry: Entry, name: str) -> Origin:
        source = entry.sources.get(name)
        return DEFAULT if source is None else self.origin(*source, under=source[:-1])

    def origin(self, *keys: str | int, under: Keys | None = None) -> Origin:
        """Tell where a key comes from, naming a table in words."""
        position = self.position(*keys)
        return Origin(named(keys if under is None else under), shown(self.file), position.line, position.column)

    def position(self, *keys: str | int) -> Position:
        """Tell where a key stands in the file, or else the nearest one around it."""
        return Position(0, 0) if self.document is None else self.document.spot(keys).key


def is_langgraphs_own(tool: str) -> bool:
    """Tell whether a tool is one of LangGraph itself, for handing over and planning."""
    return tool in _LANGGRAPHS_OWN or tool.startswith(_HANDOFF)


def chosen(tool: str, patterns: Mapping[str, Any], place: Any = str) -> str | None:
    """Choose among names and patterns of tools: the name itself first, then the most specific pattern.

    No pattern fits a tool of LangGraph itself: what it does is known, and a `*` does not mean it.

    Args:
        tool: the name of the tool.
        patterns: by name or pattern.
        place: words where a pattern stands, for the error.

    Raises:
        ConfigurationError: two patterns are equally specific.
    """
    if tool in patterns:
        return tool
    if is_langgraphs_own(tool):
        return None
    found = best(tool, patterns)
    if len(found) > 1:
        told = " and ".join(f'"{pattern}"' + (f" ({where})" if (where := place(pattern)) != pattern else "")
                            for pattern in found)  # fmt: skip
        raise ConfigurationError(
            f'Tool "{tool}" fits the patterns {told} equally well; make one more specific, or name the tool itself.'
        )
    return found[0] if found else None
