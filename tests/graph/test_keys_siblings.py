"""Calls that are equal in all but their place are all meant, whatever became of those beside them."""

import asyncio
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, Send

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from tests.langgraph.scripted import (
    ScriptedModel,
    agent_loop,
    asks,
    both_hooks,
    call,
    play,
    results,
    says,
    thread,
    tools_only,
)

from .stage import hooked, human, ready_made, turn
from .till import Till

MODES_OF_CHANGE = [lambda args: args, lambda args: {**args, "amount": 9}]


def behind(till: Till, change: Any) -> ToolNode:
    """Make a ToolNode with a hook of the user's around the guard, which hands on a changed copy of each call."""
    outer = both_hooks(
        lambda request: request.override(tool_call={**request.tool_call, "args": change(request.tool_call["args"])})
    )
    guard = till.guard
    return ToolNode(
        till.tools(),
        wrap_tool_call=lambda request, execute: outer["wrap_tool_call"](
            request, lambda changed: guard.wrap_tool_call(changed, execute)
        ),
        awrap_tool_call=lambda request, execute: outer["awrap_tool_call"](
            request, lambda changed: guard.awrap_tool_call(changed, execute)
        ),
    )


@pytest.mark.parametrize("change", MODES_OF_CHANGE, ids=["copied", "edited"])
def test_calls_with_the_same_id_that_a_hook_has_changed_both_run_and_neither_again(
    coordinator: Coordinator, mode: str, change: Any
) -> None:
    till = Till(coordinator)
    calls = [call("pay", "twin", amount=1), call("pay", "twin", amount=1), call("approve", "2")]
    node = behind(till, lambda args: change(args) if args else args)
    graph = agent_loop(turn(*calls), node, checkpointer=InMemorySaver())

    for value in (human(), Command(resume="yes")):
        play(graph, value, thread(), mode=mode)

    assert len(till.paid) == 2 and len(set(till.keys())) == 2


def test_calls_with_the_same_id_that_are_sent_to_one_task_both_run(coordinator: Coordinator) -> None:
    till = Till(coordinator)
    builder = StateGraph(MessagesState)
    builder.add_node("tools", till.guard.tool_node(till.tools()))
    builder.add_conditional_edges(START, lambda state: [Send("tools", state["messages"][-1].tool_calls)])
    builder.add_edge("tools", END)
    graph = builder.compile(checkpointer=InMemorySaver())

    graph.invoke(asks(call("pay", "twin"), call("pay", "twin")), thread())

    assert till.paid == [1, 1]


def test_calls_of_one_history_are_not_taken_for_those_of_another(coordinator: Coordinator) -> None:
    """The ids of calls are used again: that of the running call stands in the other history, too."""
    till = Till(coordinator)

    class Chats(MessagesState):
        chat: Annotated[list[Any], add_messages]

    builder = StateGraph(Chats)
    builder.add_node("tools", till.guard.tool_node(till.tools(), messages_key="chat"))
    builder.add_edge(START, "tools")
    builder.add_edge("tools", END)
    graph = builder.compile(checkpointer=InMemorySaver())
    graph.update_state(thread(), {"messages": [HumanMessage("pay"), says(call("pay", "1"), message_id="main")]})

    for number in range(2):
        graph.invoke({"chat": [AIMessage("", tool_calls=[call("pay", "1")], id=f"chat-{number}")]}, thread())

    assert till.paid == [1, 1]


class Flaky:
    """A payment of which the first attempt breaks off while the second waits for its receipt, and is cancelled."""

    def __init__(self, coordinator: Coordinator, effect: str) -> None:
        self.paid = 0
        self.attempts = 0
        self.waiting = asyncio.Event()
        self.guard = Guard(coordinator, tools={"pay": ToolPolicy(effect=effect, retry=False)})

    def tool(self) -> BaseTool:
        @tool
        async def pay(amount: int) -> str:
            """Pay."""
            self.attempts += 1
            if self.attempts == 1:
                await self.waiting.wait()
                raise ConnectionError("reply lost")
            if self.attempts == 2:
                self.waiting.set()
                await asyncio.Event().wait()
            self.paid += 1
            return f"paid {amount}"

        return pay


RERUN = ["keyed", "idempotent", "delegate"]


@pytest.mark.parametrize("effect", RERUN)
async def test_equal_calls_of_one_message_are_both_made_when_both_broke_off(
    coordinator: Coordinator, effect: str
) -> None:
    flaky = Flaky(coordinator, effect)
    agent = ready_made(flaky.guard, turn(call("pay", "1", amount=1), call("pay", "2", amount=1)), [flaky.tool()])

    with pytest.raises(ConnectionError):
        await agent.ainvoke(human(), thread())
    state = await agent.ainvoke(None, thread())

    assert flaky.paid == 2
    assert [message.content for message in results(state)] == ["paid 1", "paid 1"]


@pytest.mark.parametrize("effect", RERUN)
async def test_equal_calls_of_two_branches_are_both_made_when_both_broke_off(
    coordinator: Coordinator, effect: str
) -> None:
    flaky = Flaky(coordinator, effect)
    model = ScriptedModel(replies=[says(call("pay", amount=1)), says(call("pay", amount=1)), *[says(text="done")] * 2])
    builder = StateGraph(MessagesState)
    builder.add_node("desk", hooked(flaky.guard, model, [flaky.tool()], checkpointer=None))
    builder.add_conditional_edges(START, lambda state: [Send("desk", state), Send("desk", state)], ["desk"])
    graph = builder.compile(checkpointer=InMemorySaver())

    with pytest.raises(ConnectionError):
        await graph.ainvoke(human(), thread())
    await graph.ainvoke(None, thread())

    assert flaky.paid == 2


async def test_a_call_is_not_refused_because_one_beside_it_is_in_doubt(coordinator: Coordinator) -> None:
    paid: list[str] = []

    @tool
    def pay() -> str:
        """Pay; the first reply is lost."""
        paid.append("once")
        if len(paid) == 1:
            raise ConnectionError("reply lost")
        return "paid"

    guard = Guard(coordinator, tools={"pay": ToolPolicy()})
    node = guard.tool_node([pay], handle_tool_errors=True)
    state = tools_only(node, checkpointer=InMemorySaver()).invoke(asks(call("pay", "1"), call("pay", "2")), thread())

    assert len(paid) == 2
    assert sorted(message.status for message in results(state)) == ["error", "success"]
