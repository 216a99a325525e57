"""An audit from its target to its report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from clawproof_langgraph.audit.baseline import Baseline
from clawproof_langgraph.audit.findings import Report
from clawproof_langgraph.audit.optout import waived
from clawproof_langgraph.audit.project import project_of
from clawproof_langgraph.audit.project.bare import with_bare
from clawproof_langgraph.audit.project.files import file_of
from clawproof_langgraph.audit.project.model import Project
from clawproof_langgraph.audit.project.resources import mapped
from clawproof_langgraph.audit.rules.checking import outcomes_of
from clawproof_langgraph.audit.rules.verdicts import added
from clawproof_langgraph.audit.targets import resolve
from clawproof_langgraph.config import AuditTerms, located, read


class Way(Protocol):
    """A further way to look at a project, after its files were read: loading its graphs, reading its log.

    Attributes:
        name: `import` or `log`, as reports name it.
    """

    name: str

    def look(self, project: Project) -> Project:
        """Add to the project what is found, to `unseen` what could not be looked at; never raises for it."""
        ...


def audit(
    root: Path | str,
    target: str = ".",
    *,
    ways: Sequence[Way] = (),
    baseline: Baseline | None = None,
    config: str | os.PathLike[str] | None = None,
) -> Report:
    """Check a project by the ten rules, without running any of its code unless one of the `ways` does.

    Args:
        root: the folder that `target` is relative to.
        target: a `langgraph.json`, `module:graph`, a file or a folder.
        ways: further ways to look.
        baseline: findings that are known already, and do not count.
        config: the configuration file that is meant; None for `CLAWPROOF_CONFIG`, else the nearest one.

    Raises:
        WrongTarget: there is no such target; the message names the remedy.
        ConfigurationError: the configuration file that is named does not exist.
    """
    return examine(root, target, ways=ways, baseline=baseline, config=config)[0]


def examine(
    root: Path | str,
    target: str = ".",
    *,
    ways: Sequence[Way] = (),
    baseline: Baseline | None = None,
    config: str | os.PathLike[str] | None = None,
) -> tuple[Report, Project]:
    """Do what `audit` does, and give what is known of the project as well."""
    project = project_of(resolve(target, Path(root)), _named(config))
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


def terms_of(root: Path | str, target: str = ".", config: str | os.PathLike[str] | None = None) -> AuditTerms:
    """Give what the configuration file of a target says of its audit; raises what `audit` raises."""
    path = file_of(resolve(target, Path(root)), _named(config))
    said = read(path)[0] if path is not None else None
    if said is None:
        return AuditTerms()
    baseline = str(said.folder / said.audit.baseline) if said.audit.baseline else None
    return said.audit.model_copy(update={"baseline": baseline})


def _named(config: str | os.PathLike[str] | None) -> str | os.PathLike[str] | None:
    """Name the file that guards would read, which the place of the target may have nothing to do with."""
    return located() if config is None and os.environ.get("CLAWPROOF_CONFIG") else config
