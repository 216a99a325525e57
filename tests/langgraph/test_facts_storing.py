"""What survives a checkpoint, and what a serialiser may be trusted with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, Send

from .scripted import asks, both_hooks, call, play, results, says, thread, tools_only

RICH_MESSAGE = ToolMessage(
    content=[{"type": "text", "text": "3 left"}],
    artifact={"left": 3},
    name="get_stock",
    tool_call_id="call-1",
    id="m-1",
    status="error",
    additional_kwargs={"a": 1},
    response_metadata={"versions": {"inventory/1": 7}},
)


def round_trip(value: Any) -> Any:
    serializer = JsonPlusSerializer()
    return serializer.loads_typed(serializer.dumps_typed(value))


def test_a_tool_message_survives_the_serialiser_with_all_its_fields() -> None:
    assert round_trip(RICH_MESSAGE) == RICH_MESSAGE


def test_commands_survive_the_serialiser() -> None:
    command = Command(
        graph=Command.PARENT,
        update={"messages": [RICH_MESSAGE], "active": "orders"},
        goto=[Send("orders", {"messages": [HumanMessage("go", id="h-1")]})],
        resume={"answer": 1},
    )

    assert round_trip(command) == command


def test_a_list_of_messages_and_commands_survives_the_serialiser() -> None:
    several = [RICH_MESSAGE, Command(update={"left": 3}, goto=[])]

    assert round_trip(several) == several


def test_tuples_come_back_as_lists_also_the_default_goto_of_a_command() -> None:
    restored = round_trip(Command(update={"pair": (1, 2)}))

    assert restored.goto == []
    assert Command().goto == ()
    assert restored.update == {"pair": [1, 2]}


def handed_over_to(*commands: Command) -> list[str]:
    """Let each call of a sub-agent answer with one of these, and tell what the parent graph did then."""
    answers = {str(number): command for number, command in enumerate(commands)}
    node = ToolNode([], wrap_tool_call=lambda request, _: answers[request.tool_call["id"]])
    builder = StateGraph(MessagesState)
    builder.add_node("agent", tools_only(node), destinations=("desk",))
    builder.add_node("desk", lambda state: {"messages": [HumanMessage("at the desk")]})
    builder.add_edge(START, "agent")

    state = builder.compile().invoke(asks(*(call("hand_over", call_id) for call_id in answers)))
    return [message.content for message in state["messages"][1:]]


def test_restored_handoffs_of_siblings_are_not_joined_unless_graph_is_the_very_constant() -> None:
    original = Command(graph=Command.PARENT, goto=[Send("desk", {"messages": []})])
    restored = round_trip(original)

    assert restored == original
    assert restored.graph is not Command.PARENT
    assert handed_over_to(original, original) == ["at the desk", "at the desk"]
    assert handed_over_to(restored, restored) == ["at the desk"]
    mended = replace(restored, graph=Command.PARENT)
    assert handed_over_to(mended, mended) == ["at the desk", "at the desk"]


def test_a_restored_update_of_the_parent_is_lost_with_the_very_constant_unless_goto_is_a_tuple_again() -> None:
    original = Command(graph=Command.PARENT, update={"messages": [HumanMessage("for the parent")]})
    half_mended = replace(round_trip(original), graph=Command.PARENT)

    assert handed_over_to(original) == ["for the parent"]
    assert handed_over_to(half_mended) == []
    assert handed_over_to(replace(half_mended, goto=())) == ["for the parent"]


def test_the_serialiser_refuses_what_only_pickle_could_store() -> None:
    with pytest.raises(TypeError):
        JsonPlusSerializer().dumps_typed(RICH_MESSAGE.model_copy(update={"artifact": lambda: None}))
    assert JsonPlusSerializer().pickle_fallback is False


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_response_metadata_that_a_wrapper_wrote_is_in_the_checkpoint(mode: str) -> None:
    @tool
    def get_stock() -> ToolMessage:
        """Look."""
        return RICH_MESSAGE.model_copy()

    graph = tools_only(ToolNode([get_stock], **both_hooks(lambda request: request)), checkpointer=InMemorySaver())

    play(graph, asks(call("get_stock")), thread(), mode=mode)

    (message,) = results(graph.get_state(thread()).values)
    assert message == RICH_MESSAGE


def test_response_metadata_is_read_back_from_a_file_by_another_graph(tmp_path: Path) -> None:
    @tool
    def get_stock() -> ToolMessage:
        """Look."""
        return RICH_MESSAGE.model_copy()

    file = str(tmp_path / "checkpoints.sqlite")
    with SqliteSaver.from_conn_string(file) as saver:
        tools_only([get_stock], checkpointer=saver).invoke(asks(call("get_stock")), thread())

    with SqliteSaver.from_conn_string(file) as saver:
        (message,) = results(tools_only([get_stock], checkpointer=saver).get_state(thread()).values)

    assert message == RICH_MESSAGE


def test_a_message_with_the_id_of_an_earlier_one_replaces_it_in_place() -> None:
    earlier = ToolMessage("old", tool_call_id="call-1", id="m-1")
    later = ToolMessage("new", tool_call_id="call-2", id="m-1")

    messages = add_messages([earlier, HumanMessage("and", id="h-1")], [later])

    assert [message.content for message in messages] == ["new", "and"]
    assert messages[0].tool_call_id == "call-2"


def test_a_result_that_is_given_back_with_its_old_id_disappears_from_the_second_turn() -> None:
    @tool
    def get_stock() -> str:
        """Look."""
        return "3 left"

    graph = tools_only([get_stock], checkpointer=InMemorySaver())
    stored = results(graph.invoke(asks(call("get_stock", "call-1")), thread()))[0]
    again = ToolNode(
        [get_stock],
        wrap_tool_call=lambda request, _: stored.model_copy(update={"tool_call_id": request.tool_call["id"]}),
    )

    second = tools_only(again, checkpointer=graph.checkpointer)
    state = second.invoke({"messages": [says(call("get_stock", "call-2"), message_id="ai-2")]}, thread())

    assert [message.id for message in state["messages"]] == ["ai-1", stored.id, "ai-2"]


def test_a_message_without_an_id_gets_one_only_when_it_enters_the_state() -> None:
    in_the_tool: list[str | None] = []

    @tool
    def get_stock() -> ToolMessage:
        """Look."""
        message = ToolMessage("3 left", tool_call_id="call-1")
        in_the_tool.append(message.id)
        return message

    state = tools_only([get_stock]).invoke(asks(call("get_stock")))

    assert in_the_tool == [None]
    assert results(state)[0].id
