"""How a tool can be copied and given other insides, and in which thread those run."""

import functools
from typing import Annotated, Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, Tool, tool
from langgraph.prebuilt import InjectedState, ToolNode, ToolRuntime

from .scripted import asks, call, play, results, tools_only

MODES = ["sync", "async"]

events: list[str] = []


@pytest.fixture(autouse=True)
def _no_events() -> None:
    events.clear()


def with_other_insides(original: BaseTool) -> BaseTool:
    """Copy a tool, and let a subclass of its own class tell what is called."""
    kind = type(original)

    class Told(kind):  # type: ignore[misc, valid-type]
        def run(self, *args: Any, **kwargs: Any) -> Any:
            events.append("run")
            return super().run(*args, **kwargs)

        async def arun(self, *args: Any, **kwargs: Any) -> Any:
            events.append("arun")
            return await super().arun(*args, **kwargs)

        @functools.wraps(kind._run)
        def _run(self, *args: Any, **kwargs: Any) -> Any:
            events.append("_run")
            return super()._run(*args, **kwargs)

    class ToldAsync(Told):
        @functools.wraps(kind._arun)
        async def _arun(self, *args: Any, **kwargs: Any) -> Any:
            events.append("_arun")
            return await super()._arun(*args, **kwargs)

    copy = original.model_copy()
    # Where a tool has no async body of its own, the inherited one must stay: BaseTool.arun asks for it by identity.
    copy.__class__ = Told if kind._arun is BaseTool._arun else ToldAsync
    return copy


@tool(response_format="content_and_artifact")
def weigh(
    sku: str,
    runtime: ToolRuntime,
    messages: Annotated[list, InjectedState("messages")],
    config: RunnableConfig,
    unit: str = "kg",
) -> tuple[str, Any]:
    """Weigh."""
    node = config["metadata"]["langgraph_node"]
    return f"{sku} in {unit}", (runtime.tool_call_id, len(messages), node)


@tool(response_format="content_and_artifact")
async def weigh_later(
    sku: str,
    runtime: ToolRuntime,
    messages: Annotated[list, InjectedState("messages")],
    config: RunnableConfig,
    unit: str = "kg",
) -> tuple[str, Any]:
    """Weigh."""
    node = config["metadata"]["langgraph_node"]
    return f"{sku} in {unit}", (runtime.tool_call_id, len(messages), node)


class Scale(BaseTool):
    """A tool by subclassing, as vendors write them."""

    name: str = "scale"
    description: str = "Weigh."
    response_format: Any = "content_and_artifact"

    def _run(
        self,
        sku: str,
        runtime: ToolRuntime,
        messages: Annotated[list, InjectedState("messages")],
        config: RunnableConfig,
        unit: str = "kg",
    ) -> tuple[str, Any]:
        node = config["metadata"]["langgraph_node"]
        return f"{sku} in {unit}", (runtime.tool_call_id, len(messages), node)


@pytest.mark.parametrize(
    ("mode", "original", "told"),
    [
        ("sync", weigh, ["run", "_run"]),
        ("sync", Scale(), ["run", "_run"]),
        ("async", weigh, ["run", "_run"]),
        ("async", weigh_later, ["arun", "_arun"]),
        ("async", Scale(), ["arun", "_run"]),
    ],
)
def test_a_copy_with_other_insides_answers_as_the_original(mode: str, original: BaseTool, told: list[str]) -> None:
    asked = asks(call(original.name, "call-7", sku="a"))
    (expected,) = results(play(tools_only([original]), asked, mode=mode))

    copy = with_other_insides(original)
    (message,) = results(play(tools_only([copy]), asked, mode=mode))

    assert events == told
    assert message.artifact == expected.artifact == ("call-7", 1, "tools")
    assert message.content == expected.content == "a in kg"


def test_a_copy_keeps_its_class_its_fields_and_its_schema() -> None:
    copy = with_other_insides(weigh)

    assert isinstance(copy, StructuredTool)
    assert copy.func is weigh.func
    assert copy.args_schema is weigh.args_schema
    assert copy.tool_call_schema.model_json_schema() == weigh.tool_call_schema.model_json_schema()
    assert list(copy.args) == ["sku", "unit"]


def test_the_original_of_a_copy_is_as_before() -> None:
    with_other_insides(weigh)

    tools_only([weigh]).invoke(asks(call("weigh", sku="a")))

    assert events == []
    assert type(weigh) is StructuredTool


def test_a_single_input_tool_can_be_copied_too() -> None:
    copy = with_other_insides(Tool("echo", lambda text: text, description="Echo."))

    (message,) = results(tools_only([copy]).invoke(asks(call("echo", __arg1="hi"))))

    assert message.content == "hi"
    assert events == ["run", "_run"]


def test_an_inner_run_that_hides_its_signature_gets_no_config() -> None:
    class Careless(StructuredTool):
        def _run(self, *args: Any, **kwargs: Any) -> Any:
            events.extend(sorted(kwargs))
            return "ran"

    class Careful(StructuredTool):
        @functools.wraps(StructuredTool._run)
        def _run(self, *args: Any, **kwargs: Any) -> Any:
            events.extend(sorted(kwargs))
            return "ran"

    def greet(whom: str) -> str:
        return whom

    Careless.from_function(greet, description="Greet.").invoke({"whom": "Ada"})
    assert events == ["whom"]

    events.clear()
    Careful.from_function(greet, description="Greet.").invoke({"whom": "Ada"})
    assert events == ["config", "run_manager", "whom"]


async def test_a_tool_that_replaces_the_inherited_async_body_gets_no_config_in_its_sync_one() -> None:
    class Careless(Scale):
        @functools.wraps(BaseTool._arun)
        async def _arun(self, *args: Any, **kwargs: Any) -> Any:
            return await super()._arun(*args, **kwargs)

    assert await tools_only([Scale()]).ainvoke(asks(call("scale", sku="a")))
    with pytest.raises(TypeError, match="'config'"):
        await tools_only([Careless()]).ainvoke(asks(call("scale", sku="a")))


async def test_a_copy_of_a_sync_function_never_reaches_arun() -> None:
    await tools_only([with_other_insides(weigh)]).ainvoke(asks(call("weigh", sku="a")))

    assert "arun" not in events


@pytest.mark.parametrize("mode", MODES)
def test_a_tool_that_answers_with_its_own_message_keeps_all_its_fields(mode: str) -> None:
    own = ToolMessage("own", tool_call_id="call-1", artifact=[1], response_metadata={"fence": 3}, id="m-1")

    @tool
    def answer() -> ToolMessage:
        """Answer."""
        return own

    (message,) = results(play(tools_only(ToolNode([answer])), asks(call("answer")), mode=mode))

    assert (message.artifact, message.response_metadata, message.id) == ([1], {"fence": 3}, "m-1")
