"""What is in a project that bears on coordination, found in its source alone: no code of it is run."""

from clawproof_langgraph.audit.project.build import project_of

__all__ = ["project_of"]
