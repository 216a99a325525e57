"""`clawproof locks`: who holds what, who waits, which calls are in doubt and who is killed, at one instant."""

from __future__ import annotations

from typing import Any, Final

import click

from clawproof_langgraph.cli.screen import Screen, Span, columns
from clawproof_langgraph.cli.settings import Settings, common_options
from clawproof_langgraph.cli.store import opened
from clawproof_langgraph.cli.wording import counted, duration, listed, moment, quoted
from clawproof_langgraph.inspection.cloudevents import rfc3339
from clawproof_langgraph.model import InDoubt, Killed, LeaseView, Snapshot, WaiterView, Want

_LEASE_COLUMNS: Final = columns("agent", "tool", ">held", ">remaining", "fence", "thread", "resources")
_WAITER_COLUMNS: Final = columns(">#", "agent", "tool", ">waited", "thread", "resources")
_DOUBT_COLUMNS: Final = columns("key", "agent", "tool", ">attempts", "since", "thread", "reason", "resources")


@click.command()
@common_options
@click.option("--exit-code", is_flag=True, help="End with exit code 1 if a call is in doubt, for a monitor.")
def locks(settings: Settings, exit_code: bool) -> None:
    """Show who holds what, who waits, and what is in doubt.

    All of one instant: live leases; waiters in the order of the queue; calls in doubt, with the keys to resolve them;
    killed agents.
    """
    with opened(settings) as coordinator:
        snapshot, store = coordinator.snapshot(), coordinator.store
    screen = Screen()
    if settings.json:
        screen.json({"store": store, "namespace": settings.namespace_name, **_as_json(snapshot)})
    else:
        _show(screen, snapshot, store, settings)
    if exit_code and snapshot.in_doubt:
        raise click.exceptions.Exit(1)


def _show(screen: Screen, snapshot: Snapshot, store: str, settings: Settings) -> None:
    screen.line(Span(settings.place(store), "dim"))
    if snapshot == Snapshot():
        screen.line("No leases, no waiters, no calls in doubt, no killed agents.")
    if snapshot.leases:
        _show_leases(screen, snapshot.leases)
    if snapshot.waiters:
        _show_waiters(screen, snapshot.waiters)
    if snapshot.in_doubt:
        _show_in_doubt(screen, snapshot.in_doubt, settings)
    if snapshot.killed:
        _show_killed(screen, snapshot.killed, settings)


def _heading(screen: Screen, text: str, style: str = "bold") -> None:
    screen.line()
    screen.line(Span(text, style))


def _show_leases(screen: Screen, leases: tuple[LeaseView, ...]) -> None:
    _heading(screen, counted(len(leases), "lease"))
    rows = [
        (
            lease.agent or "-",
            lease.tool or "(lock)",
            duration(lease.held),
            duration(lease.remaining),
            str(lease.fence),
            lease.thread or "-",
            _wanted(lease.wants),
        )
        for lease in leases
    ]
    screen.table(_LEASE_COLUMNS, rows)


def _show_waiters(screen: Screen, waiters: tuple[WaiterView, ...]) -> None:
    _heading(screen, f"{counted(len(waiters), 'waiter')}, first come, first served")
    rows = [
        (
            str(place),
            waiter.agent or "-",
            waiter.tool or "(lock)",
            duration(waiter.waited),
            waiter.thread or "-",
            _wanted(waiter.wants),
        )
        for place, waiter in enumerate(waiters, start=1)
    ]
    screen.table(_WAITER_COLUMNS, rows)


def _show_in_doubt(screen: Screen, in_doubt: tuple[InDoubt, ...], settings: Settings) -> None:
    _heading(screen, f"{counted(len(in_doubt), 'call')} in doubt", "bold red")
    rows = [
        (
            quoted(entry.key),
            entry.agent or "-",
            entry.tool,
            str(entry.attempt),
            moment(entry.since),
            entry.thread or "-",
            entry.reason or "-",
            listed(entry.resources) or "-",
        )
        for entry in in_doubt
    ]
    screen.table(_DOUBT_COLUMNS, rows)
    screen.line(Span(settings.how_to_resolve(*[entry.key for entry in in_doubt]), "dim"))


def _show_killed(screen: Screen, killed: tuple[Killed, ...], settings: Settings) -> None:
    _heading(screen, counted(len(killed), "killed agent"), "bold red")
    rows = [(entry.agent, moment(entry.at), entry.by or "-", entry.reason or "-") for entry in killed]
    screen.table(columns("agent", "since", "by", "reason"), rows)
    name = killed[0].agent if len(killed) == 1 else "AGENT"
    screen.line(Span(f"To let it go on: {settings.hint('revive', name)}", "dim"))


def _wanted(wants: tuple[Want, ...]) -> str:
    return listed(f"{want.resource} ({want.mode})" for want in wants) or "-"


def _as_json(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "leases": [
            {
                "owner": lease.owner,
                "agent": lease.agent,
                "thread": lease.thread,
                "tool": lease.tool,
                "key": lease.key,
                "resources": _wants_as_json(lease.wants),
                "fence": lease.fence,
                "held": lease.held,
                "remaining": lease.remaining,
            }
            for lease in snapshot.leases
        ],
        "waiters": [
            {
                "owner": waiter.owner,
                "agent": waiter.agent,
                "thread": waiter.thread,
                "tool": waiter.tool,
                "resources": _wants_as_json(waiter.wants),
                "ticket": waiter.ticket,
                "waited": waiter.waited,
            }
            for waiter in snapshot.waiters
        ],
        "in_doubt": [
            {
                "key": entry.key,
                "agent": entry.agent,
                "thread": entry.thread,
                "tool": entry.tool,
                "attempts": entry.attempt,
                "since": rfc3339(entry.since),
                "reason": entry.reason,
                "resources": list(entry.resources),
            }
            for entry in snapshot.in_doubt
        ],
        "killed": [
            {"agent": entry.agent, "reason": entry.reason, "by": entry.by, "since": rfc3339(entry.at)}
            for entry in snapshot.killed
        ],
    }


def _wants_as_json(wants: tuple[Want, ...]) -> list[dict[str, str]]:
    return [{"resource": want.resource, "mode": str(want.mode)} for want in wants]
