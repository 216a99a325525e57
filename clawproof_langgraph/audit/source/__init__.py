"""The Python files of a project, read and never run."""

from clawproof_langgraph.audit.source.modules import Function, Module
from clawproof_langgraph.audit.source.tree import SourceTree

__all__ = ["Function", "Module", "SourceTree"]
