"""`clawproof trace`: what each call waited for, held, tried and came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import click

from clawproof_langgraph.cli.screen import Cell, Screen, Span, columns
from clawproof_langgraph.cli.settings import Settings, common_options, not_empty
from clawproof_langgraph.cli.since import since_option
from clawproof_langgraph.cli.store import opened, read_log
from clawproof_langgraph.cli.wording import counted, duration, listed, moment, quoted
from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.events import Event
from clawproof_langgraph.inspection.calls import Call, Outcome, brought_up_to_date, calls_of
from clawproof_langgraph.inspection.cloudevents import rfc3339
from clawproof_langgraph.inspection.timeline import ASCII, BLOCKS, Timeline, draw, timeline_of
from clawproof_langgraph.model import Snapshot

_STYLES: Final = {
    Outcome.WAITING: "yellow",
    Outcome.RUNNING: "blue",
    Outcome.DONE: "green",
    Outcome.REPLAYED: "cyan",
    Outcome.FAILED: "red",
    Outcome.IN_DOUBT: "bold red",
    Outcome.RESOLVED: "green",
    Outcome.REFUSED: "yellow",
    Outcome.EXPIRED: "red",
}


@click.command()
@common_options
@click.option("--thread", callback=not_empty, metavar="ID", help="Only calls of this LangGraph thread.")
@click.option("--agent", callback=not_empty, metavar="NAME", help="Only calls of this agent.")
@since_option
def trace(settings: Settings, thread: str | None, agent: str | None, since: float) -> None:
    """Show what each call waited for, held, tried and came to.

    Above, a lane per agent shows when it waited and when it held. Below, each call has a line; ask for one thread or
    agent, or see all. The exit code is 1 if nothing is known of the thread or agent.
    """
    with opened(settings) as coordinator:
        log, snapshot = _read(coordinator, since=since, thread=thread, agent=agent)
    now = time.time()
    calls = brought_up_to_date(calls_of(log), snapshot, now=now)
    screen, place = Screen(), settings.place(coordinator.store)
    if settings.json:
        screen.json({"store": coordinator.store, "namespace": settings.namespace_name, "calls": _as_json(calls)})
    elif calls:
        same = [title for title, wanted in (("thread", thread), ("agent", agent)) if wanted]
        screen.line(Span(place, "dim"))
        _draw_lanes(screen, timeline_of(log, snapshot, now=now))
        _show(screen, calls, settings, same=same)
    if not calls and (thread or agent):
        raise click.ClickException(f"No call of {_wanted(thread, agent)} is in the log of {place}.")
    if not calls and not settings.json:
        screen.line(f"No calls in the log of {place}.")


def _read(
    coordinator: Coordinator, *, since: float, thread: str | None, agent: str | None
) -> tuple[list[Event], Snapshot]:
    """Read the log, then a snapshot, then what has ended since: it must not look like a holder that died."""
    log = list(read_log(coordinator, since=since, thread=thread, agent=agent))
    snapshot = coordinator.snapshot()
    if log:
        known = {"", *[event.call for event in log]}
        later = read_log(coordinator, after=log[-1].cursor, thread=thread, agent=agent)
        log += [event for event in later if event.call in known]
    waiters = [w for w in snapshot.waiters if thread in (None, w.thread) and agent in (None, w.agent)]
    return log, replace(snapshot, waiters=tuple(waiters))


def _wanted(thread: str | None, agent: str | None) -> str:
    return " and ".join(f'{kind} "{name}"' for kind, name in (("thread", thread), ("agent", agent)) if name)


def _show(screen: Screen, calls: Sequence[Call], settings: Settings, *, same: Collection[str]) -> None:
    screen.line()
    screen.line(Span(_summary(calls), "bold"))
    _show_calls(screen, calls, same=same)
    if doubts := [call.key for call in calls if call.outcome is Outcome.IN_DOUBT]:
        screen.line(Span(settings.how_to_resolve(*doubts), "dim"))


def _draw_lanes(screen: Screen, timeline: Timeline) -> None:
    glyphs = ASCII if screen.ascii_only else BLOCKS
    lanes = draw(timeline, width=screen.width, glyphs=glyphs, duration=duration)
    if lanes:
        screen.line()
        screen.line(Span(glyphs.legend, "dim"))
    for lane in lanes:
        screen.line(lane)


def _summary(calls: Sequence[Call]) -> str:
    numbers = {outcome: sum(call.outcome is outcome for call in calls) for outcome in Outcome}
    parts = [f"{number} {_words(outcome)}" for outcome, number in numbers.items() if number]
    return f"{counted(len(calls), 'call')}: {listed(parts)}"


def _show_calls(screen: Screen, calls: Sequence[Call], *, same: Collection[str]) -> None:
    shown = [(title, cell) for title, cell in _COLUMNS.items() if title not in same]
    screen.table(columns(*[title for title, _ in shown]), [[cell(call) for _, cell in shown] for call in calls])


def _outcome(call: Call) -> str:
    match call.outcome:
        case Outcome.IN_DOUBT:
            why = call.error or call.reason
            said = f"in doubt{f' ({why})' if why else ''}, key {quoted(call.key)}"
            return f"{said}{_alerts(call)}"
        case Outcome.RESOLVED:
            said = f"resolved: {call.reason}{f' by {call.by}' if call.by else ''}"
        case Outcome.REFUSED if call.reason == "in doubt":
            said = f"refused: in doubt, key {quoted(call.key)}"
        case Outcome.REFUSED:
            said = f"refused: {call.reason}"
        case _:
            said = _words(call.outcome)
    error = f" ({call.error})" if call.error else ""
    return f"{said}{error}{_alerts(call)}"


def _alerts(call: Call) -> str:
    return "".join(f", {alert}" for alert in call.alerts)


def _words(outcome: Outcome) -> str:
    return outcome.value.replace("_", " ")


_COLUMNS: Final[Mapping[str, Callable[[Call], Cell]]] = {
    "start": lambda call: moment(call.asked),
    "agent": lambda call: call.agent or "-",
    "thread": lambda call: call.thread or "-",
    "tool": lambda call: call.tool or "(lock)",
    ">waited": lambda call: duration(call.waited),
    ">held": lambda call: "-" if call.held is None else duration(call.held),
    ">attempts": lambda call: str(call.attempts) if call.attempts else "-",
    "outcome": lambda call: Span(_outcome(call), _STYLES.get(call.outcome, "")),
    "resources": lambda call: listed(call.resources) or "-",
}


def _as_json(calls: Sequence[Call]) -> list[dict[str, Any]]:
    return [{**asdict(call), "asked": rfc3339(call.asked)} for call in calls]
