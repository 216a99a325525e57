"""`clawproof kill`, `revive` and `resolve`: what an operator decides."""

from __future__ import annotations

import getpass
import json
import os
from typing import Any, Literal

import click

from clawproof_langgraph.cli.screen import Screen
from clawproof_langgraph.cli.settings import Settings, common_options, not_empty
from clawproof_langgraph.cli.store import opened
from clawproof_langgraph.cli.wording import listed, plain, quoted
from clawproof_langgraph.coordinator import Coordinator


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no entry in the list of users
        return f"uid {os.getuid()}"


_by = click.option("--by", default=_user, metavar="NAME", help="Who decides, for the log. Default: you.")
_agent = click.argument("agent", callback=not_empty)


@click.command()
@common_options
@_agent
@click.option("--reason", default="", metavar="TEXT", help="Why, for the agent and for the log.")
@_by
def kill(settings: Settings, agent: str, reason: str, by: str) -> None:
    """Stop an agent: its tools are refused from now on."""
    with opened(settings) as coordinator:
        known = _is_known(coordinator, agent)
        coordinator.kill(agent, reason=reason, by=by)
    if not known:
        click.echo(
            f'Nothing is known of an agent "{plain(agent)}" in namespace {settings.namespace_name}: is that its name?',
            err=True,
        )
    screen = Screen()
    if settings.json:
        screen.json({"agent": agent, "killed": True, "reason": reason, "by": by, "known": known})
    else:
        screen.line(f'Killed "{agent}": its tools do not run. Let it go on with: {settings.hint("revive", agent)}')


def _is_known(coordinator: Coordinator, agent: str) -> bool:
    snapshot = coordinator.snapshot()
    present = {entry.agent for group in (snapshot.leases, snapshot.waiters, snapshot.killed) for entry in group}
    return agent in present or bool(coordinator.events(agent=agent, limit=1))


@click.command()
@common_options
@_agent
@_by
def revive(settings: Settings, agent: str, by: str) -> None:
    """Let a killed agent go on."""
    with opened(settings) as coordinator:
        killed = [entry.agent for entry in coordinator.killed()]
        if agent not in killed:
            raise click.ClickException(
                f'Agent "{plain(agent)}" is not killed; nothing was changed. '
                f"Killed agents: {plain(listed(killed)) or 'none'}."
            )
        coordinator.revive(agent, by=by)
    screen = Screen()
    if settings.json:
        screen.json({"agent": agent, "killed": False, "by": by})
    else:
        screen.line(f'Revived "{agent}": its tools run again.')


@click.command(context_settings={"ignore_unknown_options": True})  # a key may begin with a dash
@common_options
@click.argument("key", callback=not_empty)
@click.argument("outcome", type=click.Choice(["applied", "not_applied"]))
@click.option("--result", metavar="JSON", help="What the tool would have returned; a repetition of the call gets it.")
@_by
def resolve(
    settings: Settings, key: str, outcome: Literal["applied", "not_applied"], result: str | None, by: str
) -> None:
    """Say what became of a call in doubt.

    KEY is its idempotency key, as `clawproof locks` and `clawproof trace` show it. With `applied`, a repetition of the
    call is answered with the result, or, without one, is told that it took effect; with `not_applied`, it runs.
    """
    value = _decoded(result, outcome)
    with opened(settings) as coordinator:
        before = {entry.key: entry for entry in coordinator.snapshot().in_doubt}.get(key)
        coordinator.resolve(key, outcome, result=value, by=by)
    screen = Screen()
    if settings.json:
        screen.json({"key": key, "outcome": outcome, "by": by, "changed": before is not None})
    elif before is None:
        screen.line(f"The call under key {quoted(key)} was settled so before; nothing was changed.")
    else:
        then = _then(outcome, given=value is not None)
        screen.line(f"Resolved {before.tool} of {before.agent or 'no agent'} as {outcome}: a repetition {then}.")


def _then(outcome: str, *, given: bool) -> str:
    if outcome == "not_applied":
        return "runs"
    return "gets the result" if given else "is told that it took effect"


def _decoded(result: str | None, outcome: str) -> Any:
    if result is None:
        return None
    if outcome != "applied":
        raise click.UsageError("--result goes with `applied`: a call that was not applied has no result.")
    try:
        return json.loads(result)
    except ValueError as exc:
        raise click.BadParameter(
            f"it is not JSON ({exc}); a text needs quotes: '\"paid\"'.", param_hint="--result"
        ) from exc
