"""Runs agents together against shared state, does to them what happens in production, and looks at what is left."""

from __future__ import annotations

import itertools
import queue
import re
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from clawproof_langgraph.backends.urls import make_project_folder
from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.durations import seconds as to_seconds
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.inspection.contention import contention_of
from clawproof_langgraph.testing.stress.chaos import plan
from clawproof_langgraph.testing.stress.hall import Hall
from clawproof_langgraph.testing.stress.ledger import Ledger
from clawproof_langgraph.testing.stress.playing import Message, Part, Players, Terms
from clawproof_langgraph.testing.stress.report import StressReport, without_password
from clawproof_langgraph.testing.stress.scenario import Scenario, Seat, Turn, described, load
from clawproof_langgraph.testing.stress.verdict import findings_of, look_back, notes_of, quiet
from clawproof_langgraph.testing.stress.workers import Store

_KEPT: Final = 20
"""Runs whose folders are kept."""
_RUN: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_EVERY: Final = 4.0
"""Seconds for each kill, and for each pause, unless it is said how many there shall be."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What was asked for, checked and completed."""

    name: str
    folder: Path
    store: Store
    terms: Terms
    agents: int
    processes: int
    seconds: float
    kills: int
    pauses: int
    longest_pause: float
    patience: float

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the agents."""
        return tuple(Part(number).agent for number in range(1, self.agents + 1))


def run_agents(
    make_agent: Callable[[Seat], Any] | Scenario | str,
    *,
    n: int = 12,
    processes: int = 1,
    seconds: str | float = 10.0,
    rounds: int | None = None,
    input: Callable[[Turn], Any] | None = None,
    setup: Callable[[], object] | None = None,
    invariant: Callable[[], object] | None = None,
    expected: tuple[type[Exception], ...] = (),
    use_async: bool = False,
    seed: int | None = None,
    kills: int | None = None,
    pauses: int | None = None,
    longest_pause: str | float = 5.0,
    patience: str | float = 60.0,
    url: str | None = None,
    namespace: str | None = None,
    folder: Path | str | None = None,
) -> StressReport:
    """Run agents together, kill and stop their processes, and check what must hold.

    Args:
        make_agent: gives the agent for a seat; or a `Scenario`, or `module:factory`, which gives one.
        n: how many agents.
        processes: in how many processes; with one, the agents are threads of this one, and nobody is killed or stopped.
        seconds: after which no turn begins.
        rounds: how many turns each agent has at most.
        input, setup, invariant, expected, use_async: as of a `Scenario`.
        seed: makes chance repeatable: that of the turns, and when which blow falls; drawn if it is not given.
        kills: how many processes are killed; by default one in four seconds.
        pauses: how many processes are stopped until their leases have ended; by default one in four seconds.
        longest_pause: seconds after which a process goes on even if its leases have not ended.
        patience: seconds after the last turn has begun in which all must end, and again in which all leases must.
        url: the coordination store; by default a new file in the run's folder.
        namespace: in it; by default a new one.
        folder: where the report goes; by default a new folder in `.clawproof/stress` of the project.

    Returns:
        The report; it was written to `report.json` in the folder. `report.ok` says whether nothing broke.

    Raises:
        ConfigurationError: something of this is not possible, or the agents cannot be made.
    """
    parts = {"input": input, "setup": setup, "invariant": invariant, "expected": expected, "use_async": use_async}
    scenario = _scenario(make_agent, {name: value for name, value in parts.items() if value})
    run = _checked(
        n, processes, seconds, rounds, seed, kills, pauses, longest_pause, patience, url, namespace, folder
    )  # fmt: skip
    source = make_agent if isinstance(make_agent, str) else scenario
    ledger, started = Ledger(), time.time()
    with ExitStack() as stack:
        watcher = stack.enter_context(run.store.open())
        hall = _hall(source, run, watcher, ledger) if run.processes > 1 else None
        _set_up(scenario)
        began = time.monotonic()
        if hall is None:
            _play_in_threads(scenario, run, watcher, ledger)
        else:
            _play_in_processes(hall, run)
        is_quiet = quiet(watcher, patience=run.patience)
        seen = look_back(watcher)
        store, elapsed = watcher.store, time.monotonic() - began
        findings = findings_of(scenario, ledger, seen, agents=run.names, is_quiet=is_quiet)
    involved = {id_ for finding in findings for id_ in finding.calls}
    report = StressReport(
        run=run.name,
        target=make_agent if isinstance(make_agent, str) else _named(scenario.make_agent),
        seed=run.terms.seed,
        agents=run.agents,
        processes=run.processes,
        seconds=round(elapsed, 3),
        started=started,
        store=store,
        url=without_password(run.store.url),
        namespace=run.store.namespace,
        turns=dict(ledger.turns),
        kills=tuple(ledger.kills),
        pauses=tuple(ledger.pauses),
        findings=findings,
        notes=notes_of(findings, ledger, seen),
        in_doubt=seen.snapshot.in_doubt,
        overlaps=seen.concurrency.overlaps,
        outlived=seen.concurrency.outlived,
        together=seen.concurrency.together,
        contention=contention_of(seen.calls),
        calls={call.id: call for call in seen.calls if call.id in involved},
        file=run.folder / "report.json",
    )
    report.save(run.folder / "report.json")
    return report


def _scenario(given: Callable[[Seat], Any] | Scenario | str, parts: dict[str, Any]) -> Scenario:
    if not isinstance(given, Scenario | str):
        return Scenario(make_agent=given, **parts)
    if parts:
        raise ConfigurationError(f"{', '.join(parts)}: the scenario says this; give one or the other.")
    return load(given) if isinstance(given, str) else given


def _checked(
    n: int,
    processes: int,
    seconds: str | float,
    rounds: int | None,
    seed: int | None,
    kills: int | None,
    pauses: int | None,
    longest_pause: str | float,
    patience: str | float,
    url: str | None,
    namespace: str | None,
    folder: Path | str | None,
) -> _Run:
    numbers = {
        "n": (n, 1),
        "processes": (processes, 1),
        "rounds": (rounds, 1),
        "kills": (kills, 0),
        "pauses": (pauses, 0),
    }
    for name, (number, least) in numbers.items():
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < least):
            raise ConfigurationError(f"{name}={number!r} is no number of at least {least}.")
    length = to_seconds(seconds, "seconds")
    if processes > 1 and url is not None and urlsplit(url).scheme == "memory":
        raise ConfigurationError(
            f"{processes} processes cannot share {url}, which lives inside one: give the URL of a file or a server, or "
            f"none at all, or processes=1."
        )
    if processes == 1 and (kills or pauses):
        raise ConfigurationError("With one process nobody can be killed or stopped: give processes=2 or more.")
    blows = max(1, round(length / _EVERY)) if processes > 1 else 0
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    place = _make_folder(name, folder)
    return _Run(
        name,
        place,
        Store(url or f"sqlite:///{quote(str(place / 'store.db'))}?synchronous=normal", namespace or f"stress-{name}"),
        Terms(name, secrets.randbits(32) if seed is None else seed, rounds),
        n,
        min(processes, n),
        length,
        blows if kills is None else kills,
        blows if pauses is None else pauses,
        to_seconds(longest_pause, "longest_pause"),
        to_seconds(patience, "patience"),
    )


def _make_folder(name: str, chosen: Path | str | None) -> Path:
    try:
        if chosen is not None:
            place = Path(chosen).absolute()
        else:
            runs = make_project_folder() / "stress"
            _drop_old(runs)
            place = runs / name
        place.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(f"Cannot make a folder for the report: {exc}. Name one with folder=.") from exc
    return place


def _drop_old(runs: Path) -> None:
    found = sorted(each for each in runs.glob("*") if _RUN.fullmatch(each.name))
    for old in found[: max(0, len(found) - _KEPT + 1)]:
        shutil.rmtree(old, ignore_errors=True)


def _set_up(scenario: Scenario) -> None:
    if scenario.setup is None:
        return
    try:
        scenario.setup()
    except Exception as exc:
        raise ConfigurationError(f"setup failed: {described(exc)}.") from exc


def _hall(source: Scenario | str, run: _Run, watcher: Coordinator, ledger: Ledger) -> Hall:
    return Hall(source, run.store, run.terms, watcher=watcher, ledger=ledger, longest_pause=run.longest_pause)


def _play_in_processes(hall: Hall, run: _Run) -> None:
    blows = plan(run.terms.seed, seconds=run.seconds, kills=run.kills, pauses=run.pauses)
    with hall.opened(run.agents, run.processes):
        hall.play(blows, seconds=run.seconds, patience=run.patience)


def _play_in_threads(scenario: Scenario, run: _Run, coordinator: Coordinator, ledger: Ledger) -> None:
    parts = tuple(Part(number) for number in range(1, run.agents + 1))
    players = Players(parts, scenario, run.terms, coordinator)
    told: queue.SimpleQueue[Message] = queue.SimpleQueue()
    until = time.monotonic() + run.seconds
    players.start(told.put, until)
    for _ in itertools.takewhile(lambda _: len(ledger.left) < run.agents, itertools.count()):
        try:
            ledger.note(told.get(timeout=max(0.0, until + run.patience - time.monotonic())))
        except queue.Empty:
            return


def _named(function: Any) -> str:
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', type(function).__name__)}"
