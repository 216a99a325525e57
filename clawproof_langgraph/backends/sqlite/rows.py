"""Rows as SQLite stores them: what is a tuple in Python is packed into one column of text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from clawproof_langgraph.backends.store import LeaseRow, RecordRow, WaiterRow
from clawproof_langgraph.backends.wants import user_wants
from clawproof_langgraph.events import Event
from clawproof_langgraph.model import Begin, Mode, State, Want

_MODE = {"x": Mode.EXCLUSIVE, "s": Mode.SHARED}


def letter_of(mode: Mode) -> str:
    """Write a mode as one letter."""
    return "x" if mode is Mode.EXCLUSIVE else "s"


def mode_of(letter: str) -> Mode:
    """Read what `letter_of` wrote."""
    return _MODE[letter]


def _pack_wants(wants: tuple[Want, ...]) -> str:
    return "\n".join([letter_of(mode) + resource for resource, mode in wants])


def _unpack_wants(text: str) -> tuple[Want, ...]:
    return tuple([Want(part[1:], _MODE[part[0]]) for part in text.split("\n")]) if text else ()


def of_lease(row: LeaseRow) -> tuple[Any, ...]:
    """Give a lease's columns."""
    ask = row.ask
    return (
        ask.owner, row.fence, row.expires, row.since, row.seen, row.claimed, row.attempt, row.suspected,
        _pack_wants(row.wants), ask.session, ask.ttl, ask.agent, ask.thread, ask.tool, ask.key, ask.scope,
        ask.fingerprint, " ".join(ask.ancestors), ask.bell, ask.expected, ask.lineage,
    )  # fmt: skip


def lease_of(columns: tuple[Any, ...]) -> LeaseRow:
    """Make a lease of its columns."""
    owner, fence, expires, since, seen, claimed, attempt, suspected, packed, *asked = columns
    wants = _unpack_wants(packed)
    ask = _ask_of(owner, wants, asked)
    return LeaseRow(ask, wants, fence, expires, since, seen, bool(claimed), attempt, bool(suspected))


def of_waiter(row: WaiterRow) -> tuple[Any, ...]:
    """Give a waiter's columns."""
    ask = row.ask
    return (
        ask.owner, row.place, row.arrived, _pack_wants(row.wants), ask.session, ask.ttl, ask.agent, ask.thread,
        ask.tool, ask.key, ask.scope, ask.fingerprint, " ".join(ask.ancestors), ask.bell, ask.expected, ask.lineage,
    )  # fmt: skip


def waiter_of(columns: Sequence[Any]) -> WaiterRow:
    """Make a waiter of its columns."""
    owner, place, arrived, packed, *asked = columns
    wants = _unpack_wants(packed)
    return WaiterRow(_ask_of(owner, wants, asked), wants, place, arrived)


def _ask_of(owner: str, wants: tuple[Want, ...], asked: list[Any]) -> Begin:
    session, ttl, agent, thread, tool, key, scope, fingerprint, ancestors, bell, expected, lineage = asked
    return Begin(
        owner, session, user_wants(wants), ttl, agent, thread, tool, key, scope, fingerprint, 0.0,
        tuple(ancestors.split(" ")) if ancestors else (), bell, expected, lineage=lineage,
    )  # fmt: skip


def of_record(row: RecordRow) -> tuple[Any, ...]:
    """Give a record's columns."""
    return (
        row.key, row.state.value, row.agent, row.thread, row.tool, row.scope, row.fingerprint, row.owner, row.fence,
        row.attempt, row.result, row.first_at, row.updated_at, row.same_as, "\n".join(row.resources), row.reason,
        row.doubted_before, row.touched, " ".join([f"{task} {fence}" for task, fence in row.asked]), row.lineage,
    )  # fmt: skip


def record_of(columns: tuple[Any, ...]) -> RecordRow:
    """Make a record of its columns."""
    *plain, resources, reason, doubted_before, touched, asked, lineage = columns
    key, state, *others = plain
    names = tuple(resources.split("\n")) if resources else ()
    words = asked.split(" ") if asked else ()
    questions = tuple([(task, int(fence)) for task, fence in zip(words[::2], words[1::2], strict=True)])
    told: list[Any] = [names, reason, bool(doubted_before), bool(touched), questions, lineage]
    return RecordRow(key, State(state), *others, *told)


def of_event(event: Event) -> tuple[Any, ...]:
    """Give an event's columns."""
    *plain, resources, fence, data = event
    return (*plain, "\n".join(resources), fence, to_json(data, inf_nan_mode="constants").decode())


def event_of(columns: tuple[Any, ...]) -> Event:
    """Make an event of its columns."""
    cursor, time, kind, agent, thread, call, key, resources, fence, data = columns
    names = tuple(resources.split("\n")) if resources else ()
    return Event(cursor, time, kind, agent, thread, call, key, names, fence, json.loads(data))
