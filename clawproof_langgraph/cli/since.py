"""The option `--since`: a duration such as `10m`, that becomes the time that was so long ago."""

from __future__ import annotations

import time

import click

from clawproof_langgraph.durations import seconds
from clawproof_langgraph.errors import ConfigurationError


def _ago(context: click.Context, param: click.Parameter, value: str | None) -> float:
    if value is None:
        return 0.0
    try:
        return time.time() - seconds(value, "since")
    except ConfigurationError as exc:
        raise click.BadParameter(str(exc)) from exc


since_option = click.option(
    "--since", callback=_ago, metavar="DURATION", help="Only what is not older, such as 30s, 10m, 2h or 7d."
)
