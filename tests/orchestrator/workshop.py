"""Agents whose work a test sees, holds up and breaks."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

from langchain_core.runnables import Runnable, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from clawproof_langgraph import Coordinator
from clawproof_langgraph.orchestrator import Task, build_orchestrator
from tests.langgraph.scripted import play, thread
from tests.waiting import PATIENCE, await_until, wait_until


class Work(TypedDict, total=False):
    """The state of a worker: what it is to do, and what came of it."""

    job: str
    told: str


class Workshop:
    """Keeps what happens to each job.

    Attributes:
        log: `(what, job)` of each start and end.
        breaks: what a job raises, the first time that it is done.
        asks: what a job does between its start and its end, such as to ask a human.
    """

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.breaks: dict[str, BaseException] = {}
        self.asks: dict[str, Callable[[], Any]] = {}
        self._held: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    # --- what a test does -----------------------------------------------------------------------------------------

    def hold(self, *jobs: str) -> None:
        """Have jobs take until they are released."""
        self._held.update({job: threading.Event() for job in jobs})

    def release(self, *jobs: str) -> None:
        """Let jobs end."""
        for job in jobs:
            self._held[job].set()

    def times(self, what: str) -> dict[str, int]:
        """Count how often each job has started, or ended."""
        counts: dict[str, int] = defaultdict(int)
        for kind, job in self.log:
            counts[job] += kind == what
        return {job: count for job, count in counts.items() if count}

    def has(self, what: str, *jobs: str) -> bool:
        """Tell whether jobs have started, or ended."""
        return all((what, job) in self.log for job in jobs)

    def wait_for(self, what: str, *jobs: str) -> None:
        """Wait until jobs have started, or ended."""
        wait_until(lambda: self.has(what, *jobs))

    # --- the work -------------------------------------------------------------------------------------------------

    def note(self, what: str, job: str) -> None:
        with self._lock:
            self.log.append((what, job))

    def work(self, state: Work) -> Work:
        """Do a job."""
        self.note("start", state["job"])
        if held := self._held.get(state["job"]):
            assert held.wait(PATIENCE), "nobody has released it"
        return self._end(state)

    async def awork(self, state: Work) -> Work:
        """Do a job, on an event loop."""
        self.note("start", state["job"])
        if held := self._held.get(state["job"]):
            await await_until(held.is_set)
        return self._end(state)

    def _end(self, state: Work) -> Work:
        job = state["job"]
        if error := self.breaks.pop(job, None):
            raise error
        told = self.asks[job]() if job in self.asks else f"{job} is done"
        self.note("end", job)
        return {"told": told}

    def worker(self, **compiled: Any) -> Any:
        """Compile a graph whose one node does a job."""
        builder = StateGraph(Work)
        builder.add_node("work", RunnableLambda(self.work, self.awork))
        builder.add_edge(START, "work")
        return builder.compile(**compiled)

    def orchestrator(self, coordinator: Coordinator, **options: Any) -> Any:
        """Build one with a single worker, and a checkpointer in memory."""
        agents: dict[str, Runnable[Any, Any]] = {"worker": self.worker()}
        return build_orchestrator(
            options.pop("agents", agents), coordinator, **{"checkpointer": InMemorySaver(), **options}
        )


def job(name: str, *resources: str, after: tuple[str, ...] = (), agent: str = "worker", **modes: Any) -> Task:
    """Make a task that is named after its job."""
    return Task(id=name, agent=agent, input={"job": name}, resources=modes or list(resources), after=list(after))


def do(graph: Any, tasks: Any, mode: str = "sync", **options: Any) -> dict[str, Any]:
    """Invoke an orchestrator in the test's thread of messages, and give the results."""
    given = {"tasks": tasks} if isinstance(tasks, list) else tasks
    kept = {"durability": "sync"} if graph.checkpointer else {}
    state = play(graph, given, options.pop("config", thread()), mode=mode, **kept, **options)
    return state["results"]


def statuses(results: dict[str, Any]) -> dict[str, str]:
    """Give how each task has ended."""
    return {name: result["status"] for name, result in results.items()}


@contextmanager
def under_way(graph: Any, tasks: Any, mode: str, **options: Any) -> Iterator[dict[str, Any]]:
    """Invoke an orchestrator in the background; what it gives is there when the block is left."""
    results: dict[str, Any] = {}
    failed: list[BaseException] = []

    def run() -> None:
        try:
            results.update(do(graph, tasks, mode, **options))
        except BaseException as error:  # noqa: BLE001 - raised again in the test
            failed.append(error)

    background = threading.Thread(target=run)
    background.start()
    try:
        yield results
    finally:
        background.join(PATIENCE)
    assert not background.is_alive(), "it has not ended"
    if failed:
        raise failed[0]
