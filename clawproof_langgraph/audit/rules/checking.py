"""All rules, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from clawproof_langgraph.audit.findings import Outcome
from clawproof_langgraph.audit.project.model import Project
from clawproof_langgraph.audit.rules import cp001, cp002, cp003, cp004, cp005, cp006, cp007, cp008, cp009, cp010
from clawproof_langgraph.audit.rules.catalog import RULES
from clawproof_langgraph.audit.rules.verdicts import not_checked

_CHECKS: Final[dict[str, Callable[[Project], Outcome]]] = {
    rule.id: module.check
    for rule, module in zip(RULES, (cp001, cp002, cp003, cp004, cp005, cp006, cp007, cp008, cp009, cp010), strict=True)
}


def outcomes_of(project: Project) -> tuple[Outcome, ...]:
    """Check a project by all rules, in the order of their ids."""
    if is_empty(project):
        return tuple(not_checked(id_, NOTHING) for id_ in _CHECKS)
    return tuple(_checked(id_, project) for id_ in _CHECKS)


def _checked(id_: str, project: Project) -> Outcome:
    try:
        return _CHECKS[id_](project)
    except RecursionError:
        return not_checked(id_, "some of the code refers to itself without end")


NOTHING: Final = "no agent and no tool was found"


def is_empty(project: Project) -> bool:
    """Tell whether there is nothing to check."""
    return not (project.agents or project.tools or project.guards)
