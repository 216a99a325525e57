"""The policies of a guard, by name or pattern of tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clawproof_langgraph.config.configuration import chosen
from clawproof_langgraph.config.globs import glob, is_pattern
from clawproof_langgraph.policy import ToolPolicy


class Policies:
    """Tables of policies. The first that has a policy for a tool decides.

    Args:
        tables: by name or pattern of tools.

    Raises:
        ConfigurationError: a pattern is none.
    """

    def __init__(self, *tables: Mapping[str, ToolPolicy]) -> None:
        self._tables = tables
        for table in tables:
            for pattern in table:
                glob(pattern)
        self._has_patterns = any(is_pattern(pattern) for table in tables for pattern in table)

    def of(self, tool: str) -> ToolPolicy | None:
        """Give the policy of a tool: that of its name, or else of the most specific pattern; None if there is none.

        Raises:
            ConfigurationError: two patterns are equally specific.
        """
        for table in self._tables:
            if tool in table:
                return table[tool]
            if self._has_patterns and (pattern := chosen(tool, table)) is not None:
                return table[pattern]
        return None

    def unused(self, tools: Iterable[str]) -> list[str]:
        """List the names and patterns from which none of these tools has its policy."""
        used = {(at, chosen(tool, table)) for tool in tools for at, table in enumerate(self._tables)}
        return [pattern for at, table in enumerate(self._tables) for pattern in table if (at, pattern) not in used]

    def __len__(self) -> int:
        return sum(len(table) for table in self._tables)


class Asking:
    """The tools of whose calls in doubt a human is asked."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def __contains__(self, tool: object) -> bool:
        policy = self._policies.of(str(tool))
        return policy is not None and policy.on_in_doubt == "interrupt"
