"""`clawproof init`: a first configuration file for a project that exists."""

from __future__ import annotations

import os
from pathlib import Path

import click

from clawproof_langgraph.cli.settings import Settings, common_options
from clawproof_langgraph.cli.wording import counted, plain


@click.command()
@common_options
@click.argument("target", default=".", metavar="[TARGET]")
@click.option("-o", "--output", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Where to write it. Default: the file that --config or CLAWPROOF_CONFIG names, else clawproof.toml "
              "in the folder of the project.")  # fmt: skip
@click.option("--import", "imported", is_flag=True, help="Also import the graphs, which runs code of the project: it "
              "finds tools that are made when it runs, and what MCP servers say of theirs.")  # fmt: skip
def init(settings: Settings, target: str, file: Path | None, imported: bool) -> None:
    """Write a first clawproof.toml from an existing project.

    TARGET is a folder, a file, a langgraph.json, or module:graph; without it, the current folder. Every tool that is
    found gets a policy, with a comment on each guess: look at all of them. A file that is there is not touched.
    """
    from clawproof_langgraph.audit.drafting import draft
    from clawproof_langgraph.audit.project import project_of
    from clawproof_langgraph.audit.targets import WrongTarget, resolve
    from clawproof_langgraph.config.document import NAME, find, shown

    try:
        where = resolve(target, Path.cwd())
    except WrongTarget as exc:
        raise click.UsageError(str(exc), click.get_current_context()) from exc
    named = _named(settings.config)
    path = file or named or where.project / NAME
    _refuse_existing(path, find(path.absolute().parent) if file is named is None else None)
    project = project_of(where, named if named is not None and named.is_file() else None)
    if imported:
        from clawproof_langgraph.audit.loading import Loading

        project = Loading(Path.cwd(), target).look(project)
    text = draft(project)
    _write(path, text)
    number = text.count("\n[tools.")
    click.echo(
        f"Wrote {plain(shown(path))}, with {counted(number, 'tool')}. Look at each guess; then: clawproof --check 10"
    )


def _named(config: str | None) -> Path | None:
    """Give the file that was named, which may not be there yet: every command that misses it says to come here."""
    said = config or os.environ.get("CLAWPROOF_CONFIG")
    return None if not said else Path(said, "clawproof.toml") if Path(said).is_dir() else Path(said)


def _refuse_existing(path: Path, other: Path | None) -> None:
    taken = path if path.exists() else other if other is not None and other.parent == path.absolute().parent else None
    if taken is not None:
        raise click.ClickException(
            f"There is a configuration in {plain(str(taken))} already; nothing was written. -o FILE writes elsewhere."
        )


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as stream:  # never over what somebody else has just written
            stream.write(text)
    except FileExistsError as exc:
        raise click.ClickException(f"There is a file {plain(str(path))} already; nothing was written.") from exc
