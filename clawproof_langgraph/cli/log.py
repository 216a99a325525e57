"""`clawproof events`: the log, one line per event."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Final

import click

from clawproof_langgraph.cli.screen import Screen, Span
from clawproof_langgraph.cli.settings import Settings, common_options, not_empty
from clawproof_langgraph.cli.since import since_option
from clawproof_langgraph.cli.store import opened, read_log
from clawproof_langgraph.cli.wording import listed, moment, pairs, plain
from clawproof_langgraph.events import (
    AGENT_KILLED,
    BUILT_IN,
    CALL_DONE,
    CALL_FAILED,
    CALL_IN_DOUBT,
    CALL_REPLAYED,
    CALL_RESOLVED,
    CALL_RETRYING,
    CALL_UNDECLARED,
    CALL_UNGUARDED,
    DEADLOCK_PREVENTED,
    DEADLOCK_SUSPECTED,
    LEASE_LOST,
    LOCK_DENIED,
    LOCK_EXPIRED,
    Event,
)
from clawproof_langgraph.inspection.cloudevents import cloud_event

_LOOK_AGAIN: Final = 0.25
"""Seconds between two looks at a log that is followed."""

_MOST: Final = 2**63 - 1
"""No cursor is beyond this, and no log is longer."""

_STYLES: Final = {
    CALL_DONE: "green",
    CALL_RESOLVED: "green",
    CALL_REPLAYED: "cyan",
    CALL_RETRYING: "yellow",
    LOCK_DENIED: "yellow",
    CALL_FAILED: "red",
    CALL_IN_DOUBT: "bold red",
    CALL_UNGUARDED: "yellow",
    CALL_UNDECLARED: "yellow",
    AGENT_KILLED: "bold red",
    LOCK_EXPIRED: "red",
    LEASE_LOST: "red",
    DEADLOCK_PREVENTED: "red",
    DEADLOCK_SUSPECTED: "red",
}


@click.command()
@common_options
@click.option(
    "--after", type=click.IntRange(0, _MOST), default=0, metavar="CURSOR", help="Only what follows this cursor."
)
@since_option
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only this type; may be given more than once.")
@click.option("--resource", callback=not_empty, metavar="NAME", help="Only events about this resource.")
@click.option("--agent", callback=not_empty, metavar="NAME", help="Only events about this agent.")
@click.option("--thread", callback=not_empty, metavar="ID", help="Only events about this LangGraph thread.")
@click.option("--limit", type=click.IntRange(1, _MOST), metavar="N", help="Stop after N events.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens from now on, until Ctrl-C.")
def events(
    settings: Settings,
    after: int,
    since: float,
    types: tuple[str, ...],
    resource: str | None,
    agent: str | None,
    thread: str | None,
    limit: int | None,
    follow: bool,
) -> None:
    """Show the event log, one line per event.

    A line has the time, the cursor, the type, the agent, the resources, and the rest as name=value. With --format json
    each line is a CloudEvent 1.0.
    """
    screen, quiet = Screen(), True

    def read(cursor: int) -> Iterator[Event]:
        return read_log(coordinator, after=cursor, types=types, resource=resource, agent=agent, thread=thread)

    with opened(settings) as coordinator:
        found = (event for event in (_followed(read, after) if follow else read(after)) if event.time >= since)
        try:
            for event in itertools.islice(found, limit):
                _show(screen, event, settings)
                quiet = False
        except KeyboardInterrupt:
            if not follow:  # the end that was announced
                raise
    if quiet and not settings.json and not follow:
        click.echo(f"No such events in the log of {plain(settings.place(coordinator.store))}.", err=True)


def _followed(read: Callable[[int], Iterator[Event]], cursor: int) -> Iterator[Event]:
    while True:
        for event in read(cursor):
            cursor = event.cursor
            yield event
        time.sleep(_LOOK_AGAIN)


def _show(screen: Screen, event: Event, settings: Settings) -> None:
    if settings.json:
        screen.json_line(cloud_event(event, namespace=settings.namespace_name))
        return
    style = _STYLES.get(event.type, "" if event.type in BUILT_IN else "magenta")
    screen.line(
        Span(f"{moment(event.time)} {event.cursor} ", "dim"),
        Span(f"{event.type:<18} ", style),
        f"{event.agent or '-':<12} {listed(event.resources) or '-'}  ",
        Span(pairs(_rest(event)), "dim"),
    )


def _rest(event: Event) -> dict[str, object]:
    named = {"thread": event.thread, "call": event.call, "key": event.key, "fence": event.fence}
    return {name: value for name, value in named.items() if value} | dict(event.data)
