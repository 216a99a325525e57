"""Runs agents together against shared state, does to them what happens in production, and looks at what is left."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Final, Unpack

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.inspection.contention import contention_of
from clawproof_langgraph.testing.stress.chaos import plan_of_blows
from clawproof_langgraph.testing.stress.hall import Hall
from clawproof_langgraph.testing.stress.ledger import Ledger
from clawproof_langgraph.testing.stress.options import Options, Plan, planned
from clawproof_langgraph.testing.stress.patience import Patience
from clawproof_langgraph.testing.stress.playing import Message, Players
from clawproof_langgraph.testing.stress.report import Finding, StressReport, without_password
from clawproof_langgraph.testing.stress.scenario import Scenario, Seat, Turn, described, load
from clawproof_langgraph.testing.stress.verdict import Seen, errors_of, findings_of, look_back, notes_of, quiet

_TICK: Final = 0.1
"""Seconds between two looks whether all have ended."""


def run_agents(
    make_agent: Callable[[Seat], Any] | Scenario | str,
    *,
    input: Callable[[Turn], Any] | None = None,
    setup: Callable[[], object] | None = None,
    invariant: Callable[[], object] | None = None,
    expected: tuple[type[Exception], ...] = (),
    use_async: bool = False,
    **options: Unpack[Options],
) -> StressReport:
    """Run agents together, kill and stop their processes, and check what must hold.

    Args:
        make_agent: gives the agent for a seat; or a `Scenario`, or `module:factory`, which gives one.
        input, setup, invariant, expected, use_async: as of a `Scenario`.
        options: see `Options`: `n`, `processes`, `seconds`, `rounds`, `seed`, `kills`, `pauses`, `longest_pause`,
            `patience`, `url`, `namespace`, `folder`.

    Returns:
        The report, which was also written to `report.json` in the folder; `report.ok` says whether nothing broke.

    Raises:
        ConfigurationError: something of this is not possible, or the agents cannot be made.
    """
    said = {"input": input, "setup": setup, "invariant": invariant, "expected": expected, "use_async": use_async}
    scenario = _scenario(make_agent, {name: value for name, value in said.items() if value})
    plan = planned(options)
    with plan.store.open() as watcher:
        played = _play(make_agent if isinstance(make_agent, str) else scenario, scenario, plan, watcher)
    target = make_agent if isinstance(make_agent, str) else _named(scenario.make_agent)
    report = _report(target, plan, played)
    report.save(plan.folder / "report.json")
    return report


@dataclass(frozen=True, slots=True)
class _Played:
    """A run that is over."""

    started: float
    ended: float
    store: str
    ledger: Ledger
    seen: Seen
    findings: tuple[Finding, ...]


def _scenario(given: Callable[[Seat], Any] | Scenario | str, said: dict[str, Any]) -> Scenario:
    if not isinstance(given, Scenario | str):
        return Scenario(make_agent=given, **said)
    if said:
        raise ConfigurationError(f"{', '.join(said)}: the scenario says this; give one or the other.")
    return load(given) if isinstance(given, str) else given


def _play(source: Scenario | str, scenario: Scenario, plan: Plan, watcher: Coordinator) -> _Played:
    ledger = Ledger()
    with ExitStack() as stack:
        if plan.processes > 1:
            hall = Hall(source, plan, watcher=watcher, ledger=ledger)
            _set_up(scenario)
            stack.enter_context(hall.opened())
            started = time.time()
            hall.play(plan_of_blows(plan.terms.seed, seconds=plan.seconds, kills=plan.kills, pauses=plan.pauses))
        else:
            _set_up(scenario)
            players = Players(plan.parts, scenario, plan.terms, watcher)
            started = time.time()
            _play_in_threads(players, plan, ledger)
    is_quiet = quiet(watcher, patience=plan.patience)
    seen = look_back(watcher)
    findings = findings_of(scenario, ledger, seen, agents=[part.agent for part in plan.parts], is_quiet=is_quiet)
    return _Played(started, time.time(), watcher.store, ledger, seen, findings)


def _play_in_threads(players: Players, plan: Plan, ledger: Ledger) -> None:
    told: queue.SimpleQueue[Message] = queue.SimpleQueue()
    until = time.monotonic() + plan.seconds
    patience = Patience(plan.patience, after=until)
    players.start(told.put, until)
    while len(ledger.left) < plan.n and not patience.is_over():
        with suppress(queue.Empty):
            ledger.note(told.get(timeout=_TICK))


def _set_up(scenario: Scenario) -> None:
    if scenario.setup is None:
        return
    try:
        scenario.setup()
    except Exception as exc:
        raise ConfigurationError(f"setup failed: {described(exc)}.") from exc


def _report(target: str, plan: Plan, played: _Played) -> StressReport:
    seen, ledger = played.seen, played.ledger
    involved = {id_ for finding in played.findings for id_ in finding.calls}
    return StressReport(
        run=plan.terms.run,
        target=target,
        seed=plan.terms.seed,
        agents=plan.n,
        processes=plan.processes,
        seconds=round(played.ended - played.started, 3),
        started=played.started,
        store=played.store,
        url=without_password(plan.store.url),
        namespace=plan.store.namespace,
        turns=dict(ledger.turns),
        errors=errors_of(ledger),
        kills=tuple(ledger.kills),
        pauses=tuple(ledger.pauses),
        findings=played.findings,
        notes=notes_of(played.findings, ledger, seen),
        in_doubt=seen.snapshot.in_doubt,
        overlaps=seen.concurrency.overlaps,
        outlived=seen.concurrency.outlived,
        together=seen.concurrency.together,
        contention=contention_of(seen.calls),
        calls={call.id: call for call in seen.calls if call.id in involved},
        file=plan.folder / "report.json",
    )


def _named(function: Any) -> str:
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', type(function).__name__)}"
