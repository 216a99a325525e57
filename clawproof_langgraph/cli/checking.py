"""What `clawproof check` does; apart from the command, since it takes a while to import."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from clawproof_langgraph.audit.baseline import Baseline, WrongBaseline, write_baseline
from clawproof_langgraph.audit.findings import Report, Severity
from clawproof_langgraph.audit.project.model import Project
from clawproof_langgraph.audit.reports import text
from clawproof_langgraph.audit.reports.text import encodable
from clawproof_langgraph.audit.rules.checking import NOTHING, is_empty
from clawproof_langgraph.audit.run import Way, examine, terms_of
from clawproof_langgraph.audit.targets import WrongTarget
from clawproof_langgraph.cli.check import NEVER
from clawproof_langgraph.cli.settings import Settings
from clawproof_langgraph.cli.wording import counted, plain


def checked(settings: Settings, target: str, options: Mapping[str, Any]) -> None:
    """Check a target, and put the report where it was asked for.

    Args:
        settings: what all commands take.
        target: as it was written.
        options: of the command, by name.

    Raises:
        click.UsageError: the target or the baseline is none, or nothing was found to check.
        click.exceptions.Exit: something failed.
    """
    here = Path.cwd()
    if options["assess"] and settings.format not in (None, "text", "markdown"):
        raise click.UsageError(
            f"An assessment is a page of HTML, or Markdown, and no {settings.format}. Leave out --assess or --format.",
            click.get_current_context(),
        )
    try:
        terms = terms_of(here, target, settings.config)
        file = options["baseline"] or (Path(terms.baseline) if terms.baseline else None)
        known = Baseline.read(file) if file is not None and not options["write_baseline"] else None
        ways = _ways(settings, here, target, imported=options["imported"])
        report, project = examine(here, target, ways=ways, baseline=known, config=settings.config)
        if options["write_baseline"]:
            number = write_baseline(report, options["write_baseline"])
            click.echo(f"{counted(number, 'finding')} in the baseline {options['write_baseline']}.", err=True)
            return
    except (WrongTarget, WrongBaseline) as exc:
        raise click.UsageError(plain(str(exc)), click.get_current_context()) from exc
    _put(report, project, settings, options)
    if is_empty(project):
        raise click.UsageError(f"Nothing was checked: {NOTHING} in {project.root}. Name another folder or file.")
    if _fails(report, options["fail_on"] or terms.fail_on):
        raise click.exceptions.Exit(1)


def _ways(settings: Settings, here: Path, target: str, *, imported: bool) -> tuple[Way, ...]:
    """Give the ways to look beside the files."""
    ways: list[Way] = []
    if imported:
        from clawproof_langgraph.audit.loading import Loading

        ways.append(Loading(here, target))
    if settings.url:
        from clawproof_langgraph.audit.observed import Log

        ways.append(Log(settings.url, settings.namespace))
    return tuple(ways)


def _fails(report: Report, threshold: str) -> bool:
    if threshold == NEVER:
        return False
    order = list(Severity)
    return bool(report.failed) and order.index(report.severity) >= order.index(Severity(threshold))


def _put(report: Report, project: Project, settings: Settings, options: Mapping[str, Any]) -> None:
    """Write a report where it was asked for."""
    output: Path | None = options["output"]
    encoding = "utf-8" if output is not None else (sys.stdout.encoding or "ascii")
    if options["assess"]:
        from clawproof_langgraph.audit.reports import html, paper

        output = output or Path(f"clawproof-assessment.{'md' if settings.format == 'markdown' else 'html'}")
        page = paper if output.suffix == ".md" else html
        written = page.render(report, project.tree, made=datetime.now().astimezone())
    elif settings.format in (None, "text"):
        written = text.render(report, verbose=options["verbose"], encoding=encoding)
    else:
        from clawproof_langgraph.audit.reports.formats import FORMATS, FROM_HERE
        from clawproof_langgraph.audit.reports.seen import seen_from

        shown = seen_from(report, Path.cwd()) if settings.format in FROM_HERE else report
        written = FORMATS[settings.format or "text"](shown, project.tree)
    if output is not None:
        output.write_text(written, "utf-8")
        click.echo(f"The report is in {output}.", err=True)
    else:
        click.echo(encodable(written, encoding), nl=not written.endswith("\n"))
