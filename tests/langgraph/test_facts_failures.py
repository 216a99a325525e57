"""Which failures of a tool a wrapper sees as an exception, and which are hidden from it."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, ToolException, tool
from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest

from .scripted import Watcher, asks, both_hooks, call, play, results, tools_only

MODES = ["sync", "async"]


@tool
def fail() -> str:
    """Fail."""
    raise ConnectionError("reply lost")


@tool
def order(amount: int) -> str:
    """Order."""
    return "ordered"


def refusing(error: Exception) -> Callable[[ToolCallRequest], ToolCallRequest]:
    """Make a wrapper's step that raises."""

    def refuse(request: ToolCallRequest) -> ToolCallRequest:
        raise error

    return refuse


@pytest.mark.parametrize("mode", MODES)
def test_by_default_a_tools_exception_passes_the_wrapper_and_fails_the_run(mode: str) -> None:
    watcher = Watcher()

    with pytest.raises(ConnectionError, match="reply lost") as raised:
        play(tools_only(watcher.node([fail])), asks(call("fail")), mode=mode)

    assert watcher.errors == [raised.value]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("setting", [True, "Sorry.", (ConnectionError,), ConnectionError, lambda error: "Sorry."])
def test_when_tool_errors_are_handled_the_wrapper_sees_a_message_and_no_exception(mode: str, setting: Any) -> None:
    watcher = Watcher()

    play(tools_only(watcher.node([fail], handle_tool_errors=setting)), asks(call("fail")), mode=mode)

    assert watcher.errors == []
    (result,) = watcher.results
    assert isinstance(result, ToolMessage)
    assert result.status == "error"


@pytest.mark.parametrize("mode", MODES)
def test_when_only_other_errors_are_handled_the_wrapper_sees_the_exception(mode: str) -> None:
    watcher = Watcher()
    # The exception then leaves the wrapper, and there its type is no longer looked at.
    node = watcher.node([fail], handle_tool_errors=(KeyError,))

    state = play(tools_only(node), asks(call("fail")), mode=mode)

    assert [type(error) for error in watcher.errors] == [ConnectionError]
    assert [message.status for message in results(state)] == ["error"]


@pytest.mark.parametrize("mode", MODES)
def test_without_a_wrapper_an_exception_of_another_type_fails_the_run(mode: str) -> None:
    graph = tools_only(ToolNode([fail], handle_tool_errors=(KeyError,)))

    with pytest.raises(ConnectionError):
        play(graph, asks(call("fail")), mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_tool_that_handles_its_own_error_shows_the_wrapper_only_a_message(mode: str) -> None:
    def refuse() -> str:
        raise ToolException("out of stock")

    watcher = Watcher()
    handled = StructuredTool.from_function(refuse, description="Refuse.", handle_tool_error=True)

    play(tools_only(watcher.node([handled])), asks(call("refuse")), mode=mode)

    assert watcher.errors == []
    assert [(result.status, result.content) for result in watcher.results] == [("error", "out of stock")]


def test_a_tool_handles_only_tool_exceptions_itself() -> None:
    def refuse() -> str:
        raise ConnectionError("reply lost")

    handled = StructuredTool.from_function(refuse, description="Refuse.", handle_tool_error=True)

    with pytest.raises(ConnectionError):
        tools_only([handled]).invoke(asks(call("refuse")))


@pytest.mark.parametrize("mode", MODES)
def test_the_body_of_the_tool_is_where_a_hidden_exception_can_be_seen(mode: str) -> None:
    seen: list[BaseException] = []

    class Watched(StructuredTool):
        # BaseTool.run looks at the signature to know what to pass.
        @functools.wraps(StructuredTool._run)
        def _run(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return super()._run(*args, **kwargs)
            except BaseException as error:
                seen.append(error)
                raise

    watched = Watched.from_function(fail.func, name="fail", description="Fail.")
    play(tools_only(ToolNode([watched], handle_tool_errors=True)), asks(call("fail")), mode=mode)

    assert [type(error) for error in seen] == [ConnectionError]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("setting", [True, "Sorry.", (KeyError,), KeyError])
def test_whatever_a_wrapper_raises_becomes_a_message_under_any_truthy_setting(mode: str, setting: Any) -> None:
    node = ToolNode([fail], handle_tool_errors=setting, **both_hooks(refusing(PermissionError("killed"))))

    state = play(tools_only(node), asks(call("fail")), mode=mode)

    assert [message.status for message in results(state)] == ["error"]


@pytest.mark.parametrize("mode", MODES)
def test_a_callable_setting_with_an_annotated_type_is_called_with_whatever_a_wrapper_raises(mode: str) -> None:
    received: list[Exception] = []

    def handle(error: KeyError) -> str:
        received.append(error)
        return "Sorry."

    refusal = PermissionError("killed")
    node = ToolNode([fail], handle_tool_errors=handle, **both_hooks(refusing(refusal)))
    play(tools_only(node), asks(call("fail")), mode=mode)

    assert received == [refusal]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("settings", [{}, {"handle_tool_errors": False}], ids=["default", "False"])
def test_otherwise_what_a_wrapper_raises_fails_the_run(mode: str, settings: dict[str, Any]) -> None:
    refusal = PermissionError("killed")
    graph = tools_only(ToolNode([fail], **settings, **both_hooks(refusing(refusal))))

    with pytest.raises(PermissionError) as raised:
        play(graph, asks(call("fail")), mode=mode)

    assert raised.value is refusal


@pytest.mark.parametrize("mode", MODES)
def test_arguments_that_fail_the_schema_are_answered_inside_the_wrapper_by_default(mode: str) -> None:
    watcher = Watcher()

    play(tools_only(watcher.node([order])), asks(call("order", amount="many")), mode=mode)

    assert watcher.errors == []
    assert [result.status for result in watcher.results] == ["error"]
    assert "valid integer" in watcher.results[0].content


def test_arguments_that_fail_the_schema_never_reach_the_body() -> None:
    reached: list[Any] = []

    class Watched(BaseTool):
        name: str = "order"
        description: str = "Order."
        args_schema: Any = order.args_schema

        def _run(self, amount: int) -> str:
            reached.append(amount)
            return "ordered"

    tools_only([Watched()]).invoke(asks(call("order", amount="many")))
    tools_only([Watched()]).invoke(asks(call("order", amount="3")))

    assert reached == [3]
