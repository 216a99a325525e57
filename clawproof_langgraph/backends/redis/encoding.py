"""Commands as the arguments of their scripts, and the replies of the scripts as the contract has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, assert_never

from pydantic_core import to_json

from clawproof_langgraph.backends import unresolvable
from clawproof_langgraph.backends.store import LAST_PLACE
from clawproof_langgraph.backends.subscribers import forgotten, taken
from clawproof_langgraph.backends.wants import all_wants
from clawproof_langgraph.events import Event, EventFilter, Page
from clawproof_langgraph.model import (
    Advance,
    Asked,
    Begin,
    BeginReply,
    Change,
    Fact,
    Glance,
    Granted,
    Held,
    InDoubt,
    Kill,
    Killed,
    LeaseView,
    Looked,
    Mismatch,
    Mode,
    Note,
    Queued,
    Renew,
    Renewed,
    Replay,
    Resolve,
    Revive,
    Settle,
    Snapshot,
    Stale,
    Subscribe,
    Sweep,
    Swept,
    Unsubscribe,
    Versions,
    WaiterView,
    Want,
    Withdraw,
)

Argument = str | bytes | int | float
_PAGE: Final = 500
"""Entries of the log that are read at a time."""
_LETTER: Final = {Mode.EXCLUSIVE: "x", Mode.SHARED: "s"}
_MODE: Final = {letter: mode for mode, letter in _LETTER.items()}


def _fields(data: Mapping[str, Any]) -> bytes:
    """Write an object as JSON without its braces, so that a script can add to it."""
    return to_json(data, inf_nan_mode="constants")[1:-1] if data else b""


# --- commands ---------------------------------------------------------------------------------------------------


def of_begin(ask: Begin, *, unheard: bool = False, ahead: bool = False) -> list[Argument]:
    """Write a request; `unheard`: it was sent before, and the reply was lost; `ahead`: it is sent before its turn."""
    kept = [
        ask.session, ask.ttl, ask.agent, ask.thread, ask.tool, ask.key, ask.scope, ask.fingerprint,
        " ".join(ask.ancestors), ask.bell, ask.expected, ask.lineage,
        [_LETTER[mode] + resource for resource, mode in ask.wants],
    ]  # fmt: skip
    # No call is as old as that, and a script reads no "inf".
    rerun_within = min(ask.rerun_within, 1e15)
    data = _fields(ask.data) + b"," if ask.data else b""
    repeated = 3 if ahead else 2 if unheard else int(ask.repeated)
    request: list[Argument] = [ask.owner, repeated, ask.waited, rerun_within, data, ask.task, to_json(kept)]
    if ask.look:
        resources, elapsed, state, attempt, error = ask.look
        return [*request, "", "look", elapsed, state or "", attempt, error, *resources]
    return [*request, *_of_versions(ask)] if _minds_versions(ask) else request


def _minds_versions(ask: Begin) -> bool:
    return ask.versions or ask.seen is not None or ask.look is not None


def _of_versions(ask: Begin) -> list[Argument]:
    wanted = {resource for resource, _ in ask.wants}
    seen: list[Argument] = [part for pair in ask.seen or () if pair[0] in wanted for part in pair]
    return ["", int(ask.versions), int(ask.seen is not None), *seen]


def of_fast_begin(ask: Begin, *, ahead: bool = False) -> list[Argument]:
    """Write a request with what lets a script answer it without asking any rule."""
    arguments = of_begin(ask, ahead=ahead)
    wants = all_wants(ask)
    if _minds_versions(ask) or any(mode is Mode.SHARED for _, mode in ask.wants):
        return arguments
    rows = ["r" + resource for resource, _ in wants]
    known = [kind + name for kind, name in (("u", ask.scope), ("d", ask.key), ("k", ask.agent)) if name]
    tool = to_json(ask.tool) if ask.tool else b""
    has_locks, is_nested = int(bool(ask.wants)), int(bool(ask.ancestors))
    facts: list[Argument] = [_about(ask), tool, ask.ttl, has_locks, ask.session, ask.key, is_nested, len(rows)]
    return [*arguments, *facts, *rows, *known]


def _about(ask: Begin) -> bytes:
    """Write what the events of a call have in common."""
    names = "\n".join([resource for resource, _ in ask.wants])
    return to_json([ask.agent, ask.thread, ask.owner, ask.key, names])[1:-1]


def of_settle(end: Settle, ask: Begin | None = None, *, unheard: bool = False) -> list[Argument]:
    """Write an outcome.

    Args:
        end: it.
        ask: the request of its lease, where that is known to have been granted as it was sent.
        unheard: whether it was sent before, and the reply was lost.
    """
    arguments: list[Argument] = [
        end.owner, end.fence, end.state or "", end.key, int(end.result is not None), end.result or b"",
        int(end.touched), int(end.is_open), end.attempt, end.error, end.by,
        b"," + _fields(end.facts) if end.facts else b"", int(unheard),
    ]  # fmt: skip
    if ask is None:
        arguments += [b"", b"", b"", 0, 0]
    else:
        row = [ask.agent, ask.thread, ask.tool, ask.scope, ask.fingerprint, ask.owner, "", "", "", ask.lineage, []]
        fields = ["r" + resource for resource, _ in all_wants(ask)]
        tool = to_json(ask.tool)
        arguments += [_about(ask), to_json(row), tool, int(bool(ask.wants)), len(fields), *fields]
    for kind, data in end.emits:
        arguments += [kind, _fields(data)]
    return arguments


def of_withdraw(leave: Withdraw) -> list[Argument]:
    """Write what is given up."""
    return [leave.owner, leave.reason, *(of_begin(leave.call) if leave.call else ())]


def of_renew(beat: Renew) -> list[Argument]:
    """Write a renewal."""
    leases: list[Argument] = [part for lease in beat.leases for part in lease]
    return [beat.session, int(beat.waiting), len(beat.leases), *leases, *beat.agents]


def of_sweep(terms: Sweep) -> list[Argument]:
    """Write what is to be swept."""
    return [terms.limit, terms.keep_results, terms.keep_events, terms.max_events, terms.subscriber_life]


def of_page(wanted: EventFilter) -> list[Argument]:
    """Write from where the log is read, and how many of its entries."""
    return [wanted.after, min(wanted.limit, _PAGE) if wanted.takes_all else _PAGE]


def of_fact(fact: Fact) -> tuple[str, list[Argument]]:
    """Write a fact, and say which script records it."""
    match fact:
        case Kill():
            return "kill", [fact.agent, fact.reason, fact.by]
        case Revive():
            return "revive", [fact.agent, fact.by]
        case Resolve():
            result: list[Argument] = [int(fact.result is not None), fact.result or b""]
            return "resolve", [fact.key, int(fact.applied), *result, fact.by, fact.owner, fact.fence]
        case Asked():
            return "ask", [fact.key, fact.task, fact.fence]
        case Note():
            names, data = "\n".join(fact.resources), _fields(fact.data)
            about: list[Argument] = [fact.agent, fact.thread, fact.call, fact.key, names, fact.fence]
            return "note", [fact.type, *about, data]
        case Subscribe():
            return "subscribe", [fact.name, fact.owner, fact.start]
        case Advance():
            return "advance", [fact.name, fact.owner, fact.cursor, int(fact.over)]
        case Unsubscribe():
            return "unsubscribe", [fact.name]
        case _:
            assert_never(fact)


# --- replies ----------------------------------------------------------------------------------------------------


def _fences(text: bytes) -> tuple[int, ...]:
    return tuple([int(fence) for fence in text.split()])


def begun(ask: Begin, reply: Sequence[Any]) -> BeginReply:
    """Read the reply to a request."""
    match reply[0]:
        case b"granted":
            _, owner, fence, key, attempt, doubt, asked, *told, _ = reply
            versions = _versions(told) if told else ()
            return Granted(
                owner.decode(), int(fence), ask.ttl, key.decode(), attempt, int(doubt), _fences(asked), versions
            )
        case b"queued":
            return _queued(reply)
        case b"replay":
            _, key, result, rejected, asked, fence = reply
            return Replay(key.decode(), result, bool(rejected), _fences(asked), int(fence))
        case b"held":
            _, key, tool, fence, asked = reply
            return Held(key.decode(), tool.decode(), int(fence), _fences(asked))
        case b"killed":
            return _killed(reply[1:])
        case b"looked":
            glances = [_glance(reply[at : at + 4]) for at in range(3, len(reply), 4)]
            return Looked(float(reply[1]), bool(reply[2]), tuple(glances))
        case b"stale":
            return Stale(tuple([_change(reply[at : at + 7]) for at in range(1, len(reply), 7)]))
        case _:
            return Mismatch(reply[1].decode(), reply[2].decode())


def _queued(reply: Sequence[Any]) -> Queued:
    resource, agent, owner, tool, look_again = [part.decode() for part in reply[1:6]]
    on_key, alive, own = map(bool, reply[6:9])
    holder = (f'agent "{agent}"' if agent else f"owner {owner}") + (f' running "{tool}"' if tool else "")
    return Queued(resource, holder, float(look_again), on_key, alive, own)


def _versions(told: Sequence[bytes]) -> Versions:
    return tuple([(name.decode(), int(version)) for name, version in zip(told[::2], told[1::2], strict=True)])


def _glance(row: Sequence[Any]) -> Glance:
    return Glance(row[0].decode(), bool(row[1]), float(row[2]), int(row[3]))


def _change(row: Sequence[bytes]) -> Change:
    resource, seen, current, agent, tool, thread, at = [part.decode() for part in row]
    saw, now = int(seen) if seen else None, int(current) if current else None
    return Change(resource, saw, now, agent, tool, thread, float(at))


def _killed(row: Sequence[bytes]) -> Killed:
    agent, reason, by, at = [part.decode() for part in row]
    return Killed(agent, reason, by, float(at))


def renewed(reply: Sequence[Any]) -> Renewed:
    """Read what a renewal found."""
    lost, killed, turns, overdue = reply
    return Renewed(
        frozenset([owner.decode() for owner in lost]),
        tuple([_killed(row) for row in killed]),
        tuple([owner.decode() for owner in turns]),
        bool(overdue),
    )


def swept(reply: Sequence[int]) -> Swept:
    """Read how much a sweep did."""
    expired, waiters, records, events, more = reply
    return Swept(expired, waiters, records, events, bool(more))


def recorded(fact: Fact, reply: Any) -> int:
    """Read the cursor of a note, or where a subscription stands.

    Raises:
        ConfigurationError: the call to resolve is not known, or not in doubt; somebody else reads the subscription.
    """
    match fact:
        case Note():
            return int(reply)
        case Resolve():
            _check_resolved(reply)
        case Subscribe() | Advance():
            return _stands_at(*[part.decode() for part in reply])
    return 0


def _stands_at(word: str, value: str) -> int:
    match word:
        case "taken":
            raise taken(value)
        case "forgotten":
            raise forgotten(value)
        case _:
            return int(value)


def _check_resolved(reply: Sequence[bytes]) -> None:
    match [part.decode() for part in reply]:
        case ["unknown", key]:
            raise unresolvable.unknown(key)
        case ["in_no_doubt", key, state]:
            raise unresolvable.in_no_doubt(key, state)
        case ["done_otherwise", key]:
            raise unresolvable.done_otherwise(key)
        case ["lease_ended", key]:
            raise unresolvable.lease_ended(key)


def page_of(wanted: EventFilter, asked: Sequence[Argument], reply: Sequence[Any]) -> Page:
    """Read a part of the log; `asked` is what `of_page` wrote."""
    trimmed, end, entries = int(reply[0]), int(reply[1]), reply[2]
    found = [event for entry in entries for event in _events_of(entry)]
    passed = [event for event in found if event.cursor > wanted.after and wanted.admits(event)]
    if len(passed) > wanted.limit:
        passed = passed[: wanted.limit]
        return Page(passed, passed[-1].cursor, trimmed, more=True, end=end)
    return Page(passed, found[-1].cursor if found else wanted.after, trimmed, more=len(entries) == asked[1], end=end)


def _events_of(entry: Sequence[Any]) -> list[Event]:
    name, parts = entry
    last, found = int(name.partition(b"-")[0]), []
    for before, text in zip(parts[::2], parts[1::2], strict=True):
        kind, agent, thread, call, key, names, fence, date, data = json.loads(text)
        resources = tuple(names.split("\n")) if names else ()
        cursor = last - int(before)
        found.append(Event(cursor, float(date), kind, agent, thread, call, key, resources, int(fence), data))
    return found


def snapshot_of(reply: Sequence[Any]) -> Snapshot:
    """Read the namespace at one instant."""
    leases, waiters, doubts, killed = reply
    return Snapshot(
        tuple([_lease(row) for row in leases]),
        tuple(sorted([_waiter(row) for row in waiters], key=lambda waiter: waiter.ticket)),
        tuple([_doubt(row) for row in doubts]),
        tuple(sorted([_killed(row) for row in killed], key=lambda row: row.at)),
    )


def _wants(text: str) -> tuple[Want, ...]:
    return tuple([Want(part[1:], _MODE[part[0]]) for part in text.split("\n")]) if text else ()


def _lease(row: Sequence[bytes]) -> LeaseView:
    owner, agent, thread, tool, key, fence, held, remaining, wants, ancestors = [part.decode() for part in row]
    times = float(held), float(remaining)
    return LeaseView(owner, agent, thread, tool, key, _wants(wants), int(fence), *times, tuple(ancestors.split()))


def _waiter(row: Sequence[bytes]) -> WaiterView:
    owner, agent, thread, tool, place, waited, wants, key, ancestors = [part.decode() for part in row]
    ticket = int(place[1:]) - (LAST_PLACE if place[0] == "0" else 0)
    chain = tuple(ancestors.split())
    return WaiterView(owner, agent, thread, tool, _wants(wants), ticket, float(waited), key, chain)


def _doubt(row: Sequence[Any]) -> InDoubt:
    key, agent, thread, tool, attempt, since, names, reason = row
    resources = tuple(names.decode().split("\n")) if names else ()
    return InDoubt(
        key.decode(), agent.decode(), thread.decode(), tool.decode(), attempt, float(since), resources, reason.decode()
    )
