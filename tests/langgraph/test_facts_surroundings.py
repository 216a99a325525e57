"""Where LangGraph keeps what is around a running task: its loop, retry policy, durability, and the graphs around it."""

import functools
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ToolRetryMiddleware
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, create_react_agent
from langgraph.pregel._loop import PregelLoop
from langgraph.types import RetryPolicy, Send

from .scripted import ScriptedModel, call, play, says, thread, tools_only

MODES = ["sync", "async"]
RETRY = RetryPolicy(initial_interval=0, jitter=False)
Look = Callable[[dict[str, Any]], None]


def looking(
    look: Look, *, timeout: float | None = None, retry: Any = None, defaults: Any = None, **compiled: Any
) -> Any:
    """Compile a graph with one node, which looks at its config."""

    def see(state: MessagesState) -> dict[str, Any]:
        look(get_config()["configurable"])
        return {}

    async def asee(state: MessagesState) -> dict[str, Any]:
        return see(state)

    builder = StateGraph(MessagesState)
    if defaults:
        builder.set_node_defaults(retry_policy=defaults)
    builder.add_node("look", asee if timeout else see, timeout=timeout, retry_policy=retry)
    builder.add_edge(START, "look")
    return builder.compile(**compiled)


def loop_of(configurable: dict[str, Any]) -> Any:
    return configurable["__pregel_call"].keywords["schedule_task"].__self__


def seen_by(mode: str, graph: Callable[[Look], Any], see: Callable[[dict[str, Any]], Any], **options: Any) -> Any:
    """Run a graph in a thread, and give what its node sees."""
    seen: list[Any] = []
    play(graph(lambda configurable: seen.append(see(configurable))), {"messages": []}, thread(), mode=mode, **options)
    return seen[-1]


@pytest.mark.parametrize("mode", MODES)
def test_the_loop_of_a_task_is_the_owner_of_the_method_that_schedules_tasks(mode: str) -> None:
    assert isinstance(seen_by(mode, looking, loop_of), PregelLoop)


def test_in_a_node_with_a_timeout_the_call_is_in_the_closure_of_another() -> None:
    def held(configurable: dict[str, Any]) -> list[Any]:
        return [cell.cell_contents for cell in configurable["__pregel_call"].__closure__]

    found = seen_by("async", functools.partial(looking, timeout=30), held)

    [inner] = [each for each in found if isinstance(each, functools.partial)]
    assert isinstance(inner.keywords["schedule_task"].__self__, PregelLoop)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("given", "kept"), [({}, "async"), ({"durability": "sync"}, "sync"), ({"durability": "exit"}, "exit")]
)
def test_a_loop_knows_its_durability_and_its_checkpointer(mode: str, given: dict[str, Any], kept: str) -> None:
    saver = InMemorySaver()

    loop = seen_by(mode, functools.partial(looking, checkpointer=saver), loop_of, **given)

    assert (loop.durability, loop.checkpointer) == (kept, saver)


@pytest.mark.parametrize("mode", MODES)
def test_a_graph_inside_another_has_its_durability_and_finds_the_checkpointer_that_it_does_without(mode: str) -> None:
    saver = InMemorySaver()

    def around(look: Look) -> Any:
        return nested(looking(look, checkpointer=False), checkpointer=saver)

    def see(at: dict[str, Any]) -> Any:
        return loop_of(at).durability, loop_of(at).checkpointer, at["__pregel_checkpointer"]

    assert seen_by(mode, around, see, durability="exit") == ("exit", None, saver)


def nested(inner: Any, *, retry: Any = None, **compiled: Any) -> Any:
    """Compile a graph with a node that is another graph."""
    builder = StateGraph(MessagesState)
    builder.add_node("agent", inner, retry_policy=retry)
    builder.add_edge(START, "agent")
    return builder.compile(**compiled)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("policies", [{"retry": RETRY}, {"retry": [RETRY]}, {"defaults": RETRY}])
def test_a_task_has_the_retry_policy_of_its_node_or_of_all_nodes(mode: str, policies: dict[str, Any]) -> None:
    def see(at: dict[str, Any]) -> Any:
        task = loop_of(at).tasks[at["__pregel_task_id"]]
        return task.name, list(task.retry_policy)

    assert seen_by(mode, functools.partial(looking, **policies), see) == ("look", [RETRY])


def test_a_task_of_the_functional_api_has_its_own_retry_policy() -> None:
    seen: list[Any] = []

    def see() -> None:
        at = get_config()["configurable"]
        task = loop_of(at).tasks[at["__pregel_task_id"]]
        seen.append((task.name, list(task.retry_policy)))

    @task(retry_policy=RETRY)
    def work() -> None:
        see()

    @entrypoint()
    def run(_: int) -> None:
        see()
        work().result()

    run.invoke(1)

    assert seen == [("run", []), ("work", [RETRY])]
    assert (work.func.__name__, list(work.retry_policy)) == ("work", [RETRY])


@pytest.mark.parametrize("mode", MODES)
def test_a_loop_keeps_the_config_of_the_task_around_its_graph(mode: str) -> None:
    def see(at: dict[str, Any]) -> Any:
        around = loop_of(at).config["configurable"]
        task = loop_of(around).tasks[around["__pregel_task_id"]]
        top = loop_of(around).config["configurable"]
        names = [name.partition(":")[0] for name in loop_of(at).checkpoint_ns]
        return task.name, list(task.retry_policy), names, top.get("__pregel_call")

    assert seen_by(mode, lambda look: nested(looking(look), retry=RETRY), see) == ("agent", [RETRY], ["agent"], None)


@pytest.mark.parametrize("mode", MODES)
def test_a_loop_has_the_nodes_of_the_compiled_graph_which_can_be_held_weakly(mode: str) -> None:
    compiled: list[Any] = []

    def build(look: Look) -> Any:
        compiled.append(looking(look))
        return compiled[0]

    node = seen_by(mode, build, lambda at: weakref.ref(loop_of(at).nodes["look"]))()

    assert node is compiled[0].nodes["look"]
    assert type(node).__eq__ is object.__eq__


def test_the_runnable_of_a_node_is_its_tool_node() -> None:
    node = ToolNode([pay])

    assert tools_only(node, node={"retry_policy": RETRY}).nodes["tools"].bound is node
    assert list(tools_only(node, node={"retry_policy": RETRY}).nodes["tools"].retry_policy) == [RETRY]


@tool
def pay() -> str:
    """Pay."""
    return "paid"


def sent(state: MessagesState) -> list[Send]:
    return [Send("tools", [each]) for each in state["messages"][-1].tool_calls]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("route", "together"), [(lambda state: "tools", 2), (sent, 1)], ids=["by an edge", "sent"])
def test_a_task_keeps_its_input_of_which_the_tool_node_knows_the_calls(mode: str, route: Any, together: int) -> None:
    seen: list[tuple[int, bool]] = []

    @tool
    def look(config: RunnableConfig) -> str:
        """See what the task is for."""
        at = config["configurable"]
        calls, _ = node._parse_input(loop_of(at).tasks[at["__pregel_task_id"]].input)
        seen.append((len(calls), calls[0]["name"] == "look"))
        return "seen"

    node = ToolNode([look])
    builder = StateGraph(MessagesState)
    builder.add_node("tools", node)
    builder.add_conditional_edges(START, route, ["tools"])
    play(builder.compile(), {"messages": [says(call("look", "1"), call("look", "2"))]}, thread(), mode=mode)

    assert seen == [(together, True)] * 2


@pytest.mark.parametrize(
    ("configurable", "told"), [({}, False), ({"graph_id": "shop"}, True), ({"assistant_id": "a"}, True)]
)
def test_a_run_of_langgraph_server_tells_so(configurable: dict[str, Any], told: bool) -> None:
    seen: list[Any] = []
    graph = looking(lambda at: seen.append(at["__pregel_runtime"].server_info))

    graph.invoke({"messages": []}, {"configurable": configurable})

    assert [info is not None for info in seen] == [told]


@pytest.mark.filterwarnings("ignore::langgraph.warnings.LangGraphDeprecatedSinceV10")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", [create_agent, create_react_agent])
def test_an_agent_sends_each_call_to_a_task_of_its_own_whose_input_tells_so(mode: str, make: Any) -> None:
    seen: list[Any] = []

    @tool
    def look() -> str:
        """Look."""
        configurable = get_config()["configurable"]
        seen.append(loop_of(configurable).tasks[configurable["__pregel_task_id"]].input)
        return "seen"

    model = ScriptedModel(replies=[says(call("look", "1"), call("look", "2")), says(text="done")])
    play(make(model, [look]), {"messages": [HumanMessage("go")]}, mode=mode)

    assert len(seen) == 2
    for value in seen:
        is_list = isinstance(value, list) and len(value) == 1
        assert is_list or value["__type"] == "tool_call_with_context"


def test_a_tool_retry_middleware_knows_the_names_of_its_tools() -> None:
    assert ToolRetryMiddleware()._tool_filter is None
    assert ToolRetryMiddleware(tools=[pay, "ship"])._tool_filter == ["pay", "ship"]


@pytest.mark.parametrize("checkpointer", [None, InMemorySaver])
@pytest.mark.parametrize("mode", MODES)
def test_a_retry_policy_around_an_agent_asks_its_model_anew_and_pays_twice(mode: str, checkpointer: Any) -> None:
    """Also with checkpoints: an attempt is given the input of the node, and so begins."""
    paid: list[int] = []
    breaks = [ConnectionError("the model is not reached")]

    @tool
    def pay() -> str:
        """Pay."""
        paid.append(1)
        return "paid"

    class Unreliable(ScriptedModel):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            if len(paid) == 1 and breaks:
                raise breaks.pop()
            return super()._generate(*args, **kwargs)

    replies = [says(call("pay", "1")), says(call("pay", "2")), says(text="done")]
    agent = create_agent(Unreliable(replies=replies), [pay])
    graph = nested(agent, retry=RETRY, checkpointer=checkpointer and checkpointer())

    play(
        graph,
        {"messages": [HumanMessage("pay")]},
        thread(),
        mode=mode,
        **({"durability": "sync"} if checkpointer else {}),
    )

    assert len(paid) == 2
