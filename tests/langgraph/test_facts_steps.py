"""What LangGraph's steps do with tasks that are sent, on which the orchestrator rests."""

import operator
import threading
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphInterrupt
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from clawproof_langgraph.graph.surroundings import loop_of, neighbours

from .scripted import PATIENCE, play, thread

MODES = ["sync", "async"]


class State(TypedDict):
    """What was sent, and what came back."""

    sent: list[str]
    back: Annotated[list[str], operator.add]


def sending(work: Any, **compiled: Any) -> Any:
    """Compile a graph that sends each item to one node, whose sync body runs in both modes, and looks again."""

    async def awork(item: str, config: RunnableConfig) -> Any:
        return work(item, config)

    def plan(state: State) -> Command[str]:
        left = [item for item in state["sent"] if item not in state["back"]]
        return Command(goto=[Send("work", item) for item in left] or END)

    builder = StateGraph(State)
    builder.add_node("plan", plan, destinations=("work", END))
    builder.add_node("work", RunnableLambda(work, awork))
    builder.add_edge(START, "plan")
    builder.add_edge("work", "plan")
    return builder.compile(**{"checkpointer": InMemorySaver(), **compiled})


def given(*items: str) -> State:
    return {"sent": list(items), "back": []}


@pytest.mark.parametrize("mode", MODES)
def test_the_tasks_of_a_step_are_found_in_the_order_in_which_they_were_sent(mode: str) -> None:
    seen: list[Any] = []

    def work(item: str, config: RunnableConfig) -> State:
        seen.append([(task.node, task.input) for task in neighbours(config["configurable"])])
        return {"back": [item]}

    play(sending(work), given("c", "a", "b"), thread(), mode=mode)

    assert seen == [[("work", "c"), ("work", "a"), ("work", "b")]] * 3


@pytest.mark.parametrize("mode", MODES)
def test_a_step_that_goes_on_has_what_was_written_before(mode: str) -> None:
    seen: list[Any] = []

    def work(item: str, config: RunnableConfig) -> State:
        if item == "asks":
            seen.append([task.writes for task in neighbours(config["configurable"])])
            interrupt("?")
        return {"back": [item]}

    graph = sending(work)
    play(graph, given("first", "asks"), thread(), mode=mode, durability="sync")
    play(graph, Command(resume="yes"), thread(), mode=mode, durability="sync")

    assert [writes[1] for writes in seen] == [(), ()]
    assert ("back", ["first"]) in seen[-1][0]


@pytest.mark.parametrize("mode", MODES)
def test_all_tasks_of_a_run_have_one_loop_and_those_of_another_run_have_another(mode: str) -> None:
    loops: list[Any] = []

    def work(item: str, config: RunnableConfig) -> State:
        loops.append(loop_of(config["configurable"]))
        return {"back": [item]}

    graph = sending(work)
    play(graph, given("a", "b"), thread("1"), mode=mode)
    play(graph, given("a"), thread("2"), mode=mode)

    assert loops[0] is loops[1] is not loops[2]


def test_with_fewer_places_than_tasks_they_begin_in_the_order_in_which_they_were_sent() -> None:
    begun: list[str] = []
    lock = threading.Lock()

    def work(item: str, config: RunnableConfig) -> State:
        with lock:
            begun.append(item)
        return {"back": [item]}

    items = [str(number) for number in range(40)]
    sending(work).invoke(given(*items), {**thread(), "max_concurrency": 1})

    assert begun == items


@pytest.mark.parametrize("mode", MODES)
def test_a_node_that_raises_an_interrupt_without_a_question_is_run_again_and_nobody_is_asked(mode: str) -> None:
    begun: list[str] = []

    def work(item: str, config: RunnableConfig) -> State:
        begun.append(item)
        if item == "waits" and begun.count(item) == 1:
            raise GraphInterrupt()
        return {"back": [item]}

    graph = sending(work)
    first = play(graph, given("waits", "done"), thread(), mode=mode, durability="sync")
    last = play(graph, None, thread(), mode=mode, durability="sync")

    assert not first.get("__interrupt__")
    assert sorted(last["back"]) == ["done", "waits"] and begun.count("done") == 1


def test_a_step_ends_with_its_slowest_task() -> None:
    """What becomes ready in between waits, unless it was sent already."""
    quick = threading.Event()
    order: list[str] = []

    def work(item: str, config: RunnableConfig) -> State:
        if item == "slow":
            assert quick.wait(PATIENCE)
        order.append(item)
        if item == "quick":
            quick.set()
        return {"back": [item]}

    def plan(state: State) -> Command[str]:
        order.append("plan")
        left = [item for item in state["sent"] if item not in state["back"]]
        return Command(goto=[Send("work", item) for item in left] or END)

    builder = StateGraph(State)
    builder.add_node("plan", plan, destinations=("work", END))
    builder.add_node("work", work)
    builder.add_edge(START, "plan")
    builder.add_edge("work", "plan")
    builder.compile().invoke(given("slow", "quick"))

    assert order == ["plan", "quick", "slow", "plan"]
