"""What an orchestrator's tasks wait for: `python -m benchmarks.orchestrating [--plans 10] [--seed 1]`.

The same plans of tasks, with lengths as agents have them (most are short, few are long), are run in waves, where
LangGraph ends a step when its slowest task ends, and by the orchestrator, whose tasks wait for each other alone.
"""

from __future__ import annotations

import operator
import random
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypedDict

import click
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send

from clawproof_langgraph import Coordinator
from clawproof_langgraph.orchestrator import Task, build_orchestrator

_TASKS: Final = 40
_RESOURCES: Final = 12
_TYPICAL: Final = 0.03
"""Seconds that a task takes in the middle; one in forty takes six times as long and more."""


class _Waves(TypedDict):
    tasks: list[Task]
    done: Annotated[list[str], operator.add]


def waves() -> Any:
    """Build the graph that sends what is ready, and looks again when all of that has ended."""

    def plan(state: _Waves) -> Command[str]:
        taken: set[str] = set()
        ready = []
        for task in state["tasks"]:
            if task["id"] in state["done"] or not set(task["after"]) <= set(state["done"]):
                continue
            if taken.isdisjoint(task["resources"]):
                ready.append(task)
            taken |= set(task["resources"])
        return Command(goto=[Send("work", task) for task in ready] or END)

    def work(task: Task) -> dict[str, Any]:
        time.sleep(task["input"])
        return {"done": [task["id"]]}

    builder = StateGraph(_Waves)
    builder.add_node("plan", plan, destinations=("work", END))
    builder.add_node("work", work)
    builder.add_edge(START, "plan")
    builder.add_edge("work", "plan")
    return builder.compile().with_config(max_concurrency=1000)


def plan_of(chance: random.Random) -> list[Task]:
    """Draw tasks that use a resource each, most of them after one or two others."""
    tasks: list[Task] = []
    for number in range(_TASKS):
        before = [task["id"] for task in tasks]
        after = chance.sample(before, min(len(before), chance.choice([0, 1, 1, 2])))
        length = _TYPICAL * chance.lognormvariate(0, 1)
        resources = [f"resource/{chance.randrange(_RESOURCES)}"]
        tasks.append(Task(id=f"{number}", agent="worker", input=length, resources=resources, after=after))
    return tasks


def longest_chain(tasks: list[Task]) -> float:
    """Give the seconds that no schedule can save: those of the tasks that depend on each other."""
    ends: dict[str, float] = {}
    for task in tasks:
        ends[task["id"]] = task["input"] + max((ends[name] for name in task["after"]), default=0.0)
    return max(ends.values())


def seconds(run: Callable[[], Any]) -> float:
    """Time one run."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


@click.command()
@click.option("--plans", default=10, show_default=True, help="How many plans are run.")
@click.option("--seed", default=1, show_default=True, help="Chooses the plans.")
def main(plans: int, seed: int) -> None:
    """Measure what an orchestrator's tasks wait for."""
    chance = random.Random(seed)
    drawn = [plan_of(chance) for _ in range(plans)]
    with Coordinator.from_url("memory://") as coordinator:
        worker: Mapping[str, Any] = {"worker": RunnableLambda(time.sleep)}
        graph, in_waves = build_orchestrator(worker, coordinator), waves()
        graph.invoke({"tasks": drawn[0]})  # what is made once
        figures = {
            "longest chain": sum(longest_chain(tasks) for tasks in drawn),
            "waves": sum(seconds(lambda tasks=tasks: in_waves.invoke({"tasks": tasks, "done": []})) for tasks in drawn),
            "orchestrator": sum(seconds(lambda tasks=tasks: graph.invoke({"tasks": tasks})) for tasks in drawn),
        }
        idle = [Task({**task, "input": 0.0}) for task in drawn[0]]
        cost = min(seconds(lambda: graph.invoke({"tasks": idle})) for _ in range(5)) / len(idle)
    for name, total in figures.items():
        click.echo(f"{name:14} {total / plans:6.3f} s for {_TASKS} tasks")
    click.echo(f"{'per task':14} {1000 * cost:6.2f} ms, where agents do nothing")


if __name__ == "__main__":
    main()
