"""The numbers of the graphs that a guarded tool runs, by which they are found in the stream and in the checkpoints."""

import re
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import RetryPolicy

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.graph import subgraphs
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import ScriptedModel, agent_loop, call, says, thread

from .stage import human, turn

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def in_a_loop(guard: Guard | None, model: ScriptedModel, tools: list[BaseTool]) -> Any:
    return agent_loop(model, guard.tool_node(tools) if guard else ToolNode(tools), checkpointer=InMemorySaver())


def ready_made(guard: Guard | None, model: ScriptedModel, tools: list[BaseTool]) -> Any:
    middleware = [CoordinationMiddleware(guard)] if guard else []
    return create_agent(model, tools, middleware=middleware, checkpointer=InMemorySaver())


def delegate_to(agent: Any) -> BaseTool:
    @tool
    def delegate(part: int = 0) -> str:
        """Have an agent do it, and another time."""
        return " ".join(agent.invoke(human())["messages"][-1].text for _ in range(2))

    return delegate


def helper(turns: int = 4) -> Any:
    return create_agent(ScriptedModel(replies=[says(text="done")] * turns), [], name="helper")


def guard_of(coordinator: Coordinator) -> Guard:
    return Guard(coordinator, tools={"delegate": ToolPolicy(effect="delegate")})


def namespaces(graph: Any) -> set[tuple[str, ...]]:
    """List where in the stream something was written, without the ids that are made anew in each run."""
    parts = graph.stream(human(), thread(), subgraphs=True, stream_mode="values", durability="sync")
    return {tuple(_ID.sub("id", segment) for segment in namespace) for namespace, _ in parts}


def test_the_graphs_of_a_call_with_a_task_of_its_own_have_their_usual_namespaces(coordinator: Coordinator) -> None:
    def run(guard: Guard | None) -> set[tuple[str, ...]]:
        calls = [call("delegate", "1", part=1), call("delegate", "2", part=2)]
        return namespaces(ready_made(guard, turn(*calls), [delegate_to(helper())]))

    assert run(guard_of(coordinator)) == run(None) == {(), ("tools:id",), ("tools:id", "1")}


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
def test_langchain_finds_the_sub_agent_of_a_guarded_tool(coordinator: Coordinator) -> None:
    agent = ready_made(guard_of(coordinator), turn(call("delegate", "call-7")), [delegate_to(helper())])

    found = [(each.name, each.cause) for each in agent.stream_events(human(), thread(), version="v3").subagents]

    assert found == [("helper", {"type": "toolCall", "tool_call_id": "call-7"})]


@pytest.mark.parametrize("policy", [ToolPolicy(effect="delegate"), ToolPolicy(effect="delegate", key="all/{part}")])
def test_the_calls_that_share_a_task_keep_numbers_of_their_own(coordinator: Coordinator, policy: ToolPolicy) -> None:
    guard = Guard(coordinator, tools={"delegate": policy})
    calls = [call("delegate", "1", part=1), call("delegate", "2", part=2)]

    found = namespaces(in_a_loop(guard, turn(*calls), [delegate_to(helper())]))

    assert ("tools:id",) not in found and len(found) == 1 + 4


def test_so_do_calls_that_a_tool_makes_although_it_hands_its_id_on(coordinator: Coordinator) -> None:
    inner = guard_of(coordinator).wrap_tool(delegate_to(helper()))

    @tool
    def outer(runtime: Any) -> str:
        """Have others do it."""
        return inner.invoke(call("delegate", runtime.tool_call_id)).content

    found = namespaces(agent_loop(turn(call("outer")), ToolNode([outer]), checkpointer=InMemorySaver()))

    assert ("tools:id",) not in found and len(found) == 1 + 2


def test_a_graph_that_is_run_again_by_a_retry_policy_finds_its_checkpoints(coordinator: Coordinator) -> None:
    """LangGraph counts on in the next attempt, where there are none."""
    done: list[str] = []
    breaks = [ConnectionError("reply lost")]

    def fail_once(state: MessagesState) -> None:
        if breaks:
            raise breaks.pop()
        done.append("end")

    inner = StateGraph(MessagesState)
    inner.add_node("begin", lambda state: done.append("begin"))
    inner.add_node("end", fail_once)
    inner.add_edge(START, "begin")
    inner.add_edge("begin", "end")
    agent = inner.compile()

    @tool
    def delegate() -> str:
        """Have an agent do it, going on from where it was."""
        agent.invoke(None if done else human())
        return "done"

    policy = ToolPolicy(effect="delegate", retry=False)
    node = Guard(coordinator, tools={"delegate": policy}).tool_node([delegate])
    builder = StateGraph(MessagesState)
    builder.add_node("tools", node, retry_policy=RetryPolicy(initial_interval=0, jitter=False))
    builder.add_edge(START, "tools")
    graph = builder.compile(checkpointer=InMemorySaver())

    graph.invoke({"messages": [says(call("delegate"), message_id="ai-1")]}, thread(), durability="sync")

    assert done == ["begin", "end"]


def test_where_langgraph_is_built_otherwise_a_call_has_a_number_of_its_own(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(configurable: Any) -> Any:
        raise AttributeError("tasks")

    monkeypatch.setattr(subgraphs, "is_alone", gone)

    found = namespaces(ready_made(guard_of(coordinator), turn(call("delegate")), [delegate_to(helper())]))

    assert ("tools:id",) not in found and len(found) == 1 + 2
