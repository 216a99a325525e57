"""What is asked of a stress run: checked, and completed with what was not said."""

from __future__ import annotations

import re
import secrets
import shutil
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypedDict
from urllib.parse import quote, urlsplit

from clawproof_langgraph.backends.urls import make_project_folder
from clawproof_langgraph.durations import seconds
from clawproof_langgraph.errors import ConfigurationError, meant
from clawproof_langgraph.testing.stress.playing import Part, Terms
from clawproof_langgraph.testing.stress.workers import Store

_KEPT: Final = 20
"""Runs whose folders are kept."""
_RUN: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_EVERY: Final = 4.0
"""Seconds for each kill, and for each pause, unless it is said how many there shall be."""
_LEAST: Final = {"n": 1, "processes": 1, "rounds": 1, "kills": 0, "pauses": 0}


class Options(TypedDict, total=False):
    """What may be said of a run.

    Args:
        n: how many agents; 12.
        processes: in how many processes; with one, the default, the agents are threads of this one, and nobody is
            killed or stopped.
        seconds: after which no turn begins; 10.
        rounds: how many turns each agent has at most; as many as there is time for.
        seed: makes chance repeatable: that of the turns, and when which blow falls; drawn if it is not given.
        kills: how many processes are killed; by default one in four seconds.
        pauses: how many processes are stopped until their leases have ended; by default one in four seconds.
        longest_pause: seconds after which a process goes on even if its leases have not ended; 5.
        patience: seconds after the last turn may begin in which all must have ended, and again in which all leases
            must have; 60.
        url: the coordination store; by default a new file in the run's folder.
        namespace: in it; by default a new one.
        folder: where the report goes; by default a new folder in `.clawproof/stress` of the project.
    """

    n: int
    processes: int
    seconds: str | float
    rounds: int | None
    seed: int | None
    kills: int | None
    pauses: int | None
    longest_pause: str | float
    patience: str | float
    url: str | None
    namespace: str | None
    folder: Path | str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A run as it is going to be; the fields are those of `Options`, and `terms` what its agents are told."""

    terms: Terms
    store: Store
    folder: Path
    n: int
    processes: int
    seconds: float
    kills: int
    pauses: int
    longest_pause: float
    patience: float

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of all agents."""
        return tuple(Part(number) for number in range(1, self.n + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """The options with their defaults."""

    n: int = 12
    processes: int = 1
    seconds: str | float = 10.0
    rounds: int | None = None
    seed: int | None = None
    kills: int | None = None
    pauses: int | None = None
    longest_pause: str | float = 5.0
    patience: str | float = 60.0
    url: str | None = None
    namespace: str | None = None
    folder: Path | str | None = None


def planned(options: Options) -> Plan:
    """Check and complete what was asked for, and make the folder of the run.

    Raises:
        ConfigurationError: something of it is not possible.
    """
    given = _checked(options)
    length = seconds(given.seconds, "seconds")
    blows = max(1, round(length / _EVERY)) if given.processes > 1 else 0
    run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    folder = _made_folder(run, given.folder)
    url = given.url or f"sqlite:///{quote(str(folder / 'store.db'))}?synchronous=normal"
    return Plan(
        Terms(run, secrets.randbits(32) if given.seed is None else given.seed, given.rounds),
        Store(url, given.namespace or f"stress-{run}"),
        folder,
        given.n,
        min(given.processes, given.n),
        length,
        blows if given.kills is None else given.kills,
        blows if given.pauses is None else given.pauses,
        seconds(given.longest_pause, "longest_pause"),
        seconds(given.patience, "patience"),
    )


def _checked(options: Options) -> _Given:
    known = {field.name for field in fields(_Given)}
    for name in options:
        if name not in known:
            raise ConfigurationError(f'A stress run has no option "{name}"; {meant(name, known)}')
    given = _Given(**options)
    for name, least in _LEAST.items():
        _check_number(name, getattr(given, name), least)
    if given.processes > 1 and given.url is not None and urlsplit(given.url).scheme == "memory":
        raise ConfigurationError(
            f"{given.processes} processes cannot share {given.url}, which lives inside one: give the URL of a file or "
            f"a server, or none at all, or processes=1."
        )
    if given.processes == 1 and (given.kills or given.pauses):
        raise ConfigurationError("With one process nobody can be killed or stopped: give processes=2 or more.")
    return given


def _check_number(name: str, number: Any, least: int) -> None:
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < least):
        raise ConfigurationError(f"{name}={number!r} is no number of at least {least}.")


def _made_folder(run: str, chosen: Path | str | None) -> Path:
    try:
        if chosen is None:
            runs = make_project_folder() / "stress"
            _drop_old(runs)
            folder = runs / run
        else:
            folder = Path(chosen).absolute()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(f"Cannot make a folder for the report: {exc}. Name one with folder=.") from exc
    return folder


def _drop_old(runs: Path) -> None:
    found = sorted(each for each in runs.glob("*") if _RUN.fullmatch(each.name))
    for old in found[: max(0, len(found) - _KEPT + 1)]:
        shutil.rmtree(old, ignore_errors=True)
