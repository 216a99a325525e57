"""`clawproof --check 10`, `clawproof check` and `clawproof rule`: the audit of a project, and what it asks for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import click

from clawproof_langgraph.audit.findings import Severity
from clawproof_langgraph.audit.reports.text import encodable
from clawproof_langgraph.audit.rules.catalog import CHECK, RULES, TITLE, Rule, rule_of
from clawproof_langgraph.cli.settings import Settings, common_options
from clawproof_langgraph.cli.wording import plain
from clawproof_langgraph.errors import meant

NEVER: Final = "never"
"""The threshold that no finding reaches."""

_FORMATS: Final = ("text", "json", "sarif", "github", "junit", "markdown")


def _known(context: click.Context, param: click.Parameter, value: int | None) -> int | None:
    if value is not None and value != CHECK:
        raise click.BadParameter(f"there is no check {value}. There is check {CHECK}: {TITLE}.")
    return value


_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_THE_CHECK: Final[_Decorator] = click.option(
    "--check", type=int, metavar="N", callback=_known, help=f"Check a project: {CHECK} is {TITLE}."
)
_ASSESS: Final[_Decorator] = click.option(
    "--assess", is_flag=True, help="Write a report for people who decide: clawproof-assessment.html, or FILE.md."
)


def group_options(group: Callable[..., Any]) -> Callable[..., Any]:
    """Show `--check` and `--assess` among the options of the group; `as_command` sees to it that they work there."""
    return _THE_CHECK(_ASSESS(group))


def as_command(arguments: list[str], commands: Sequence[str]) -> list[str]:
    """Make `--check 10 shop` what it stands for, `check --check 10 shop`."""
    for argument in arguments:
        if argument in commands or argument == "--":
            break
        if argument.partition("=")[0] in ("--check", "--assess"):
            return ["check", *arguments]
    return arguments


@click.command()
@common_options(formats=_FORMATS)
@click.argument("target", default="")
@_THE_CHECK
@_ASSESS
@click.option(
    "--verbose", "-v", is_flag=True, help="Also the evidence, the fixes, and the map of resources and agents."
)
@click.option(
    "--import",
    "imported",
    is_flag=True,
    help="Also import the graphs, in a process of their own, and look into them: runs the code of their modules.",
)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file.")
@click.option(
    "--fail-on",
    type=click.Choice([*(each.value for each in Severity), NEVER]),
    help="The severity from which on a finding ends in exit code 1. Default: low.",
)
@click.option(
    "--baseline", type=click.Path(dir_okay=False, path_type=Path), help="Findings that this file has do not count."
)
@click.option(
    "--write-baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what is found to a file, for --baseline, and end with exit code 0.",
)
def check(settings: Settings, target: str, **options: Any) -> None:
    """Tell what in a project is not coordinated: ten duties, each with its evidence.

    TARGET is a langgraph.json, a module:graph, a file or a folder; the current folder without one. The files are read,
    and none of their code is run unless --import says so. With --url, the log of a store is read as well: what really
    happened.
    """
    from clawproof_langgraph.cli.checking import checked  # it takes a while to import, and other commands do without

    checked(settings, target, options)


# --- rules --------------------------------------------------------------------------------------------------------


@click.command()
@common_options
@click.argument("rule", default="")
def rule(settings: Settings, rule: str) -> None:
    """Explain a rule of the check: why, an example, and what to do. Without one, list all."""
    encoding = sys.stdout.encoding or "ascii"
    if not rule:
        for entry in RULES:
            click.echo(encodable(f"{entry.id}  {entry.severity:6}  {entry.duty}", encoding))
        return
    try:
        found = rule_of(rule)
    except KeyError:
        hint = meant(rule.upper(), [entry.id for entry in RULES])
        raise click.UsageError(f'There is no rule "{plain(rule)}"; {hint}', click.get_current_context()) from None
    click.echo(encodable("\n".join(_explained(found)), encoding))


def _explained(found: Rule) -> list[str]:
    return [
        f"{found.id}: {found.duty}",
        f"Severity: {found.severity}",
        "",
        found.why,
        "",
        "Not so:",
        *_indented(found.bad),
        "",
        "But so:",
        *_indented(found.good),
        "",
        f"Fix: {found.fix}",
        f"To accept a finding: # clawproof: ignore[{found.id}] and the reason, on its line.",
    ]


def _indented(code: str) -> list[str]:
    return [f"    {line}" for line in code.splitlines()]
