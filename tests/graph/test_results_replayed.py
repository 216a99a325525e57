"""What a repetition gets: the result as the first call returned it, addressed to the call that asks."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langgraph.errors import ParentCommand
from langgraph.types import Command, Overwrite, Send, TimeoutPolicy

from clawproof_langgraph import Coordinator, ToolPolicy, codec
from clawproof_langgraph.graph import results
from tests.langgraph.scripted import call

from .stage import as_tool, guarded, use

ASKED = AIMessage("", id="ai-0", tool_calls=[call("look", "call-0"), call("look", "call-00")])
HISTORY = [HumanMessage("hi", id="h"), ASKED, ToolMessage("seen", tool_call_id="call-0", id="t")]


def answer(call_id: str = "call-1", **fields: Any) -> ToolMessage:
    return ToolMessage("sold", tool_call_id=call_id, **fields)


def repeated(coordinator: Coordinator, make: Callable[[], Any], call_id: str) -> Any:
    """Call a tool that returns this once, and give what a second call with this id gets."""
    times: list[str] = []

    def sell() -> Any:
        """Sell."""
        times.append("once")
        return make()

    tool = guarded(coordinator, as_tool(sell, "sync"), ToolPolicy(key="sale/1"))
    use(tool)
    again = use(tool, "sync", call_id)
    assert len(times) == 1
    return again


@pytest.mark.parametrize("call_id", ["call-1", "call-2"], ids=["the same call", "another call"])
@pytest.mark.parametrize("wrap", [list, Overwrite, tuple], ids=["a list", "an overwrite", "a tuple"])
def test_of_the_messages_in_a_command_only_the_answer_to_the_call_is_addressed_anew(
    coordinator: Coordinator, call_id: str, wrap: Any
) -> None:
    found = repeated(coordinator, lambda: Command(update={"messages": wrap([*HISTORY, answer(id="mine")])}), call_id)

    assert found.update["messages"] == wrap([*HISTORY, answer(call_id)])


def test_an_answer_in_the_history_to_an_earlier_call_of_the_same_id_stays(coordinator: Coordinator) -> None:
    """Models use ids again in later turns."""
    earlier = answer(id="t")
    found = repeated(coordinator, lambda: Command(update={"messages": [earlier, answer()]}), "call-1")
    assert [message.id for message in found.update["messages"]] == ["t", None]


def test_an_answer_that_goes_into_two_places_is_addressed_in_both(coordinator: Coordinator) -> None:
    found = repeated(coordinator, lambda: Command(update={"messages": [answer()], "log": [answer()]}), "call-2")
    assert found.update == {"messages": [answer("call-2")], "log": [answer("call-2")]}


def test_an_answer_before_those_to_other_calls_is_found_when_the_same_call_asks(coordinator: Coordinator) -> None:
    messages = [answer(), answer("call-9", id="other")]
    assert repeated(coordinator, lambda: Command(update={"messages": messages}), "call-1").update == {
        "messages": messages
    }


@pytest.mark.parametrize("call_id", ["call-1", "call-2"])
def test_a_message_and_those_in_a_list_are_addressed_to_the_call_that_asks(
    coordinator: Coordinator, call_id: str
) -> None:
    assert repeated(coordinator, lambda: answer(id="mine", artifact={1: "a"}), call_id) == answer(
        call_id, artifact={1: "a"}
    )
    assert results.readdress([answer(), Command(update=[("messages", [answer()])])], call_id) == [
        answer(call_id),
        Command(update=[("messages", [answer(call_id)])]),
    ]


STORED: dict[str, Any] = {
    "a tool's message": ToolMessage(
        [{"type": "text", "text": "a"}, {"$": "b"}],
        tool_call_id="1",
        artifact={"a": (1, 2)},
        status="error",
        name="n",
        id="i",
        additional_kwargs={"k": 1},
        response_metadata={"clawproof": {}},
    ),
    "a model's message": AIMessage(
        "",
        id="i",
        tool_calls=[call("sell", "1", sku="a")],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    ),
    "a person's message": HumanMessage("a", name="b"),
    "a system's message": SystemMessage("a"),
    "a removal": RemoveMessage(id="i"),
    "a command": Command(
        update={"a": Overwrite([1])}, goto=[Send("a", {"b": HumanMessage("c")}), "d"], resume={"e": 1}
    ),
    "a command to the parent": Command(graph=Command.PARENT, goto="a"),
    "a send with a time-out": Send("a", 1, timeout=3),
    "a send with a policy": Send("a", 1, timeout=TimeoutPolicy(idle_timeout=2, refresh_on="heartbeat")),
}


@pytest.mark.parametrize("value", STORED.values(), ids=STORED)
def test_what_langgraph_knows_comes_back_as_it_was(value: AnyMessage | Command | Send) -> None:
    found = codec.loads(codec.dumps(value))

    assert found == value
    assert repr(found) == repr(value)


def test_a_handoff_comes_back_with_the_very_constant_that_langgraph_asks_for() -> None:
    found = codec.loads(codec.dumps(ParentCommand(Command(graph=Command.PARENT, goto="a"))))

    assert isinstance(found, ParentCommand)
    assert found.args[0].graph is Command.PARENT


def test_the_text_of_a_message_which_is_what_an_agent_gives_as_a_tool_is_stored(coordinator: Coordinator) -> None:
    """It is no plain string: LangChain lets it be called, too."""
    found = repeated(coordinator, lambda: AIMessage("sold out").text, "call-2")
    assert (found.content, found.tool_call_id) == ("sold out", "call-2")
