"""Which calls are the same call when guarded tools, sub-agents and nodes call guarded tools."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, RetryPolicy, interrupt

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.graph.identity import CallSite, number_of
from tests.langgraph.scripted import agent_loop, call, play, says, thread

from .stage import Build, hooked, human, ready_made, turn, wrapped
from .till import Till

pytestmark = pytest.mark.filterwarnings("ignore:A RetryPolicy on node:clawproof_langgraph.errors.ClawproofWarning")

BUILDS = [hooked, wrapped, ready_made]


def nesting(till: Till, *, breaks: bool) -> tuple[BaseTool, list[str]]:
    """Make a tool that pays twice alike with a guarded tool, and then asks a human."""
    pay = till.guard.wrap_tool(till.tools()[0])
    answers: list[str] = []

    @tool
    def pay_twice() -> str:
        """Pay twice, and ask."""
        answers.extend([pay.invoke({"amount": 5}), pay.invoke({"amount": 5})])
        return interrupt("was that right?") if breaks else "paid twice"

    return pay_twice, answers


@pytest.mark.parametrize("build", BUILDS)
def test_equal_calls_inside_one_call_are_all_made_and_none_again_when_the_outer_one_runs_again(
    coordinator: Coordinator, mode: str, build: Build
) -> None:
    till = Till(coordinator)
    pay_twice, answers = nesting(till, breaks=True)
    guard = Guard(coordinator, tools={"pay_twice": ToolPolicy(effect="delegate")})
    graph = build(guard, turn(call("pay_twice")), [pay_twice])

    play(graph, human(), thread(), mode=mode)
    play(graph, Command(resume="yes"), thread(), mode=mode)

    assert till.paid == [5, 5]
    assert answers == ["paid 5"] * 4


def test_equal_calls_inside_two_equal_calls_are_all_made(coordinator: Coordinator, mode: str) -> None:
    till = Till(coordinator)
    pay_twice, _ = nesting(till, breaks=False)
    guard = Guard(coordinator, tools={"pay_twice": ToolPolicy(effect="delegate")})

    play(hooked(guard, turn(call("pay_twice", "1"), call("pay_twice", "2")), [pay_twice]), human(), thread(), mode=mode)

    assert till.paid == [5] * 4


@pytest.mark.parametrize("checkpointer", [None, True, False])
def test_a_sub_agent_inside_a_guarded_tool_pays_once_when_the_tool_runs_again(
    coordinator: Coordinator, mode: str, checkpointer: Any
) -> None:
    till = Till(coordinator)

    @tool
    def delegate() -> str:
        """Have another agent pay, and ask only then."""
        # A model that is asked again mints new ids, so each run gets a model of its own.
        inner = agent_loop(turn(call("pay", "1")), till.guard.tool_node(till.tools()), checkpointer=checkpointer)
        inner.invoke(human())
        return interrupt("was that right?")

    guard = Guard(coordinator, tools={"delegate": ToolPolicy(effect="delegate")})
    graph = hooked(guard, turn(call("delegate")), [delegate])
    play(graph, human(), thread(), mode=mode)
    play(graph, Command(resume="yes"), thread(), mode=mode)

    assert till.paid == [1]


def test_a_sub_agent_without_checkpoints_is_told_apart_also_in_a_node_with_a_timeout(coordinator: Coordinator) -> None:
    till = Till(coordinator)

    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [says(call("pay", "1"))]}

    inner = StateGraph(MessagesState)
    inner.add_node("model", ask)
    inner.add_node("tools", till.guard.tool_node(till.tools()), timeout=30)
    inner.add_edge(START, "model")
    inner.add_edge("model", "tools")
    agent = inner.compile(checkpointer=False)

    @tool
    async def delegate() -> str:
        """Have another agent pay, and ask only then."""
        await agent.ainvoke(human())
        return interrupt("was that right?")

    guard = Guard(coordinator, tools={"delegate": ToolPolicy(effect="delegate")})
    graph = hooked(guard, turn(call("delegate")), [delegate])
    play(graph, human(), thread(), mode="async")
    play(graph, Command(resume="yes"), thread(), mode="async")

    assert till.paid == [1]


def work_graph(work: Callable[[MessagesState], Any], **node: Any) -> Any:
    """Compile a graph of one node, which calls guarded tools itself."""
    builder = StateGraph(MessagesState)
    builder.add_node("work", work, **node)
    builder.add_edge(START, "work")
    builder.add_edge("work", END)
    return builder.compile(checkpointer=InMemorySaver())


def test_a_node_that_calls_a_guarded_tool_twice_alike_means_both(coordinator: Coordinator) -> None:
    till = Till(coordinator)
    pay = till.guard.wrap_tool(till.tools()[0])

    def work(state: MessagesState) -> dict[str, Any]:
        pay.invoke({"amount": 5})
        pay.invoke({"amount": 5})
        return {"messages": [("ai", interrupt("was that right?"))]}

    graph = work_graph(work)

    graph.invoke(human(), thread())
    graph.invoke(Command(resume="yes"), thread())

    assert till.paid == [5, 5]


def test_a_node_that_a_retry_policy_runs_again_pays_what_it_means_once(coordinator: Coordinator) -> None:
    till = Till(coordinator)
    pay, _, break_once = till.guard.wrap_tools(till.tools())

    def work(state: MessagesState) -> dict[str, Any]:
        pay.invoke({"amount": 5})
        pay.invoke({"amount": 5})
        break_once.invoke({})
        return {}

    graph = work_graph(work, retry_policy=RetryPolicy(initial_interval=0, jitter=False))

    graph.invoke(human(), thread())

    assert till.paid == [5, 5]


def test_equal_calls_of_a_long_node_are_all_made_however_many_others_have_come_and_gone(
    coordinator: Coordinator,
) -> None:
    till = Till(coordinator)
    pay = till.guard.wrap_tool(till.tools()[0])
    others = [CallSite(thread=str(number), message="a", execution=lambda: None) for number in range(3000)]

    def work(state: MessagesState) -> dict[str, Any]:
        pay.invoke({"amount": 5})
        for other in others:
            number_of(other, "of other amounts")
        pay.invoke({"amount": 5})
        return {}

    work_graph(work).invoke(human(), thread())

    assert till.paid == [5, 5]


def test_the_calls_of_an_execution_are_counted_for_as_long_as_it_lives(coordinator: Coordinator) -> None:
    till, executions = Till(coordinator), []
    pay = till.guard.wrap_tool(till.tools()[0])

    def work(state: MessagesState) -> dict[str, Any]:
        executions.append(weakref.ref(get_config()["configurable"]["__pregel_scratchpad"].get_null_resume))
        pay.invoke({"amount": 5})
        return {}

    work_graph(work).invoke(human(), thread())
    gc.collect()

    assert till.paid == [5] and executions[0]() is None


def test_calls_whose_execution_cannot_be_told_are_all_made(coordinator: Coordinator) -> None:
    till = Till(coordinator)
    pay = till.guard.wrap_tool(till.tools()[0])
    for _ in range(2):
        pay.invoke({"amount": 5}, {"configurable": {"thread_id": "a", "__pregel_task_id": "b"}})

    assert till.paid == [5, 5] and len(set(till.keys())) == 2
