"""How to tell which agent calls a tool, and how agents nest."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, ToolRuntime, create_react_agent
from langgraph.types import Command, interrupt
from langgraph.warnings import LangGraphDeprecatedSinceV10

from .scripted import ScriptedModel, agent_loop, call, play, says, thread


class Probe:
    """A tool that keeps the runtime that it was given."""

    def __init__(self) -> None:
        self.runtimes: list[ToolRuntime] = []

    def tool(self) -> BaseTool:
        @tool
        def probe(runtime: ToolRuntime) -> str:
            """Look around."""
            self.runtimes.append(runtime)
            return "seen"

        return probe

    @property
    def agent(self) -> str | None:
        (runtime,) = self.runtimes
        return runtime.config["metadata"].get("lc_agent_name")

    @property
    def path(self) -> list[str]:
        """The names of the nodes from the root to the tool."""
        (runtime,) = self.runtimes
        return [segment.split(":")[0] for segment in runtime.execution_info.checkpoint_ns.split("|")]


def one_call(name: str = "probe") -> ScriptedModel:
    return ScriptedModel(replies=[says(call(name)), says(text="done")])


def human() -> dict[str, Any]:
    return {"messages": [HumanMessage("go")]}


def delegate_to(agent: Any) -> BaseTool:
    """Make a tool that hides an agent."""

    @tool
    def delegate() -> str:
        """Ask another agent."""
        return agent.invoke(human())["messages"][-1].content

    return delegate


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_create_agent_tells_its_name_in_the_metadata(mode: str) -> None:
    probe = Probe()
    agent = create_agent(one_call(), [probe.tool()], name="orders")

    play(agent, human(), mode=mode)

    assert probe.agent == "orders"


def test_create_agent_without_a_name_tells_none() -> None:
    probe = Probe()

    create_agent(one_call(), [probe.tool()]).invoke(human())

    assert probe.agent is None


@pytest.mark.parametrize(("name", "told"), [("inner", "inner"), (None, "outer")])
def test_a_sub_agent_inside_a_tool_tells_its_own_name_or_inherits_one(name: str | None, told: str) -> None:
    probe = Probe()
    inner = create_agent(one_call(), [probe.tool()], name=name)
    outer = create_agent(one_call("delegate"), [delegate_to(inner)], name="outer")

    outer.invoke(human())

    assert probe.agent == told


def test_a_sub_agent_as_a_node_tells_its_name_and_its_node_stands_before_the_tools_node() -> None:
    probe = Probe()
    builder = StateGraph(MessagesState)
    builder.add_node("desk", create_agent(one_call(), [probe.tool()], name="orders"))
    builder.add_edge(START, "desk")
    builder.add_edge("desk", END)

    builder.compile().invoke(human())

    assert probe.agent == "orders"
    assert probe.path == ["desk", "tools"]


def test_a_hand_written_sub_graph_tells_no_name_but_the_segment_before_its_tools_node() -> None:
    probe = Probe()
    builder = StateGraph(MessagesState)
    builder.add_node("orders", agent_loop(one_call(), ToolNode([probe.tool()])))
    builder.add_edge(START, "orders")
    builder.add_edge("orders", END)

    builder.compile().invoke(human())

    assert probe.agent is None
    assert probe.path == ["orders", "tools"]


def test_create_react_agent_tells_its_name_only_on_its_messages() -> None:
    probe = Probe()
    with pytest.warns(LangGraphDeprecatedSinceV10):
        agent = create_react_agent(one_call(), [probe.tool()], name="orders")

    agent.invoke(human())

    assert probe.agent is None
    last = [m for m in probe.runtimes[0].state["messages"] if isinstance(m, AIMessage)][-1]
    assert last.name == "orders"


def test_create_agent_names_its_messages_too() -> None:
    agent = create_agent(one_call(), [Probe().tool()], name="orders")

    state = agent.invoke(human())

    assert {m.name for m in state["messages"] if isinstance(m, AIMessage)} == {"orders"}


def test_a_sub_agent_inside_a_tool_goes_on_from_its_own_checkpoint_after_an_interrupt() -> None:
    @tool
    def approve() -> str:
        """Ask a human."""
        return interrupt("approve?")

    inner_model = one_call("approve")
    inner = create_agent(inner_model, [approve], name="inner")
    outer = create_agent(one_call("delegate"), [delegate_to(inner)], checkpointer=InMemorySaver())

    outer.invoke(human(), thread())
    outer.invoke(Command(resume="yes"), thread())

    # The model was asked for the call once, and once more for its last word.
    assert [len(messages) for messages in inner_model.seen] == [1, 3]
    asked = inner_model.seen[1][1]
    assert isinstance(asked, AIMessage)
    assert asked.tool_calls[0]["name"] == "approve"


def test_a_sub_agent_without_any_checkpointer_starts_over_after_an_interrupt() -> None:
    @tool
    def approve() -> str:
        """Ask a human."""
        return interrupt("approve?")

    inner_model = ScriptedModel(replies=[says(call("approve")), says(call("approve")), says(text="done")])
    inner = create_agent(inner_model, [approve], checkpointer=False)
    outer = create_agent(one_call("delegate"), [delegate_to(inner)], checkpointer=InMemorySaver())

    outer.invoke(human(), thread())
    outer.invoke(Command(resume="yes"), thread())

    assert [len(messages) for messages in inner_model.seen] == [1, 1, 3]


def test_a_stateful_sub_agent_that_had_not_begun_its_turn_is_left_out_when_the_run_goes_on() -> None:
    """LangGraph takes the end of its turn before for the end of this one."""
    model = ScriptedModel(replies=[says(text="first"), says(text="second")])
    inner = create_agent(model, [], checkpointer=True)
    failing = [False, True, False]

    @tool
    def delegate() -> str:
        """Ask another agent, if the connection holds."""
        if failing.pop(0):
            raise ConnectionError("not reached")
        return inner.invoke(human())["messages"][-1].content

    replies = [says(call("delegate")), says(text="done")] * 2
    outer = create_agent(ScriptedModel(replies=replies), [delegate], checkpointer=InMemorySaver())
    outer.invoke(human(), thread())
    with pytest.raises(ConnectionError):
        outer.invoke(human(), thread())
    state = outer.invoke(None, thread())

    assert [message.content for message in state["messages"] if message.type == "tool"] == ["first", "first"]
    assert len(model.seen) == 1


def test_create_agent_sends_one_task_per_call() -> None:
    probe = Probe()
    model = ScriptedModel(replies=[says(call("probe", "call-1"), call("probe", "call-2")), says(text="done")])

    create_agent(model, [probe.tool()]).invoke(human())

    assert len({runtime.execution_info.task_id for runtime in probe.runtimes}) == 2


def test_a_hand_written_tool_node_runs_all_calls_in_one_task() -> None:
    probe = Probe()
    model = ScriptedModel(replies=[says(call("probe", "call-1"), call("probe", "call-2")), says(text="done")])

    agent_loop(model, ToolNode([probe.tool()])).invoke(human())

    assert len({runtime.execution_info.task_id for runtime in probe.runtimes}) == 1


def test_an_agent_shows_its_tool_node_and_its_tools() -> None:
    probe = Probe().tool()

    for compiled in (create_agent(one_call(), [probe]), agent_loop(one_call(), ToolNode([probe]))):
        node = compiled.nodes["tools"].bound
        assert isinstance(node, ToolNode)
        assert node.tools_by_name == {"probe": probe}


def test_the_list_of_sub_graphs_misses_an_agent_inside_a_tool_but_its_closure_shows_it() -> None:
    inner = create_agent(one_call(), [Probe().tool()], name="inner")
    delegate = delegate_to(inner)
    outer = create_agent(one_call("delegate"), [delegate])

    assert list(outer.get_subgraphs(recurse=True)) == []
    assert [cell.cell_contents for cell in delegate.func.__closure__] == [inner]
