"""How a call settles whose tool leaves with one of the exceptions that LangGraph steers by."""

from typing import Annotated, Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, InjectedToolCallId
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import ParentCommand
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from clawproof_langgraph import Coordinator, ToolPolicy
from clawproof_langgraph import current_call as running
from tests.langgraph.scripted import asks, call, play, results, thread, tools_only

from .stage import as_tool, doubts, guarded, types_of, use

KEYED_BY_US = {"key": "order/{order}", "locks": ["inventory/1"]}


def test_an_interrupt_suspends_the_call_with_its_locks_free_and_its_key_ready_to_run(
    coordinator: Coordinator, mode: str
) -> None:
    asked: list[str] = []

    def place(order: int) -> str:
        """Place an order that a human has approved."""
        call = running()
        assert call is not None
        asked.append(call.idempotency_key)
        return f"placed: {interrupt('place it?')}"

    tool = guarded(coordinator, as_tool(place, "sync"), ToolPolicy(**KEYED_BY_US))
    graph = tools_only([tool], checkpointer=InMemorySaver())

    state = play(graph, asks(call("place", order=7)), thread(), mode=mode)
    assert [pending.value for pending in state["__interrupt__"]] == ["place it?"]
    assert coordinator.snapshot().leases == () and doubts(coordinator) == []
    assert types_of(coordinator).count("call.suspended") == 1

    state = play(graph, Command(resume="yes"), thread(), mode=mode)
    assert results(state)[-1].content == "placed: yes"
    assert len(asked) == 2 and len(set(asked)) == 1


def handing_over(coordinator: Coordinator, face: str, ran: list[str]) -> BaseTool:
    def hand_over(order: int, call_id: Annotated[str, InjectedToolCallId]) -> Any:
        """Hand over to a human."""
        ran.append("once")
        update = {"messages": [ToolMessage("handed over", tool_call_id=call_id)]}
        raise ParentCommand(Command(graph="__parent__", goto="human", update=update))

    return guarded(coordinator, as_tool(hand_over, face), ToolPolicy(**KEYED_BY_US))


def test_a_handoff_raised_is_a_success_that_is_raised_again_for_the_present_call(
    coordinator: Coordinator, face: str
) -> None:
    ran: list[str] = []
    tool = handing_over(coordinator, face, ran)
    commands = []
    for call_id in ("a", "b"):
        with pytest.raises(ParentCommand) as caught:
            use(tool, face, call_id, order=7)
        commands.append(caught.value.args[0])

    assert len(ran) == 1 and doubts(coordinator) == []
    assert types_of(coordinator).count("call.done") == 1
    assert [command.goto for command in commands] == ["human", "human"]
    assert [command.update["messages"][0].tool_call_id for command in commands] == ["a", "b"]


def test_a_handoff_replayed_in_a_sub_agent_reaches_its_parent(coordinator: Coordinator, mode: str) -> None:
    ran: list[str] = []
    tool = handing_over(coordinator, "sync", ran)
    builder = StateGraph(MessagesState)
    builder.add_node("agent", tools_only([tool]), destinations=("human",))
    builder.add_node("human", lambda state: {"messages": [("ai", "taken over")]})
    builder.add_edge(START, "agent")
    builder.add_edge("human", END)
    graph = builder.compile()

    states = [play(graph, asks(call("hand_over", order=7)), mode=mode) for _ in range(2)]

    assert len(ran) == 1
    assert [state["messages"][-1].content for state in states] == ["taken over", "taken over"]
