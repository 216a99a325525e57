"""Tasks and their results, as the state of the graph holds them: plain data that any checkpointer can keep."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, get_args

from typing_extensions import TypedDict  # pydantic, which makes schemas of them, takes no other before Python 3.12

from clawproof_langgraph.errors import ConfigurationError, meant
from clawproof_langgraph.model import Mode
from clawproof_langgraph.orchestrator.schedule import Job
from clawproof_langgraph.templates import canonical

TaskMode = Literal["exclusive", "shared"]


class _WhatATaskNeeds(TypedDict):
    id: str
    agent: str
    input: Any


class Task(_WhatATaskNeeds, total=False):
    """One piece of work for an agent; `resources` and `after` may be left out.

    Attributes:
        id: names it among all tasks of the thread.
        agent: who does it.
        input: what the agent is invoked with; for a graph with messages, a text is the message of a user.
        resources: what it uses: names for exclusive use, or a mode for each name.
        after: the ids of the tasks that it depends on.
    """

    resources: Sequence[str] | Mapping[str, TaskMode]
    after: Sequence[str]


class TaskResult(TypedDict):
    """How a task has ended.

    Attributes:
        agent: who did it.
        status: `done`, `failed`, or `skipped`, which never ran.
        result: what the agent returned; None unless it is done.
        error: what went wrong, or why it never ran; empty if it is done, unless its result was lost in a crash.
        started, ended: when, in seconds since 1970; the same for one that never ran.
    """

    agent: str
    status: Literal["done", "failed", "skipped"]
    result: Any
    error: str
    started: float
    ended: float


class _Key(TypedDict):
    key: str


class Planned(Task, _Key):
    """A task in its one form, as it was taken on.

    Attributes:
        key: names it for the coordinator, so that it is not done a second time.
    """


class OrchestratorInput(TypedDict):
    """What an orchestrator is invoked with: tasks, which come on top of those that the thread has."""

    tasks: list[Task]


class OrchestratorOutput(TypedDict):
    """What an orchestrator returns: the results of all tasks of the thread, by their ids."""

    results: dict[str, TaskResult]


def _joined(known: list[Planned], new: list[Planned]) -> list[Planned]:
    return known + new


def _merged(known: dict[str, TaskResult], new: dict[str, TaskResult]) -> dict[str, TaskResult]:
    return known | new


class OrchestratorState(TypedDict):
    """What the checkpoints of an orchestrator hold.

    Attributes:
        tasks: those that have arrived and are not taken on yet.
        planned: those that were taken on, in the order of their arrival.
        results: of those that have ended, by their ids.
    """

    tasks: list[Task]
    planned: Annotated[list[Planned], _joined]
    results: Annotated[dict[str, TaskResult], _merged]


_OF_PARENT: Final = "/"
"""Stands between the id of a task and those of the tasks that its agent adds."""

_FIELDS: Final = ("id", "agent", "input", "resources", "after")


class Roster:
    """What tasks are checked against.

    Args:
        agents: the names that there are.
        require_resources: whether every task has to name some.
    """

    def __init__(self, agents: Collection[str], *, require_resources: bool) -> None:
        self._agents, self._require_resources = tuple(agents), require_resources

    def planned(self, new: Any, known: Iterable[str], *, parent: str = "") -> list[Planned]:
        """Take on tasks: bring them into their one form, and give each a key.

        Args:
            new: what somebody says are tasks.
            known: the ids of tasks that they may depend on, and must not have themselves.
            parent: the task in which an agent adds them; their ids then begin with it, whatever others call theirs.

        Raises:
            ConfigurationError: one of them is no task, or they do not fit together; none is taken on.
        """
        if isinstance(new, str | Mapping) or not isinstance(new, Iterable):
            raise ConfigurationError(f'tasks is a list: {{"tasks": [{{"id": ..., "agent": ...}}]}}; got {new!r}.')
        tasks = [self._one(task) for task in new]
        if parent:
            tasks = _under(parent, tasks)
        ids = _distinct([task["id"] for task in tasks], set(known))
        for task in tasks:
            for name in task["after"]:
                if name not in ids:
                    raise ConfigurationError(
                        f'Task "{task["id"]}" comes after "{name}", which is no task; {meant(name, sorted(ids))}'
                    )
        _refuse_circles(tasks)
        return [Planned(**task, key=secrets.token_hex(16)) for task in tasks]

    def _one(self, task: Any) -> Task:
        if not isinstance(task, Mapping):
            raise ConfigurationError(f'A task is a mapping: {{"id": ..., "agent": ..., "input": ...}}; got {task!r}.')
        name = task.get("id")
        if not isinstance(name, str) or not name.strip():
            raise ConfigurationError(f'The task {dict(task)!r} needs an id, a text such as "restock-7".')
        if _OF_PARENT in name:
            raise ConfigurationError(
                f'The id "{name}" has a "{_OF_PARENT}", which is for tasks that agents add; take another mark, as "-".'
            )
        for field in task:
            if field not in _FIELDS:
                raise ConfigurationError(f'Task "{name}" has the field "{field}"; {meant(field, _FIELDS)}')
        if "input" not in task:
            raise ConfigurationError(f'Task "{name}" has no input; give what its agent is invoked with, if only None.')
        if task.get("agent") not in self._agents:
            raise ConfigurationError(
                f'Task "{name}" is for the agent {task.get("agent")!r}; {meant(task.get("agent"), self._agents)}'
            )
        resources = _resources(name, task.get("resources") or ())
        if self._require_resources and not resources:
            raise ConfigurationError(
                f'Task "{name}" names no resources, and this orchestrator requires some: '
                f'write resources=["inventory/1"], or build it with require_resources=False.'
            )
        return Task(id=name, agent=task["agent"], input=task["input"], resources=resources, after=_after(name, task))


def job_of(task: Task) -> Job:
    """Give what of a task in its one form matters for when it may start."""
    resources = task["resources"]
    assert isinstance(resources, Mapping)
    return Job(task["id"], {name: Mode(mode) for name, mode in resources.items()}, tuple(task["after"]))


def _under(parent: str, tasks: Sequence[Task]) -> list[Task]:
    ids = {task["id"]: f"{parent}{_OF_PARENT}{task['id']}" for task in tasks}
    return [
        Task({**task, "id": ids[task["id"]], "after": [ids.get(name, name) for name in task["after"]]})
        for task in tasks
    ]


def _resources(task: str, given: Any) -> dict[str, TaskMode]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigurationError(f'Task "{task}": resources is a list of names, or {{name: mode}}; got {given!r}.')
    named = given if isinstance(given, Mapping) else dict.fromkeys(given, "exclusive")
    found: dict[str, TaskMode] = {}
    for name, mode in named.items():
        if mode not in get_args(TaskMode):
            raise ConfigurationError(
                f'Task "{task}": "{name}" has the mode {mode!r}; {meant(mode, get_args(TaskMode))}'
            )
        resource = canonical(name)
        if found.get(resource) != "exclusive":
            found[resource] = str(mode)  # type: ignore[assignment]
    return found


def _after(task: str, given: Mapping[str, Any]) -> list[str]:
    after = given.get("after") or ()
    if isinstance(after, str) or not isinstance(after, Iterable) or not all(isinstance(name, str) for name in after):
        raise ConfigurationError(f'Task "{task}": after is a list of the ids of tasks; got {after!r}.')
    return list(dict.fromkeys(after))


def _distinct(ids: Iterable[str], known: set[str]) -> set[str]:
    known = set(known)
    for name in ids:
        if name in known:
            raise ConfigurationError(f'There are two tasks with the id "{name}"; give each one of its own.')
        known.add(name)
    return known


def _refuse_circles(tasks: Sequence[Task]) -> None:
    waiting = {task["id"]: set(task["after"]) for task in tasks}
    while free := [name for name, after in waiting.items() if not after & waiting.keys()]:
        for name in free:
            del waiting[name]
    if waiting:
        raise ConfigurationError(
            f"Tasks depend on each other in a circle: {' after '.join(_circle(waiting))}. Take one dependency out."
        )


def _circle(waiting: Mapping[str, set[str]]) -> list[str]:
    path = [next(iter(waiting))]
    while path[-1] not in path[:-1]:
        path.append(next(name for name in sorted(waiting[path[-1]]) if name in waiting))
    return path[path.index(path[-1]) :]
