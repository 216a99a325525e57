"""An audit from its target to its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from clawproof_langgraph.audit.baseline import Baseline
from clawproof_langgraph.audit.findings import Report
from clawproof_langgraph.audit.optout import waived
from clawproof_langgraph.audit.project import project_of
from clawproof_langgraph.audit.project.bare import with_bare
from clawproof_langgraph.audit.project.model import Project
from clawproof_langgraph.audit.project.resources import mapped
from clawproof_langgraph.audit.rules.checking import outcomes_of
from clawproof_langgraph.audit.rules.verdicts import added
from clawproof_langgraph.audit.targets import resolve
from clawproof_langgraph.config import AuditTerms, find, read


class Way(Protocol):
    """A further way to look at a project, after its files were read: loading its graphs, reading its log.

    Attributes:
        name: `import` or `log`, as reports name it.
    """

    name: str

    def look(self, project: Project) -> Project:
        """Add to the project what is found, to `unseen` what could not be looked at; never raises for it."""
        ...


def audit(root: Path | str, target: str = ".", *, ways: Sequence[Way] = (), baseline: Baseline | None = None) -> Report:
    """Check a project by the ten rules, without running any of its code unless one of the `ways` does.

    Args:
        root: the folder that `target` is relative to.
        target: a `langgraph.json`, `module:graph`, a file or a folder.
        ways: further ways to look.
        baseline: findings that are known already, and do not count.

    Raises:
        WrongTarget: there is no such target; the message names the remedy.
    """
    return examine(root, target, ways=ways, baseline=baseline)[0]


def examine(
    root: Path | str, target: str = ".", *, ways: Sequence[Way] = (), baseline: Baseline | None = None
) -> tuple[Report, Project]:
    """Do what `audit` does, and give what is known of the project as well."""
    project = project_of(resolve(target, Path(root)))
    for way in ways:
        project = way.look(project)
    report = Report(
        root=project.root,
        target=target,
        outcomes=added(outcomes_of(project), project.findings),
        resources=with_bare(mapped(project), project),
        unseen=project.unseen,
        files=len(project.tree.modules),
        ways=("static", *(way.name for way in ways)),
        observed=project.observed,
    )
    return waived(report, project, baseline), project


def terms_of(root: Path | str, target: str = ".") -> AuditTerms:
    """Give what the configuration file of a target says of its audit; raises WrongTarget."""
    where = resolve(target, Path(root))
    path = find(where.only if where.only.is_dir() else where.only.parent)
    said = read(path)[0] if path is not None else None
    if said is None:
        return AuditTerms()
    baseline = str(said.folder / said.audit.baseline) if said.audit.baseline else None
    return said.audit.model_copy(update={"baseline": baseline})
