"""The command `clawproof`: its subcommands, in order."""

from __future__ import annotations

from typing import Any

import click

from clawproof_langgraph.cli.admin import kill, resolve, revive
from clawproof_langgraph.cli.alerting import alerts
from clawproof_langgraph.cli.check import as_command, check, group_options, rule
from clawproof_langgraph.cli.configuring import explain, schema
from clawproof_langgraph.cli.init import init
from clawproof_langgraph.cli.locks import locks
from clawproof_langgraph.cli.log import events
from clawproof_langgraph.cli.play import demo
from clawproof_langgraph.cli.settings import Settings, common_options
from clawproof_langgraph.cli.stress import stress
from clawproof_langgraph.cli.trace import trace


class Commands(click.Group):
    """A group that lists its commands in the order in which a newcomer meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names in the order of registration."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse what is no text: no store could hold it, and no name can be it."""
        if any("\ud800" <= sign <= "\udfff" for sign in "".join(args)):
            raise click.UsageError("An argument is not valid UTF-8.", ctx)
        return super().parse_args(ctx, as_command(args, list(self.commands)))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            ctx.exit(0)
        except OSError as exc:  # of writing; what is wrong with a store has an error of its own
            raise click.ClickException(str(exc)) from exc


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="clawproof-langgraph", prog_name="clawproof")
@common_options
@group_options
def main(settings: Settings, **of_check: Any) -> None:
    """See and steer the agents that share a coordination store.

    The options below may also follow the command's name. Exit codes: 0; 1 for a finding or a refusal; 2 for wrong
    usage.
    """
    click.get_current_context().obj = settings


for command in (demo, trace, locks, events, kill, revive, resolve, alerts, stress, check, rule, init, explain, schema):
    main.add_command(command)
