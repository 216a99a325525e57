"""What broke in a run: read from its event log, from what its agents told, and from the user's invariant."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.events import CALL_UNGUARDED, Event
from clawproof_langgraph.inspection.calls import Call, Outcome, brought_up_to_date, calls_of
from clawproof_langgraph.inspection.overlaps import Concurrency, Together, concurrency_of
from clawproof_langgraph.model import Snapshot
from clawproof_langgraph.testing.stress.ledger import Ledger
from clawproof_langgraph.testing.stress.patience import Patience
from clawproof_langgraph.testing.stress.report import Finding, Trouble, counted
from clawproof_langgraph.testing.stress.scenario import Broken, Scenario, described

_PAGE: Final = 1000
_LOOK: Final = 0.05
"""Seconds between two looks whether a run has become quiet."""
_INVOLVED: Final = 100
"""The most calls that a finding names."""
_VARYING: Final = re.compile(r"\S*\d\S*|\"[^\"]*\"")
_WORDS: Final = re.compile(r"[\w/.@-]*[\w/@-]")
_PAIRS: Final = 3
"""Pairs of tools that a note names."""

_SUSPECT: Final = frozenset({Outcome.IN_DOUBT, Outcome.RERUN, Outcome.EXPIRED, Outcome.RESOLVED, Outcome.FAILED})


@dataclass(frozen=True, slots=True)
class Seen:
    """What the store knows of a run in the end."""

    calls: tuple[Call, ...]
    concurrency: Concurrency
    snapshot: Snapshot
    unguarded: frozenset[str]


def quiet(coordinator: Coordinator, *, patience: float) -> bool:
    """Wait until nobody holds a lease or waits for one; tell whether that came within so many seconds."""
    waiting = Patience(patience)
    while (snapshot := coordinator.snapshot()).leases or snapshot.waiters:
        if waiting.is_over():
            return False
        time.sleep(_LOOK)
    return True


def look_back(coordinator: Coordinator) -> Seen:
    """Read all that the store knows of a run."""
    log = list(_log(coordinator))
    snapshot = coordinator.snapshot()
    calls = brought_up_to_date(calls_of(log), snapshot, now=time.time())
    unguarded = frozenset(str(event.data.get("tool", "")) for event in log if event.type == CALL_UNGUARDED)
    return Seen(calls, concurrency_of(log), snapshot, unguarded)


def _log(coordinator: Coordinator) -> Iterator[Event]:
    after = 0
    while page := coordinator.events(after=after, limit=_PAGE):
        yield from page
        after = page[-1].cursor


def findings_of(
    scenario: Scenario, ledger: Ledger, seen: Seen, *, agents: Iterable[str], is_quiet: bool
) -> tuple[Finding, ...]:
    """Say what broke."""
    return (
        *_of_invariant(scenario, seen),
        *_of_overlaps(seen),
        *_of_errors(ledger, seen),
        *_of_agents(ledger, seen, agents),
        *[Finding("process_died", text) for text in ledger.died],
        *([] if is_quiet else [_of_unrest(seen)]),
    )


def _of_invariant(scenario: Scenario, seen: Seen) -> Iterator[Finding]:
    if scenario.invariant is None:
        return
    named: tuple[str, ...] = ()
    try:
        said = scenario.invariant()
    except Broken as broken:
        said, named = str(broken) or "it does not hold", broken.resources
    except Exception as error:  # noqa: BLE001 - an invariant may say no in any way
        said = described(error)
    if isinstance(said, str) and said:
        yield Finding("invariant", said, _involved(said, named, seen))


def _involved(text: str, named: tuple[str, ...], seen: Seen) -> tuple[str, ...]:
    """Choose the calls on the resources that a text names, or else all; first those that did not end as meant."""
    of_these = [call for call in seen.calls if set(named) & set(call.resources)] or _named_in(text, seen) or seen.calls
    suspects = {each.call for each in seen.concurrency.outlived}
    suspects |= {id_ for each in seen.concurrency.overlaps for id_ in (each.first, each.second)}
    first = [call.id for call in of_these if call.outcome in _SUSPECT or call.id in suspects]
    together = [id_ for pair in seen.concurrency.together for id_ in pair.example]
    known = {call.id for call in of_these}
    chosen = [*first, *[id_ for id_ in together if id_ in known], *[call.id for call in reversed(of_these)]]
    return tuple(dict.fromkeys(chosen))[:_INVOLVED]


def _named_in(text: str, seen: Seen) -> list[Call]:
    """Find the calls of which a text names a resource, the key or the thread."""
    words = set(_WORDS.findall(text))
    return [call for call in seen.calls if words & {*call.resources, call.key, call.thread}]


def _of_overlaps(seen: Seen) -> Iterator[Finding]:
    for overlap in seen.concurrency.overlaps[:_INVOLVED]:
        text = f"two calls held {overlap.resource} at the same time, which the store must never allow"
        yield Finding("overlap", text, (overlap.first, overlap.second))


def errors_of(ledger: Ledger) -> tuple[Trouble, ...]:
    """Count the errors with which turns ended, those of a kind that differ only in names and numbers as one."""
    kinds: dict[tuple[str, str], Trouble] = {}
    for ended in ledger.troubles:
        kind = (ended.how, _VARYING.sub("", ended.error))
        known = kinds.get(kind, Trouble(ended.how, ended.error, 0))
        kinds[kind] = replace(known, times=known.times + 1)
    return tuple(kinds.values())


def _of_errors(ledger: Ledger, seen: Seen) -> Iterator[Finding]:
    for trouble in errors_of(ledger):
        if trouble.how == "failed":
            name = trouble.error.partition(":")[0].partition(" at ")[0]
            calls = [call.id for call in seen.calls if call.error == name]
            yield Finding(
                "agent_failed", f"{counted(trouble.times, 'time')}: {trouble.error}", tuple(calls[:_INVOLVED])
            )


def _of_agents(ledger: Ledger, seen: Seen, agents: Iterable[str]) -> Iterator[Finding]:
    for agent in agents:
        if agent in ledger.left:
            continue
        turn = ledger.playing.get(agent)
        doing = f"has not ended its turn {turn}" if turn else "has not ended"
        threads = f"-{agent}-{turn}"
        calls = tuple(call.id for call in seen.calls if call.thread.endswith(threads))
        yield Finding("agent_stuck", f"{agent} {doing}", calls[-_INVOLVED:])


def _of_unrest(seen: Seen) -> Finding:
    leases, waiters = seen.snapshot.leases, seen.snapshot.waiters
    text = f"{counted(len(leases), 'lease')} and {counted(len(waiters), 'waiter')} did not go in time"
    owners = [lease.owner for lease in leases] + [waiter.owner for waiter in waiters]
    return Finding("not_quiet", text, tuple(owners[:_INVOLVED]))


def notes_of(findings: Iterable[Finding], ledger: Ledger, seen: Seen) -> tuple[str, ...]:
    """Say what helps to understand a run."""
    broken = any(finding.kind == "invariant" for finding in findings)
    return (*_about_log(seen), *_about_leases(ledger, seen), *(_about_locks(seen) if broken else ()))


def _about_log(seen: Seen) -> Iterator[str]:
    if not any(call.tool for call in seen.calls):
        yield "no guarded call is in the log. Agents are guarded over the coordinator that make_agent is given."
    if seen.unguarded:
        yield f"these tools ran without a policy: {', '.join(sorted(seen.unguarded))}."


def _about_leases(ledger: Ledger, seen: Seen) -> Iterator[str]:
    if seen.concurrency.outlived:
        overtaken = sum(1 for each in seen.concurrency.outlived if each.overtaken_by)
        yield (
            f"{counted(len(seen.concurrency.outlived), 'call')} still ran after the end of the lease, {overtaken} of "
            f"them beside a successor: hand current_call().fence to the store that they write to, which refuses "
            f"an older one."
        )
    if ledger.pauses and not any(pause.outlasted for pause in ledger.pauses):
        yield "no pause was longer than a lease: give the policies a shorter ttl, such as 1s, for the run."


def _about_locks(seen: Seen) -> Iterator[str]:
    calls = {call.id: call for call in seen.calls}
    for pair in seen.concurrency.together[:_PAIRS]:
        yield _worded(pair, calls)


def _worded(pair: Together, calls: Mapping[str, Call]) -> str:
    one, other = pair.tools
    both = f"{one} beside {other}" if one != other else f"{one} beside itself"
    held = " and ".join(_held(calls.get(id_)) for id_ in pair.example)
    return (
        f"{both} ran {counted(pair.times, 'time')} at once, with no lock in common, the first time holding {held}; "
        f"if these write to the same thing, their policies must lock it by the same name."
    )


def _held(call: Call | None) -> str:
    return ", ".join(call.resources) if call and call.resources else "nothing"
