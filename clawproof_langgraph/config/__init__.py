"""The file `clawproof.toml`: what a team says of tools, resources and agents, where it can be reviewed."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clawproof_langgraph.config.configuration import Configuration, Effective, Origin
    from clawproof_langgraph.config.document import find, located
    from clawproof_langgraph.config.models import AgentTerms, AlertTerms, AuditTerms, ResourceTerms, Waiver
    from clawproof_langgraph.config.positions import Position
    from clawproof_langgraph.config.problems import InvalidConfiguration, Problem
    from clawproof_langgraph.config.reading import load, read

__all__ = [
    "AgentTerms",
    "AlertTerms",
    "AuditTerms",
    "Configuration",
    "Effective",
    "InvalidConfiguration",
    "Origin",
    "Position",
    "Problem",
    "ResourceTerms",
    "Waiver",
    "find",
    "load",
    "located",
    "read",
]

_HOMES = {
    "configuration": ("Configuration", "Effective", "Origin"),
    "document": ("find", "located"),
    "models": ("AgentTerms", "AlertTerms", "AuditTerms", "ResourceTerms", "Waiver"),
    "positions": ("Position",),
    "problems": ("InvalidConfiguration", "Problem"),
    "reading": ("load", "read"),
}


def __getattr__(name: str) -> Any:
    # Most commands only look whether there is a file at all.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
