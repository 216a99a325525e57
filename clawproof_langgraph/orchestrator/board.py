"""Where the tasks of one run wait for each other: in this process, each in the node that is to run it.

LangGraph ends a step when its slowest node ends, and hands results on only then. Tasks that wait for each other are
therefore sent in one step, and what each of them waits for is decided here, as soon as another one ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

from langgraph.errors import GraphInterrupt

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
        on_failure: what becomes of those that depend on one that fails.
        most: how many may run at once; None for no limit.
        now: tells the time.
    """

    def __init__(
        self,
        sent: Iterable[Sent],
        ended: Mapping[str, TaskResult],
        on_failure: OnFailure,
        most: int | None,
        now: Callable[[], float],
    ) -> None:
        self._jobs: dict[str, Job] = {}
        self._agents: dict[str, str] = {}
        self._results: dict[str, TaskResult] = {}
        for task, before in sent:
            self._jobs[task["id"]], self._agents[task["id"]] = job_of(task), task["agent"]
            self._results.update(before)
        self._known = {name: Status(result["status"]) for name, result in self._results.items()}
        self._ended = {
            name: Status(ended[name]["status"]) for name in sorted(ended, key=lambda id_: ended[id_]["ended"])
        }
        self._results.update(ended)
        self._on_failure, self._now = on_failure, now
        self._terms = Terms(stops=on_failure == "stop", most=most)
        self._order = tuple(self._jobs.values())
        self._places = {name: place for place, name in enumerate(self._jobs, start=1)}
        self._running: set[str] = set()
        self._paused: set[str] = set()
        self._begun, self._broken_off = 0, False
        self._turns: dict[str, Future[TaskResult | None]] = {name: Future() for name in self._jobs}
        self._lock = threading.Lock()

    @contextmanager
    def at_work(self, name: str) -> Iterator[Future[TaskResult | None]]:
        """Take part with the node of a task, and give its turn: None to start, or the result of one passed over.

        What leaves the block as an exception has not ended. The turn itself raises `GraphInterrupt` where it does not
        come in this run; LangGraph then runs the node again when the thread goes on.
        """
        with self._lock:
            self._begun = max(self._begun, self._places[name])
            if (
                name in self._ended and not self._turns[name].done()
            ):  # a replay from a checkpoint that knows the end; the coordinator knows it, too
                self._turns[name].set_result(None)
            self._decide()
        try:
            yield self._turns[name]
        except GraphInterrupt:
            self._leave(name, self._paused.add)
            raise
        except BaseException:  # the run is over: who waits must not go on waiting
            self._leave(name, lambda _: self._break_off())
            raise

    def before(self, name: str) -> dict[str, TaskResult]:
        """Give the results of what a task comes after."""
        return {each: self._results[each] for each in self._jobs[name].after}

    @property
    def ids(self) -> frozenset[str]:
        """The tasks that are known here."""
        return frozenset(self._jobs) | frozenset(self._known)

    def end(self, name: str, result: TaskResult) -> None:
        """Note how a task has ended, and let go on who waited for it."""
        with self._lock:
            self._note(name, result)
            self._decide()

    def _note(self, name: str, result: TaskResult) -> None:
        self._running.discard(name)
        self._results[name] = result
        self._ended.pop(name, None)
        self._ended[name] = Status(result["status"])

    def _leave(self, name: str, note: Callable[[str], object]) -> None:
        with self._lock:
            self._running.discard(name)
            note(name)
            self._decide()

    def _break_off(self) -> None:
        self._broken_off = True

    def _decide(self) -> None:
        if self._broken_off:
            for name in self._jobs:
                if name not in self._running:
                    self._give(name, GraphInterrupt())
            return
        for decision in decide(self._order, self._progress(), self._terms):
            match decision.verdict:
                case Verdict.START:
                    self._running.add(decision.job)
                    self._give(decision.job, None)
                case Verdict.LATER:
                    self._paused.add(decision.job)
                    self._give(decision.job, GraphInterrupt())
                case Verdict.PASS_OVER:
                    result = self._passed_over(decision)
                    self._note(decision.job, result)
                    self._give(decision.job, result)

    def _give(self, name: str, turn: TaskResult | GraphInterrupt | None) -> None:
        future = self._turns[name]
        if future.done() or not future.set_running_or_notify_cancel():  # its node was cancelled while it waited
            return
        if isinstance(turn, GraphInterrupt):
            future.set_exception(turn)
        else:
            future.set_result(turn)

    def _progress(self) -> Progress:
        running, paused = frozenset(self._running), frozenset(self._paused)
        return Progress(self._known, self._ended, running, paused, self._begun)

    def _passed_over(self, decision: Decision) -> TaskResult:
        ended = self._results.get(decision.because)
        how = f'task "{decision.because}" {ended["status"] if ended else "has not ended"}'
        error = f"It never ran: {how}{', and this run stops at a failure' if self._terms.stops else ''}."
        status: Literal["failed", "skipped"] = "failed" if self._on_failure == "fail_dependents" else "skipped"
        now = self._now()
        return TaskResult(
            agent=self._agents[decision.job], status=status, result=None, error=error, started=now, ended=now
        )


_NOT_FOUND: Final = (
    "The orchestrator does not find the run that it is part of: LangGraph is built in another way than expected. "
    "Use a version of langgraph 1.2 or newer with which the tests of this package pass."
)


class Boards:
    """The boards of the runs that are under way in this process, each for as long as LangGraph keeps its run.

    Args:
        nodes: the nodes to which tasks are sent.
        make: makes a board of what was sent in a step, and of what had ended.
    """

    def __init__(self, nodes: Iterable[str], make: Callable[[Iterable[Sent], Mapping[str, TaskResult]], Board]) -> None:
        self._nodes, self._make = frozenset(nodes), make
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
        return self._make([Sent.of(task.input) for task in tasks], ended)


def _results_in(task: Neighbour) -> dict[str, TaskResult]:
    return {name: result for channel, value in task.writes if channel == "results" for name, result in value.items()}
