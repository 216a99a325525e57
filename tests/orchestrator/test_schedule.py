"""What the schedule promises of any tasks: no rivals at once, nobody is overtaken, nobody waits in vain."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawproof_langgraph.model import Mode
from clawproof_langgraph.orchestrator.schedule import (
    Decision,
    Job,
    Progress,
    Status,
    Terms,
    Verdict,
    decide,
    in_order,
)

MODES = st.sampled_from(list(Mode))
WANTS = st.dictionaries(st.sampled_from("abcd"), MODES, max_size=3)


@st.composite
def jobs(draw: st.DrawFn) -> list[Job]:
    """Draw jobs that depend on each other without a circle, in any order."""
    made: list[Job] = []
    for number in range(draw(st.integers(0, 10))):
        after = draw(st.lists(st.sampled_from([job.id for job in made]), unique=True, max_size=3)) if made else []
        made.append(Job(f"job-{number}", draw(WANTS), tuple(after)))
    return draw(st.permutations(made))


def rivals(one: Job, other: Job) -> bool:
    """Tell whether two jobs must not run at once."""
    shared = one.wants.keys() & other.wants.keys()
    return any(Mode.EXCLUSIVE in (one.wants[name], other.wants[name]) for name in shared)


@dataclass
class World:
    """Plays a schedule: what is decided happens, and somebody else says what ends, and how."""

    order: tuple[Job, ...]
    terms: Terms = field(default_factory=Terms)
    places: int | None = None
    ended: dict[str, Status] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    started: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    begun: int = 0

    @property
    def jobs(self) -> dict[str, Job]:
        return {job.id: job for job in self.order}

    def progress(self) -> Progress:
        return Progress({}, dict(self.ended), frozenset(self.running), frozenset(self.paused), self.begun)

    def turn(self) -> list[Decision]:
        """Give places to the first jobs, as a pool with so many threads does, and do what is decided."""
        while True:
            waiting = [job.id for job in self.order[: self.begun] if not self.is_out(job.id)]
            if self.begun < len(self.order) and (self.places is None or len(waiting) < self.places):
                self.begun += 1
                continue
            self._queue_up()
            decisions = decide(self.order, self.progress(), self.terms)
            for decision in decisions:
                self._do(decision)
            if not any(decision.verdict is not Verdict.START for decision in decisions):
                return decisions

    def is_out(self, name: str) -> bool:
        return name in self.ended or name in self.paused

    def _queue_up(self) -> None:
        for job in self.order:
            if all(name in self.ended for name in job.after) and job.id not in self.line:
                self.line.append(job.id)

    def _do(self, decision: Decision) -> None:
        match decision.verdict:
            case Verdict.START:
                assert decision.job in [job.id for job in self.order[: self.begun]], "it has no place to run in"
                self.running.add(decision.job)
                self.started.append(decision.job)
            case Verdict.PASS_OVER:
                self.ended[decision.job] = Status.SKIPPED
            case Verdict.LATER:
                self.paused.add(decision.job)
                self.later.append(decision.job)

    def end(self, name: str, status: Status = Status.DONE) -> None:
        self.running.remove(name)
        self.ended[name] = status


LIMITS = st.none() | st.integers(1, 4)
STATUSES = st.sampled_from([Status.DONE, Status.DONE, Status.DONE, Status.FAILED])


@given(jobs(), LIMITS, LIMITS, st.booleans(), st.data())
def test_every_job_ends_and_none_runs_beside_a_rival_or_before_what_it_depends_on(
    drawn: list[Job], places: int | None, most: int | None, stops: bool, data: st.DataObject
) -> None:
    world = World(in_order(drawn), Terms(stops, most), places)

    while True:
        world.turn()
        together = [world.jobs[name] for name in sorted(world.running)]
        assert not any(rivals(one, other) for one in together for other in together if one is not other)
        assert most is None or len(together) <= most
        assert all(world.ended.get(name) is Status.DONE for job in together for name in job.after)
        if not world.running:
            break
        world.end(data.draw(st.sampled_from(sorted(world.running))), data.draw(STATUSES))

    assert world.ended.keys() == world.jobs.keys()
    assert len(world.started) == len(set(world.started))


@given(jobs(), st.data())
def test_what_waits_waits_for_a_rival_that_runs_or_came_first(drawn: list[Job], data: st.DataObject) -> None:
    """As much as possible runs at once."""
    world = World(in_order(drawn))

    while True:
        world.turn()
        for place, name in enumerate(world.line):
            if name in world.running or name in world.ended:
                continue
            before = world.running | {other for other in world.line[:place] if other not in world.ended}
            assert any(rivals(world.jobs[name], world.jobs[other]) for other in before)
        if not world.running:
            break
        world.end(data.draw(st.sampled_from(sorted(world.running))))


@given(jobs(), st.data())
def test_rivals_run_in_the_order_in_which_they_became_ready(drawn: list[Job], data: st.DataObject) -> None:
    world = World(in_order(drawn))

    world.turn()
    while world.running:
        world.end(data.draw(st.sampled_from(sorted(world.running))))
        world.turn()

    for place, name in enumerate(world.line):
        for earlier in world.line[:place]:
            if rivals(world.jobs[name], world.jobs[earlier]):
                assert world.started.index(earlier) < world.started.index(name)


@given(jobs(), LIMITS, st.data())
def test_what_does_not_come_after_a_paused_job_is_done(
    drawn: list[Job], places: int | None, data: st.DataObject
) -> None:
    world = World(in_order(drawn), places=places)
    asking = data.draw(st.sets(st.sampled_from([job.id for job in drawn]))) if drawn else set()

    world.turn()
    while world.running:
        name = data.draw(st.sampled_from(sorted(world.running)))
        if name in asking:
            world.running.remove(name)
            world.paused.add(name)
        else:
            world.end(name)
        world.turn()

    waits = set()
    for job in world.order:
        if job.id in asking or waits & set(job.after):
            waits.add(job.id)
    assert world.paused == waits and world.ended.keys() == world.jobs.keys() - waits


@given(jobs())
def test_the_order_puts_jobs_behind_what_they_depend_on(drawn: list[Job]) -> None:
    order = [job.id for job in in_order(drawn)]

    assert sorted(order) == sorted(job.id for job in drawn)
    assert all(order.index(name) < order.index(job.id) for job in drawn for name in job.after)


def test_a_long_chain_is_put_in_order() -> None:
    chain = [Job(str(number), {}, (str(number - 1),) if number else ()) for number in range(5000)]

    assert in_order(reversed(chain)) == tuple(chain)


def test_those_that_are_ready_at_once_start_in_the_order_of_their_arrival() -> None:
    known = {"old": Status.DONE}
    same = [Job("first", {"a": Mode.EXCLUSIVE}, ("old",)), Job("second", {"a": Mode.EXCLUSIVE})]

    assert decide(same, Progress(known=known, begun=2)) == [Decision("first", Verdict.START)]


@pytest.mark.parametrize(("stops", "free"), [(False, [Verdict.START]), (True, [])])
def test_a_failure_passes_over_what_comes_after_it_and_where_it_stops_the_run_everything(
    stops: bool, free: list[Verdict]
) -> None:
    order = in_order([Job("bad"), Job("next", {}, ("bad",)), Job("last", {}, ("next",)), Job("free")])

    decisions = decide(order, Progress(ended={"bad": Status.FAILED}, begun=4), Terms(stops=stops))

    passed = [decision.job for decision in decisions if decision.verdict is Verdict.PASS_OVER]
    assert {decision.because for decision in decisions if decision.verdict is Verdict.PASS_OVER} == {"bad"}
    assert set(passed) == ({"next", "last", "free"} if stops else {"next", "last"})
    assert [decision.verdict for decision in decisions if decision.job == "free" and not stops] == free
