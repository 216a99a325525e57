"""What a tool raises reaches LangGraph exactly as without the guard, and so does what was wrong before it ran."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.tools import BaseTool, ToolException
from langgraph.errors import GraphBubbleUp, GraphDrained
from langgraph.types import Command, interrupt
from pydantic import BaseModel, ValidationError

from clawproof_langgraph import Coordinator, ToolPolicy
from tests.langgraph.scripted import asks, call

from .comparing import Ground, both_outcomes
from .stage import as_tool, guarded, use


class OutOfStock(Exception):
    """An error that cannot be made without its fact."""

    def __init__(self, *, sku: str) -> None:
        super().__init__(f"no {sku} left")
        self.sku = sku


class Line(BaseModel):
    count: int


def misread() -> ValidationError:
    """Make the error of a model that the tool itself reads."""
    try:
        Line(count="many")
    except ValidationError as error:
        return error
    raise AssertionError


def told(error: Exception) -> str:
    return f"told: {error}"


def told_of_stock(error: OutOfStock) -> str:
    return f"told of stock: {error}"


ERRORS: dict[str, Callable[[], BaseException]] = {
    "its own": lambda: OutOfStock(sku="a"),
    "of the transport": lambda: ConnectionError("reply lost"),
    "of a tool": lambda: ToolException("sold out"),
}
SETTINGS: dict[str, Any] = {
    "default": {},
    "all": {"handle_tool_errors": True},
    "none": {"handle_tool_errors": False},
    "text": {"handle_tool_errors": "try again"},
    "function": {"handle_tool_errors": told},
    "function of one type": {"handle_tool_errors": told_of_stock},
    "type": {"handle_tool_errors": OutOfStock},
    "types": {"handle_tool_errors": (OutOfStock, ToolException)},
}
OTHERS: dict[str, Callable[[], BaseException]] = {
    "a missing body": NotImplementedError,
    "a group": lambda: ExceptionGroup("both", [ValueError("one"), KeyError("two")]),
    "a validation in the body": misread,
    "a time-out": lambda: TimeoutError("slow"),
    "a drain": lambda: GraphDrained("deploy"),
    "a bubble": lambda: GraphBubbleUp("up"),
    "a recursion": lambda: RecursionError("too deep"),
    "an end of iteration": lambda: StopAsyncIteration("end"),
}


def raising(error: Callable[[], BaseException], face: str, **options: Any) -> Callable[[], list[BaseTool]]:
    def sell() -> str:
        """Sell."""
        raise error()

    return lambda: [as_tool(sell, face, **options)]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_handled_as_toolnode_was_told(ground: Ground, mode: str, setting: str, name: str) -> None:
    make = raising(ERRORS[name], mode)

    without, with_guard = both_outcomes(ground, make, mode, **SETTINGS[setting])

    assert with_guard == without


@pytest.mark.parametrize("name", OTHERS)
def test_an_unusual_error_keeps_its_type_and_text(ground: Ground, face: str, name: str) -> None:
    without, with_guard = both_outcomes(ground, raising(OTHERS[name], face), face)

    assert with_guard == without


@pytest.mark.parametrize("handling", [True, "sold out, sorry", told])
@pytest.mark.parametrize("name", ERRORS)
def test_a_tool_that_handles_its_own_errors_does_so(ground: Ground, face: str, handling: Any, name: str) -> None:
    make = raising(ERRORS[name], face, handle_tool_error=handling)

    without, with_guard = both_outcomes(ground, make, face)

    assert with_guard == without


@pytest.mark.parametrize("options", [{}, {"handle_validation_error": True}, {"handle_validation_error": "a number!"}])
@pytest.mark.parametrize("setting", ["default", "all", "none"])
@pytest.mark.parametrize("args", [{}, {"count": "many"}])
def test_arguments_that_fail_the_schema_are_reported_as_without_the_guard(
    ground: Ground, mode: str, options: Any, setting: str, args: Any
) -> None:
    def sell(count: int) -> str:
        """Sell."""
        return f"sold {count}"

    def make() -> list[BaseTool]:
        return [as_tool(sell, mode, **options)]

    without, with_guard = both_outcomes(ground, make, mode, asks(call("sell", **args)), **SETTINGS[setting])

    assert with_guard == without
    assert ground.coordinator.events() == []


@pytest.mark.parametrize("setting", ["default", "all"])
def test_an_interrupt_suspends_the_run_and_its_answer_arrives_where_it_was_asked(
    ground: Ground, face: str, setting: str
) -> None:
    def sell() -> str:
        """Sell what a human has approved, in two questions."""
        return f"{interrupt('sell?')} and {interrupt('sure?')}"

    def make() -> list[BaseTool]:
        return [as_tool(sell, face)]

    inputs = (asks(call("sell")), Command(resume="yes"), Command(resume="very"))
    without, with_guard = both_outcomes(ground, make, face, *inputs, **SETTINGS[setting])

    assert with_guard == without


def test_a_tool_that_is_not_there_is_reported_as_without_the_guard(ground: Ground, mode: str) -> None:
    def sell() -> str:
        """Sell."""
        return "sold"

    without, with_guard = both_outcomes(
        ground, lambda: [as_tool(sell, mode)], mode, asks(call("steal"), call("sell", "call-2"))
    )

    assert with_guard == without


@pytest.mark.parametrize("error", [StopIteration("end"), KeyboardInterrupt("ctrl-c"), SystemExit(3), GeneratorExit()])
def test_what_no_graph_could_carry_leaves_a_guarded_tool_as_the_same_object(
    coordinator: Coordinator, error: BaseException
) -> None:
    tool = guarded(coordinator, raising(lambda: error, "sync")()[0], ToolPolicy())

    with pytest.raises(type(error)) as caught:
        use(tool)

    assert caught.value is error
