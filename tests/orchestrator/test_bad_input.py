"""Bad input is refused before anything runs, with what is wrong and the remedy."""

import re
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph

from clawproof_langgraph import ConfigurationError, Coordinator
from clawproof_langgraph.orchestrator import Task, build_orchestrator
from tests.langgraph.scripted import thread

from .workshop import Work, Workshop, do, job, statuses

TASKS: dict[str, tuple[Any, str]] = {
    "no list": ({"id": "1"}, "tasks is a list"),
    "a text": ("task", "tasks is a list"),
    "no mapping": (["task"], "A task is a mapping"),
    "no id": ([{"agent": "worker", "input": 1}], "needs an id"),
    "a blank id": ([{"id": " ", "agent": "worker", "input": 1}], "needs an id"),
    "an id as of an agent": ([job("a/b")], 'has a "/"'),
    "a duplicate id": ([job("a"), job("a")], 'two tasks with the id "a"'),
    "an id of the thread": ([job("old")], 'two tasks with the id "old"'),
    "no input": ([{"id": "a", "agent": "worker"}], "has no input"),
    "an unknown agent": ([job("a", agent="woker")], "'woker'; did you mean \"worker\"?"),
    "no agent": ([{"id": "a", "input": 1}], "for the agent None"),
    "an unknown field": ([{**job("a"), "dependencies": []}], 'has the field "dependencies"'),
    "an unknown dependency": ([job("a", after=("odl",))], 'after "odl", which is no task; did you mean "old"?'),
    "itself": ([job("a", after=("a",))], "in a circle: a after a"),
    "a circle": (
        [job("a", after=("c",)), job("b", after=("a",)), job("c", after=("b",)), job("d", after=("a",))],
        "in a circle: a after c after b after a",
    ),
    "dependencies that are a text": ([{**job("a"), "after": "old"}], "after is a list"),
    "a bad mode": ([job("a", **{"x": "advisory"})], "\"x\" has the mode 'advisory'; there are: exclusive, shared"),
    "resources that are a text": ([{**job("a"), "resources": "x"}], "resources is a list of names"),
    "an empty resource": ([job("a", "")], "empty or has blanks"),
    "a resource that is no text": ([{**job("a"), "resources": [7]}], "named by a text"),
}


@pytest.mark.parametrize(("tasks", "told"), TASKS.values(), ids=TASKS)
def test_bad_tasks_are_refused_and_leave_the_thread_as_it_was(
    local: Coordinator, mode: str, tasks: Any, told: str
) -> None:
    shop = Workshop()
    graph = shop.orchestrator(local)
    do(graph, [job("old")], mode)

    good = [job("good")] if isinstance(tasks, list) else []
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        do(graph, {"tasks": [*good, *tasks] if good else tasks}, mode)

    assert shop.times("start") == {"old": 1}
    assert graph.get_state(thread()).values["results"].keys() == {"old"}
    assert statuses(do(graph, [job("new")], mode)) == {"old": "done", "new": "done"}


def test_tasks_without_resources_are_refused_where_some_are_required(local: Coordinator, mode: str) -> None:
    graph = Workshop().orchestrator(local, require_resources=True)

    with pytest.raises(ConfigurationError, match="names no resources"):
        do(graph, [job("a")], mode)
    assert statuses(do(graph, [job("a", "x")], mode)) == {"a": "done"}


def echo() -> Any:
    return RunnableLambda(lambda given: given)


def uncompiled() -> Any:
    return StateGraph(Work).add_node("work", Workshop().work).add_edge(START, "work")


def stateful() -> Any:
    return Workshop().worker(checkpointer=True)


AGENTS: dict[str, tuple[Any, str]] = {
    "none": (dict, "a mapping of at least one"),
    "a list": (lambda: [echo()], "a mapping of at least one"),
    "a function": (lambda: {"a": print}, 'Agent "a" is no runnable.*Wrap a function in RunnableLambda'),
    "a builder": (lambda: {"a": uncompiled()}, 'Agent "a" is no runnable.*Call compile'),
    "one memory for all": (lambda: {"a": stateful()}, "checkpointer=True"),
    "no name": (lambda: {"": echo()}, "named by a text"),
    "a number": (lambda: {7: echo()}, "named by a text"),
    "a taken name": (lambda: {"orchestrator": echo()}, "cannot name an agent"),
    "a mark of LangGraph's": (lambda: {"a:b": echo()}, "cannot name an agent"),
}


@pytest.mark.parametrize(("agents", "told"), AGENTS.values(), ids=AGENTS)
def test_unfit_agents_are_refused(local: Coordinator, agents: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        build_orchestrator(agents(), local)


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"on_failure": "skip_dependants"}, 'did you mean "skip_dependents"?'),
    ({"max_parallel": 0}, "max_parallel=0"),
    ({"max_parallel": "4"}, "max_parallel='4'"),
    ({"ttl": 0}, "ttl"),
    ({"wait": "soon"}, "wait"),
]


@pytest.mark.parametrize(("options", "told"), OPTIONS, ids=str)
def test_unfit_options_are_refused(local: Coordinator, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        build_orchestrator({"a": echo()}, local, **options)


def test_something_else_than_a_coordinator_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Coordinator\.from_url"):
        build_orchestrator({"a": echo()}, "sqlite:///x.db")  # type: ignore[arg-type]


def test_a_task_tells_its_fields_to_type_checkers() -> None:
    assert Task.__required_keys__ == {"id", "agent", "input"} and Task.__optional_keys__ == {"resources", "after"}
