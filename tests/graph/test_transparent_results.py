"""What a tool returns reaches LangGraph exactly as without the guard."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, RemoveMessage, ToolMessage
from langgraph.graph import END
from langgraph.types import Command, Overwrite

from tests.langgraph.scripted import asks, call

from .comparing import Ground, both_outcomes
from .stage import as_tool


class Receipt:
    """Something that no store can hold."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Receipt) and other.number == self.number

    def __hash__(self) -> int:
        return self.number

    def __repr__(self) -> str:
        return f"receipt {self.number}"


def answer(text: str = "sold", **fields: Any) -> ToolMessage:
    return ToolMessage(text, **{"tool_call_id": "call-1", **fields})


RESULTS: dict[str, Callable[[], Any]] = {
    "text": lambda: "sold",
    "empty text": lambda: "",
    "nothing": lambda: None,
    "a number": lambda: 3,
    "a truth": lambda: False,
    "a mapping": lambda: {"sku": "a", "left": [1, 2], "price": 1.5},
    "texts": lambda: ["a", "b"],
    "a pair": lambda: ("a", "b"),
    "an empty list": list,
    "content blocks": lambda: [
        {"type": "text", "text": "sold"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    ],
    "an object": lambda: Receipt(7),
    "a message": lambda: answer(
        artifact=Receipt(7),
        name="another",
        id="mine",
        additional_kwargs={"shelf": 3},
        response_metadata={"model": "x"},
    ),
    "a message of an error": lambda: answer("sold out", status="error"),
    "a message to another call": lambda: answer(tool_call_id="call-9"),
    "a command": lambda: Command(update={"messages": [answer(artifact={"left": 3})]}),
    "a command that goes elsewhere": lambda: Command(update={"messages": [answer()]}, goto=END),
    "a command with more messages": lambda: Command(update={"messages": [answer(), HumanMessage("thanks", id="h")]}),
    "a command that overwrites": lambda: Command(update={"messages": Overwrite([answer()])}),
    "a command that removes": lambda: Command(update={"messages": [RemoveMessage(id="ai-1"), answer()]}),
    "a command without an answer": lambda: Command(update={}),
    "a command and a message": lambda: [Command(update={"messages": [HumanMessage("hm", id="h")]}), answer()],
    "messages": lambda: [answer("one", id="m1"), answer("two", id="m2")],
    "a command to no graph": lambda: Command(graph="nowhere", goto=END),
}

PAIRS: dict[str, Callable[[], Any]] = {
    "text and an object": lambda: ("sold", Receipt(7)),
    "blocks and nothing": lambda: ([{"type": "text", "text": "sold"}], None),
    "text without an artifact": lambda: "sold",
    "a list for a pair": lambda: ["sold", Receipt(7)],
    "three parts": lambda: ("sold", 1, 2),
    "a message": lambda: answer(artifact=1),
    "a command": lambda: Command(update={"messages": [answer()]}),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_what_it_is_without_the_guard(ground: Ground, face: str, name: str) -> None:
    def sell() -> Any:
        """Sell."""
        return RESULTS[name]()

    without, with_guard = both_outcomes(ground, lambda: [as_tool(sell, face)], face)

    assert with_guard == without


@pytest.mark.parametrize("name", PAIRS)
def test_content_and_artifact_are_what_they_are_without_the_guard(ground: Ground, face: str, name: str) -> None:
    def sell() -> Any:
        """Sell."""
        return PAIRS[name]()

    def make() -> list[Any]:
        return [as_tool(sell, face, response_format="content_and_artifact")]

    without, with_guard = both_outcomes(ground, make, face)

    assert with_guard == without


def test_the_calls_of_one_message_are_answered_in_their_order(ground: Ground, face: str) -> None:
    def sell(sku: str) -> str:
        """Sell."""
        return f"sold {sku}"

    def count() -> tuple[str, Receipt]:
        """Count."""
        return "1", Receipt(1)

    def make() -> list[Any]:
        return [as_tool(sell, face), as_tool(count, face, response_format="content_and_artifact")]

    calls = asks(call("sell", "1", sku="a"), call("count", "2"), call("sell", "3", sku="b"), call("sell", "4", sku="a"))
    without, with_guard = both_outcomes(ground, make, face, calls)

    assert with_guard[0] == without[0]
    assert sorted(map(str, with_guard[1])) == sorted(map(str, without[1]))
