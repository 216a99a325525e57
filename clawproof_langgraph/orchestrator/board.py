"""Where the tasks of one run wait for each other: in this process, each in the node that is to run it.

LangGraph ends a step when its slowest node ends, and hands results on only then. Tasks that wait for each other are
therefore sent in one step, and what each of them waits for is decided here, as soon as another one ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

from langgraph.errors import GraphDrained, GraphInterrupt
from langgraph.runtime import get_runtime

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.graph.surroundings import Configurable, Neighbour, loop_of, neighbours
from clawproof_langgraph.orchestrator.schedule import (
    Decision,
    Job,
    Progress,
    Status,
    Terms,
    Verdict,
    decide,
)
from clawproof_langgraph.orchestrator.tasks import Planned, TaskResult, job_of

OnFailure = Literal["skip_dependents", "fail_dependents", "stop"]


Turn = Future[TaskResult | None]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of the schedule.

    Args:
        on_failure: what becomes of tasks that depend on one that fails.
        max_parallel: how many may run at once; None for no limit.
        now: tells the time, in seconds since 1970.
    """

    on_failure: OnFailure = "skip_dependents"
    max_parallel: int | None = None
    now: Callable[[], float] = time.time


class Sent(NamedTuple):
    """What a node is sent: a task, and the results, so far, of those that it comes after."""

    task: Planned
    before: Mapping[str, TaskResult]

    def packed(self) -> dict[str, Any]:
        """Give the form that a checkpointer keeps."""
        return self._asdict()

    @classmethod
    def of(cls, packed: Mapping[str, Any]) -> Sent:
        """Read that form."""
        return cls(packed["task"], packed["before"])


class Board:
    """The tasks that are sent in one step of one run, and how far they have come.

    Args:
        sent: all of them, in the order of `schedule.in_order`.
        ended: the results of those that had ended before this run went on with the step.
        drained: tells why nothing may start any more in this run, if somebody has asked for that.
        rules: what is asked of the schedule.
    """

    def __init__(
        self,
        sent: Iterable[Sent],
        ended: Mapping[str, TaskResult],
        drained: Callable[[], str | None],
        rules: Rules,
    ) -> None:
        tasks = [task for task, _ in sent]
        self._jobs = tuple(map(job_of, tasks))
        self._agents = {task["id"]: task["agent"] for task in tasks}
        self._places = {job.id: place for place, job in enumerate(self._jobs, start=1)}
        known = {name: result for _, before in sent for name, result in before.items()}
        self._known = {name: Status(result["status"]) for name, result in known.items()}
        by_moment = sorted(ended, key=lambda name: ended[name]["ended"])
        self._ended = {name: Status(ended[name]["status"]) for name in by_moment}
        self._results = {**known, **ended}
        self._drained, self._rules = drained, rules
        self._terms = Terms(stops=rules.on_failure == "stop", most=rules.max_parallel)
        self._running: set[str] = set()
        self._paused: set[str] = set()
        self._begun, self._broken_off = 0, False
        self._turns: dict[str, Turn] = {job.id: Future() for job in self._jobs}
        self._lock = threading.Lock()

    @contextmanager
    def at_work(self, name: str) -> Iterator[Turn]:
        """Take part with the node of a task, and give its turn: None to start, or the result of one passed over.

        What leaves the block as an exception has not ended. The turn itself raises where it does not come in this run;
        LangGraph runs the node again when the thread goes on.
        """
        with self._lock:
            self._begun = max(self._begun, self._places[name])
            if name in self._ended and not self._turns[name].done():
                self._turns[name].set_result(None)  # a replay from a checkpoint: the coordinator knows the end
            if all(each in self._results for each in self._job(name).after):  # else it changes nothing yet
                self._decide()
        try:
            yield self._turns[name]
        except GraphInterrupt:
            with self._lock:
                self._running.discard(name)
                self._paused.add(name)
                self._decide()
            raise
        except BaseException:
            with self._lock:
                self._running.discard(name)
                self._broken_off = True  # the run is over: who waits must not go on waiting
                self._decide()
            raise

    def before(self, name: str) -> dict[str, TaskResult]:
        """Give the results of what a task comes after."""
        return {each: self._results[each] for each in self._job(name).after}

    @property
    def ids(self) -> frozenset[str]:
        """The tasks that are known here."""
        return frozenset(self._places) | frozenset(self._known)

    def end(self, name: str, result: TaskResult) -> None:
        """Note how a task has ended, and let go on who waited for it."""
        with self._lock:
            self._note(name, result)
            self._decide()

    def _job(self, name: str) -> Job:
        return self._jobs[self._places[name] - 1]

    def _note(self, name: str, result: TaskResult) -> None:
        self._running.discard(name)
        self._results[name] = result
        self._ended.pop(name, None)
        self._ended[name] = Status(result["status"])

    def _decide(self) -> None:
        if self._broken_off or self._drained() is not None:
            for name in self._turns.keys() - self._running:
                self._refuse(name)
            return
        progress = Progress(self._known, self._ended, frozenset(self._running), frozenset(self._paused), self._begun)
        for decision in decide(self._jobs, progress, self._terms):
            match decision.verdict:
                case Verdict.START:
                    self._running.add(decision.job)
                    self._give(decision.job, None)
                case Verdict.LATER:
                    self._paused.add(decision.job)
                    self._refuse(decision.job)
                case Verdict.PASS_OVER:
                    result = self._passed_over(decision)
                    self._note(decision.job, result)
                    self._give(decision.job, result)

    def _give(self, name: str, turn: TaskResult | None) -> None:
        if self._is_open(name):
            self._turns[name].set_result(turn)

    def _refuse(self, name: str) -> None:
        """Let a node end without having ended: no interrupt is saved for it, and LangGraph runs it again."""
        why = self._drained()
        if self._is_open(name):
            self._turns[name].set_exception(GraphInterrupt() if why is None else GraphDrained(why))

    def _is_open(self, name: str) -> bool:
        turn = self._turns[name]
        return not turn.done() and turn.set_running_or_notify_cancel()  # a node may be cancelled while it waits

    def _passed_over(self, decision: Decision) -> TaskResult:
        stops = ", and this run stops at a failure" if self._terms.stops else ""
        now = self._rules.now()
        return TaskResult(
            agent=self._agents[decision.job],
            status="failed" if self._rules.on_failure == "fail_dependents" else "skipped",
            result=None,
            error=f'It never ran: task "{decision.because}" {self._results[decision.because]["status"]}{stops}.',
            started=now,
            ended=now,
        )


_NOT_FOUND: Final = (
    "The orchestrator does not find the run that it is part of: LangGraph is built in another way than expected. "
    "Use a version of langgraph 1.2 or newer with which the tests of this package pass."
)


class Boards:
    """The boards of the runs that are under way in this process, each for as long as LangGraph keeps its run.

    Args:
        nodes: the nodes to which tasks are sent.
        rules: what is asked of the schedule.
    """

    def __init__(self, nodes: Iterable[str], rules: Rules) -> None:
        self._nodes, self._rules = frozenset(nodes), rules
        self._boards: WeakKeyDictionary[Any, tuple[int, Board]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def of(self, config: Mapping[str, Any]) -> Board:
        """Give the board of the running step.

        Raises:
            ConfigurationError: the run is not found.
        """
        loop, step = loop_of(config["configurable"]), config["metadata"]["langgraph_step"]
        if loop is None:
            raise ConfigurationError(_NOT_FOUND)
        with self._lock:
            known = self._boards.get(loop)
            if known is None or known[0] != step:
                known = self._boards[loop] = (step, self._of_step(config["configurable"]))
            return known[1]

    def _of_step(self, configurable: Configurable) -> Board:
        tasks = [task for task in neighbours(configurable) if task.node in self._nodes]
        ended: dict[str, TaskResult] = {}
        for task in tasks:
            ended.update(_results_in(task))
        control = get_runtime().control
        drained = (lambda: None) if control is None else (lambda: control.drain_reason)
        return Board([Sent.of(task.input) for task in tasks], ended, drained, self._rules)


def _results_in(task: Neighbour) -> dict[str, TaskResult]:
    return {name: result for channel, value in task.writes if channel == "results" for name, result in value.items()}
