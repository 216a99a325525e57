"""The report of a stress run: what was done, what broke, and with which calls; as text and as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from clawproof_langgraph.inspection.calls import Call
from clawproof_langgraph.inspection.contention import Contention
from clawproof_langgraph.inspection.overlaps import Outlived, Overlap, Together
from clawproof_langgraph.model import InDoubt
from clawproof_langgraph.testing.stress.ledger import Kill, Pause

SCHEMA: Final = "clawproof.stress/1"
"""Grows when a field changes its meaning or goes; new fields may come without."""

_LETTERS: Final = 200
"""Letters of an error that the text shows."""
_SHOWN: Final = 12
"""Entries of a kind that the text shows; the JSON has all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that broke.

    Args:
        kind: `invariant`, `overlap`, `agent_failed`, `agent_stuck`, `process_died` or `not_quiet`.
        text: what.
        calls: the ids of the calls involved.
    """

    kind: str
    text: str
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error with which turns ended.

    Args:
        how: `refused` by the library, `expected` by the scenario, or `failed`.
        error: its type and message.
        times: how often.
    """

    how: str
    error: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StressReport:
    """What a stress run did, and what broke.

    Args:
        run: its name.
        target: where its scenario is from.
        seed: with which it can be repeated.
        agents, processes: how many there were; with one process, the agents were threads.
        seconds: how long it took, with the time in which it became quiet.
        started: seconds since the epoch.
        store, url, namespace: where its calls were coordinated; neither has credentials.
        turns: how many turns came out how.
        errors: the errors with which turns ended, with how they came out and how often.
        kills, pauses: what was done to the processes.
        findings: what broke.
        notes: what else is worth knowing.
        in_doubt: the calls that are left for somebody to resolve.
        overlaps: leases that one resource had at the same time, though one of them was exclusive.
        outlived: calls that still ran after their lease had ended.
        together: tools that ran at the same time with no lock in common.
        contention: the resources that were waited for longest.
        calls: those that the findings name.
        file: where the report is kept.
    """

    run: str
    target: str
    seed: int
    agents: int
    processes: int
    seconds: float
    started: float
    store: str
    url: str
    namespace: str
    turns: Mapping[str, int]
    errors: tuple[Trouble, ...] = ()
    kills: tuple[Kill, ...] = ()
    pauses: tuple[Pause, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    in_doubt: tuple[InDoubt, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    outlived: tuple[Outlived, ...] = ()
    together: tuple[Together, ...] = ()
    contention: tuple[Contention, ...] = ()
    calls: Mapping[str, Call] = field(default_factory=dict)
    file: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing broke."""
        return not self.findings

    def resolve_command(self, key: str) -> str:
        """Word the command that resolves a call in doubt."""
        words = ["clawproof", "resolve", key, "applied", "--url", self.url, "--namespace", self.namespace]
        return shlex.join(words)

    def as_json(self) -> dict[str, Any]:
        """Give the report as JSON values; the fields are described in docs/stress.md."""
        told = {name: getattr(self, name) for name in _PLAIN}
        lists = {name: [asdict(each) for each in getattr(self, name)] for name in _LISTS}
        doubts = [{**asdict(each), "resolve": self.resolve_command(each.key)} for each in self.in_doubt]
        calls = {id_: asdict(call) for id_, call in self.calls.items()}
        turns = {"turns": dict(self.turns), "notes": list(self.notes)}
        return {"schema": SCHEMA, "ok": self.ok, **told, **turns, **lists, "in_doubt": doubts, "calls": calls}

    def save(self, file: Path) -> None:
        """Write the report as JSON."""
        file.write_text(json.dumps(self.as_json(), indent=2))

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """Word the report."""
        yield from self._what_was_done()
        for finding in self.findings:
            yield f"BROKEN, {finding.kind.replace('_', ' ')}: {_short(finding.text)}"
            yield from self._calls(finding.calls)
        yield from (f"Note: {note}" for note in self.notes)
        yield from self._what_is_left()
        if self.file is not None:
            yield f"The report is in {self.file}."
        yield "Something broke." if self.findings else "Nothing broke."

    def _what_was_done(self) -> Iterator[str]:
        where = f"in {self.processes} processes" if self.processes > 1 else "as threads of one process"
        yield f"{self.agents} agents {where}, {self.seconds:.1f} s, seed {self.seed}, over {self.store}"
        turns = ", ".join(f"{number} {how.replace('_', ' ')}" for how, number in sorted(self.turns.items()))
        yield f"  turns: {turns or 'none'}"
        for trouble in [each for each in self.errors if each.how != "failed"][:_SHOWN]:
            yield f"    {trouble.how}: {_short(trouble.error)} ({counted(trouble.times, 'time')})"
        if self.processes > 1:
            outlasted = sum(1 for pause in self.pauses if pause.outlasted)
            beyond = f", {outlasted} of them longer than a lease" if self.pauses else ""
            yield f"  {counted(len(self.kills), 'kill')}, {counted(len(self.pauses), 'pause')}{beyond}"
        outlived = counted(len(self.outlived), "call")
        yield f"  {counted(len(self.overlaps), 'overlapping lease')}, {outlived} that outlived their lease"

    def _what_is_left(self) -> Iterator[str]:
        if self.in_doubt:
            key = self.in_doubt[0].key if len(self.in_doubt) == 1 else "KEY"
            doubts = f"{counted(len(self.in_doubt), 'call')} in doubt"
            yield f"{doubts}. Find out what happened, then say applied or not_applied:"
            yield f"  {self.resolve_command(key)}"
        for doubt in self.in_doubt[:_SHOWN]:
            yield f"  {doubt.key}: {doubt.tool} of {doubt.agent or doubt.thread or '-'}, {doubt.reason}"
        yield from _more(self.in_doubt)
        wanted = [each for each in self.contention if each.waited > 0]
        if wanted:
            yield "What was waited for:"
        for each in wanted[:_SHOWN]:
            waits = f"waited {each.waited:.1f} s in all, {each.longest:.1f} s at most, held {each.held:.1f} s"
            yield f"  {each.resource}: {each.calls} calls, {waits}"

    def _calls(self, ids: tuple[str, ...]) -> Iterator[str]:
        for call in [self.calls[id_] for id_ in ids[:_SHOWN] if id_ in self.calls]:
            outcome = call.outcome.replace("_", " ")
            why = call.error or call.reason
            held = "" if call.held is None else f", held {call.held:.3f} s"
            yield (
                f"  {call.asked - self.started:7.3f} s  {call.agent or call.thread or '-'}  {call.tool or '(lock)'} "
                f"on {', '.join(call.resources) or 'nothing'}: {outcome}{f' ({why})' if why else ''}, "
                f"waited {call.waited:.3f} s{held}, call {call.id}"
            )
        yield from _more(ids)


_PLAIN: Final = ("run", "target", "seed", "agents", "processes", "seconds", "started", "store", "url", "namespace")
_LISTS: Final = ("errors", "kills", "pauses", "findings", "overlaps", "outlived", "together", "contention")


def without_password(url: str) -> str:
    """Give a URL that may be printed and kept."""
    secret = urlsplit(url).password
    return url.replace(f":{secret}@", ":PASSWORD@", 1) if secret else url


def counted(number: int, noun: str) -> str:
    """Write a number with its noun."""
    return f"{number} {noun if number == 1 else noun + 's'}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LETTERS else f"{line[:_LETTERS]}..."


def _more(entries: Iterable[Any]) -> Iterator[str]:
    if (left := len(tuple(entries)) - _SHOWN) > 0:
        yield f"  and {left} more, in the report"
