"""`clawproof schema` and `explain`: what the configuration file may say, and what it comes to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from clawproof_langgraph.cli.screen import Screen, Span, columns
from clawproof_langgraph.cli.settings import Settings, common_options, not_empty
from clawproof_langgraph.cli.wording import plain


@click.command()
@common_options
@click.option("-o", "--output", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write it there, and not to the standard output.")  # fmt: skip
def schema(settings: Settings, file: Path | None) -> None:
    """Write the JSON Schema of clawproof.toml, from which an editor completes and checks.

    Name it in the first line of the file: `#:schema ./clawproof.schema.json`
    """
    from clawproof_langgraph.config.schema import schema as made

    text = json.dumps(made(), indent=2)
    if file is None:
        click.echo(text)
        return
    file.write_text(f"{text}\n", encoding="utf-8")
    click.echo(f"Wrote {plain(str(file))}. Name it in the first line of clawproof.toml: #:schema ./{plain(file.name)}")


@click.command()
@common_options
@click.argument("tool", callback=not_empty)
@click.option("--agent", callback=not_empty, metavar="NAME", help="Also tell whether this agent may do what it does.")
def explain(settings: Settings, tool: str, agent: str | None) -> None:
    """Show the policy that a tool gets, and where each word of it comes from.

    Nothing is imported and no store is opened. The exit code is 1 if the tool has no policy.
    """
    from clawproof_langgraph.cli.explaining import Explanation

    explanation = Explanation.of(settings, tool, agent)
    if settings.json:
        Screen().json(explanation.as_json())
    else:
        _show(explanation)
    click.get_current_context().exit(0 if explanation.effective else 1)


def _show(explanation: Any) -> None:
    screen = Screen()
    for line in explanation.headline():
        screen.line(line)
    rows = [(Span(row.name, "bold"), row.value, Span(row.origin, "dim")) for row in explanation.rows]
    if rows:
        screen.line("")
        screen.table(columns("field", "value", "from"), rows)
    for line in explanation.remarks:
        screen.line("")
        screen.line(line)
