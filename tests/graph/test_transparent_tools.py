"""Every kind of tool, and everything that LangGraph injects, works guarded as it does unguarded."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForToolRun
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, Tool
from langgraph.config import get_config, get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, InjectedStore, ToolNode, ToolRuntime
from langgraph.store.base import BaseStore
from langgraph.types import Command
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from clawproof_langgraph import ConfigurationError, Coordinator, Guard, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import asks, call, play, results, tools_only

from .comparing import Ground, both_outcomes
from .lending import Lending
from .stage import as_tool, guarded, human, turn, use


class OwnBodies(BaseTool):
    """A tool with a body for each mode."""

    name: str = "own"
    description: str = "Works."

    def _run(self, count: int, run_manager: CallbackManagerForToolRun | None = None) -> str:
        return f"sync {count} {run_manager is not None}"

    async def _arun(self, count: int) -> str:
        return f"async {count}"


class OwnSyncBody(BaseTool):
    """A tool with a sync body only, which takes its config."""

    name: str = "own"
    description: str = "Works."

    def _run(self, count: int, *, config: RunnableConfig) -> str:
        return f"sync {count} {config['configurable']['thread_id']}"


class FallsBack(BaseTool):
    """A tool whose async body is its sync one, as many write it."""

    name: str = "own"
    description: str = "Works."

    def _run(self, count: int) -> str:
        return f"sync {count}"

    async def _arun(self, count: int) -> str:
        return self._run(count)


class Count(BaseModel):
    count: int


class OwnUnknownTypes(BaseTool):
    """A tool with an annotation that only a type checker can read."""

    name: str = "own"
    description: str = "Works."
    args_schema: type[BaseModel] = Count

    def _run(self, count: "Anything", config: RunnableConfig | None = None) -> str:  # type: ignore # noqa: F821
        return f"sync {count} {config}"


class Sku(BaseModel):
    code: str = Field(alias="sku-code")
    shelf: int = 1


SCHEMA = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}


def plain(count: int) -> str:
    """Work."""
    return f"plain {count!r}"


async def aplain(count: int) -> str:
    """Work."""
    return f"async {count!r}"


def any_arguments(**given: Any) -> str:
    """Work."""
    return f"given {sorted(given.items())}"


def of_models(sku: Sku, skus: list[Sku], note: str = "none") -> str:
    """Work."""
    return f"{sku!r} {skus!r} {note}"


KINDS: dict[str, tuple[Callable[[], BaseTool], dict[str, Any]]] = {
    "a class with both bodies": (OwnBodies, {"count": 2}),
    "a class with a sync body": (OwnSyncBody, {"count": 2}),
    "a class that falls back": (FallsBack, {"count": 2}),
    "a class with unknown types": (OwnUnknownTypes, {"count": 2}),
    "a class called wrongly": (OwnBodies, {"count": "many"}),
    "both functions": (lambda: StructuredTool.from_function(plain, aplain, name="own"), {"count": 2}),
    "a JSON schema": (
        lambda: StructuredTool(name="own", description="Works.", func=any_arguments, args_schema=SCHEMA),
        {"count": 2},
    ),
    "a single input": (lambda: Tool("own", str.upper, "Works."), {"__arg1": "text"}),
    "models": (
        lambda: StructuredTool.from_function(of_models, name="own"),
        {"sku": {"sku-code": "a"}, "skus": [{"sku-code": "b", "shelf": 2}]},
    ),
    "too many arguments": (lambda: StructuredTool.from_function(plain, name="own"), {"count": 2, "more": 3}),
    "an answer for the user": (
        lambda: StructuredTool.from_function(plain, name="own", return_direct=True),
        {"count": 2},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tool_answers_as_without_the_guard(ground: Ground, mode: str, kind: str) -> None:
    make, args = KINDS[kind]

    without, with_guard = both_outcomes(ground, lambda: [make()], mode, asks(call("own", **args)))

    assert with_guard == without


@pytest.mark.parametrize("kind", KINDS)
def test_langchain_reads_the_hints_of_a_guarded_body_as_those_of_the_tool_but_resolves_none_at_a_call(
    coordinator: Coordinator, kind: str
) -> None:
    tool = KINDS[kind][0]()
    copy = guarded(coordinator, tool, ToolPolicy())
    # LangChain looks at the sync body of a tool that has no async one.
    pairs = [(tool._run, copy._run), (tool._run if type(tool)._arun is BaseTool._arun else tool._arun, copy._arun)]
    for own, made in pairs:
        assert inspect.signature(made) == inspect.signature(own)
        if kind == "a class with unknown types":
            continue
        assert get_type_hints(made, include_extras=True) == get_type_hints(own, include_extras=True)
        assert not any(isinstance(hint, str) for hint in made.__annotations__.values())
        assert "__signature__" in vars(made.__func__)


def see_all(
    sku: str,
    state: Annotated[dict[str, Any], InjectedState],
    messages: Annotated[list[Any], InjectedState("messages")],
    store: Annotated[BaseStore, InjectedStore],
    call_id: Annotated[str, InjectedToolCallId],
    runtime: ToolRuntime,
    config: RunnableConfig,
) -> str:
    """See all that LangGraph hands to a tool."""
    tax = store.get(("shop",), "tax")
    langgraph_node = get_config()["metadata"]["langgraph_node"]
    from_runtime = (runtime.tool_call_id, runtime.state == state, [tool.name for tool in runtime.tools])
    injected = (sorted(state), messages[-1].id, tax and tax.value, call_id, config["configurable"]["thread_id"])
    return repr((sku, injected, from_runtime, langgraph_node))


def test_what_langgraph_injects_arrives(ground: Ground, face: str) -> None:
    def make() -> list[BaseTool]:
        return [as_tool(see_all, face)]

    calls = asks(call("see_all", sku="a"))
    without, with_guard = both_outcomes(ground, make, face, calls)

    assert with_guard == without
    assert "'a'" in str(without) and "'rate': 7" in str(without)


class Asked(BaseModel):
    """A schema in which the runtime is for LangGraph to give, though nothing but its name says so."""

    sku: str
    runtime: Annotated[Any, SkipJsonSchema()] = None


@pytest.mark.parametrize("schema", [None, Asked])
def test_a_runtime_that_is_injected_by_its_name_alone_is_none_of_the_arguments(
    ground: Ground, face: str, schema: Any
) -> None:
    def sell(sku: str, runtime: Any = None) -> str:
        """Sell."""
        return f"{sku} {type(runtime).__name__} {runtime.tool_call_id}"

    def make() -> list[BaseTool]:
        return [as_tool(sell, face, args_schema=schema)]

    calls = asks(call("sell", "call-1", sku="a"))
    (without, _), (with_guard, _) = both_outcomes(ground, make, face, calls)  # the callbacks get a runtime of each run

    assert with_guard == without
    assert "a ToolRuntime call-1" in str(without)


def test_a_tool_streams_what_it_writes(ground: Ground) -> None:
    def sell() -> str:
        """Sell."""
        get_stream_writer()({"sold": 1})
        return "sold"

    graph = tools_only(ground.guarded([as_tool(sell, "sync")]))

    assert list(graph.stream(asks(call("sell")), stream_mode="custom")) == [{"sold": 1}]


def test_a_handoff_leaves_the_sub_agent_as_without_the_guard(ground: Ground, face: str) -> None:
    def hand_over(call_id: Annotated[str, InjectedToolCallId]) -> Command:
        """Hand over."""
        update = {"messages": [ToolMessage("handed over", tool_call_id=call_id)]}
        return Command(graph=Command.PARENT, goto="human", update=update)

    def parent_of(node: ToolNode) -> Any:
        builder = StateGraph(MessagesState)
        builder.add_node("agent", tools_only(node), destinations=("human",))
        builder.add_node("human", lambda state: {"messages": [AIMessage("taken over", id="h")]})
        builder.add_edge(START, "agent")
        builder.add_edge("human", END)
        return builder.compile()

    def contents(node: ToolNode) -> list[Any]:
        mode = "sync" if face == "sync" else "async"
        state = play(parent_of(node), asks(call("hand_over")), mode=mode)
        return [(message.type, message.content) for message in state["messages"]]

    tools = [as_tool(hand_over, face)]
    with_guard = contents(ground.guarded(tools))

    assert with_guard == contents(ground.plain(tools))
    assert with_guard[-1] == ("ai", "taken over")


@pytest.mark.parametrize("guard_outside", [True, False])
def test_a_tool_that_an_inner_or_outer_middleware_supplies_is_guarded_and_answers_alike(
    coordinator: Coordinator, face: str, guard_outside: bool
) -> None:
    def borrowed(count: int) -> str:
        """Work."""
        return f"borrowed {count}"

    def known() -> str:
        """Be there from the start."""
        return "known"

    tool, mode = as_tool(borrowed, face), "sync" if face == "sync" else "async"
    names = {"borrowed": ToolPolicy(locks=["thing/{count}"]), "known": ToolPolicy()}
    ours, lending = CoordinationMiddleware(Guard(coordinator, tools=names)), Lending(tool)
    answers = []
    for middleware in ([lending], [ours, lending] if guard_outside else [lending, ours]):
        agent = create_agent(turn(call("borrowed", count=2)), [as_tool(known, face)], middleware=middleware)
        (answer,) = results(play(agent, human(), mode=mode))
        answers.append((answer.content, answer.status, answer.name))

    assert answers[0] == answers[1]
    assert [event.resources for event in coordinator.events(types=["call.done"])] == [("thing/2",)]


def test_an_async_only_tool_called_with_invoke_is_the_error_that_it_is_and_names_the_remedy(ground: Ground) -> None:
    tool = as_tool(plain, "async")
    calls = asks(call("plain", count=2))

    with pytest.raises(NotImplementedError):
        tools_only(ground.plain([tool])).invoke(calls)
    with pytest.raises(NotImplementedError) as caught:
        tools_only(ground.guarded([tool])).invoke(calls)

    assert isinstance(caught.value, ConfigurationError)
    assert '"plain" is async only' in str(caught.value) and "ainvoke" in str(caught.value)
    assert ground.coordinator.events() == []


def test_a_guarded_copy_is_of_its_tools_class_and_describes_itself_alike(coordinator: Coordinator) -> None:
    for make, _ in KINDS.values():
        tool = make()
        copy = guarded(coordinator, tool, ToolPolicy())

        assert isinstance(copy, type(tool))
        assert type(copy).__name__ == type(tool).__name__
        assert (copy.name, copy.description, copy.args) == (tool.name, tool.description, tool.args)
        assert copy.get_input_jsonschema() == tool.get_input_jsonschema()
        assert copy.return_direct == tool.return_direct


@pytest.mark.parametrize("args", [{"count": 2}, "3"])
def test_a_guarded_tool_called_with_plain_arguments_gives_its_plain_value(
    coordinator: Coordinator, face: str, args: Any
) -> None:
    tool = as_tool(plain, face)
    copy = guarded(coordinator, tool, ToolPolicy())

    def plain_value(called: BaseTool) -> Any:
        return called.invoke(args) if face == "sync" else asyncio.run(called.ainvoke(args))

    assert plain_value(copy) == plain_value(tool)


def test_the_original_tool_stays_unguarded(coordinator: Coordinator) -> None:
    tool = as_tool(plain, "sync")
    guarded(coordinator, tool, ToolPolicy())

    use(tool, count=2)

    assert coordinator.events() == []
