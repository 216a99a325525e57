"""The file `clawproof.toml`: what a team says of tools, resources and agents, where it can be reviewed."""

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
