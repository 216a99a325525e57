"""Who may start: decided from the tasks and how far each has come, without a clock, a thread or LangGraph.

A task is ready once everything that it depends on has ended, and stands in line from that moment on. It starts when it
is in conflict neither with one that runs nor with one that has been in line for longer. Those that became ready at the
same moment stand in the order in which they were given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from clawproof_langgraph.model import Mode


class Status(StrEnum):
    """How a task has ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Job:
    """What of a task matters for when it may start: its resources with their modes, and what it comes after."""

    id: str
    wants: Mapping[str, Mode] = field(default_factory=dict)
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the jobs have come.

    Args:
        known: how tasks have ended that are not among the jobs.
        ended: how jobs have ended, in that order.
        running: the jobs that run.
        paused: those that wait for an answer from outside: they hold nothing, and do not end in this run.
        begun: how many of the jobs, from the first, have a place to run in; the others cannot be waited for.
    """

    known: Mapping[str, Status] = field(default_factory=dict)
    ended: Mapping[str, Status] = field(default_factory=dict)
    running: frozenset[str] = frozenset()
    paused: frozenset[str] = frozenset()
    begun: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of a schedule.

    Args:
        stops: whether nothing starts any more once a job has failed.
        most: how many jobs may run at once; None for no limit.
    """

    stops: bool = False
    most: int | None = None


class Verdict(Enum):
    """What becomes of a job that has waited so far."""

    START = auto()
    PASS_OVER = auto()  # it never runs
    LATER = auto()  # not in this run, since it comes after one that is paused


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict on a job, and the job because of which it is passed over or later."""

    job: str
    verdict: Verdict
    because: str = ""


def in_order(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Put jobs behind those that they depend on, the ones with the fewest steps before them first.

    Where there are fewer places than jobs, this order gives the places to those that can use them.
    """
    jobs = tuple(jobs)
    by_id, steps = {job.id: job for job in jobs}, dict[str, int]()
    for job in jobs:
        _count_steps(job, by_id, steps)
    return tuple(sorted(jobs, key=lambda job: steps[job.id]))


def _count_steps(job: Job, by_id: Mapping[str, Job], steps: dict[str, int]) -> None:
    unfinished = [job]
    while unfinished:  # not by recursion: a chain may be longer than Python's stack
        last = unfinished[-1]
        before = [by_id[name] for name in last.after if name in by_id]
        if open_ones := [each for each in before if each.id not in steps]:
            unfinished += open_ones
            continue
        steps[last.id] = 1 + max((steps[each.id] for each in before), default=0)
        unfinished.pop()


def decide(jobs: Sequence[Job], progress: Progress, terms: Terms = Terms()) -> list[Decision]:
    """Decide about all jobs that wait; what goes on waiting is left out.

    Args:
        jobs: all of them, as `in_order` gives them.
        progress: how far they have come.
        terms: what is asked.
    """
    settled = _settled(jobs, progress, terms)
    decided = {decision.job for decision in settled}
    return settled + [
        Decision(job.id, Verdict.START) for job in _startable(jobs[: progress.begun], progress, decided, terms)
    ]


def _settled(jobs: Sequence[Job], progress: Progress, terms: Terms) -> list[Decision]:
    """Find the jobs that never start, and those that do not start in this run."""
    lost = {name: name for name, status in _all_ended(progress) if status is not Status.DONE}
    paused = {name: name for name in progress.paused}
    failed = next((name for name, status in progress.ended.items() if status is Status.FAILED), "")
    if not (lost or paused):
        return []
    found = []
    for job in _waiting(jobs, progress):
        because = next((lost[name] for name in job.after if name in lost), failed if terms.stops else "")
        if because:
            lost[job.id] = because
            found.append(Decision(job.id, Verdict.PASS_OVER, because))
        elif because := next((paused[name] for name in job.after if name in paused), ""):
            paused[job.id] = because
            found.append(Decision(job.id, Verdict.LATER, because))
    return found


def _startable(jobs: Sequence[Job], progress: Progress, decided: set[str], terms: Terms) -> Iterator[Job]:
    taken = _Taken()
    for job in jobs:
        if job.id in progress.running:
            taken.add(job)
    free = len(jobs) if terms.most is None else terms.most - len(progress.running)
    for job in _line(jobs, progress, decided):
        if free > 0 and not taken.conflicts_with(job):
            free -= 1
            yield job
        taken.add(job)  # also where it waits: nobody overtakes it


def _line(jobs: Sequence[Job], progress: Progress, decided: set[str]) -> list[Job]:
    """List the jobs that are ready, the one that has been so for the longest time first."""
    moments = {name: moment for moment, name in enumerate(progress.ended, start=1)}
    moments.update(dict.fromkeys(progress.known, 0))
    ready = [
        (max((moments[name] for name in job.after), default=0), job)
        for job in _waiting(jobs, progress)
        if job.id not in decided and all(name in moments for name in job.after)
    ]
    return [job for _, job in sorted(ready, key=lambda pair: pair[0])]


def _waiting(jobs: Iterable[Job], progress: Progress) -> Iterator[Job]:
    for job in jobs:
        if not (job.id in progress.ended or job.id in progress.running or job.id in progress.paused):
            yield job


def _all_ended(progress: Progress) -> Iterator[tuple[str, Status]]:
    yield from progress.known.items()
    yield from progress.ended.items()


@dataclass(slots=True)
class _Taken:
    """Resources that somebody has, or stands in line for."""

    modes: dict[str, Mode] = field(default_factory=dict)

    def conflicts_with(self, job: Job) -> bool:
        return any(
            name in self.modes and Mode.EXCLUSIVE in (mode, self.modes[name]) for name, mode in job.wants.items()
        )

    def add(self, job: Job) -> None:
        for name, mode in job.wants.items():
            if self.modes.get(name) is not Mode.EXCLUSIVE:
                self.modes[name] = mode
