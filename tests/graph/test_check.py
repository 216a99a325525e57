"""What `guard.check(graph)` finds in a compiled graph, wherever its tools are, before anything runs."""

import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from clawproof_langgraph import ConfigurationError, Coordinator, Guard, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import tools_only

from .stage import as_tool
from .surrounding import RETRY, Shop, inside
from .test_surroundings import SURROUNDED, retry_middleware

Build = Callable[[Shop], Any]


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    """Give one store: a check has nothing to do with which."""
    with Coordinator.from_url("memory://") as made:
        yield made


@pytest.fixture
def shop(coordinator: Coordinator) -> Shop:
    """Give a guard over one payment."""
    return Shop(coordinator)


def found(shop: Shop, graph: Any) -> list[tuple[str, str]]:
    """List the kinds of what a check finds, and where."""
    return [(finding.kind, finding.where) for finding in shop.guard.check(graph)]


@pytest.mark.parametrize("name", SURROUNDED)
def test_a_check_finds_what_a_run_would_warn_of(shop: Shop, name: str) -> None:
    build, warning = SURROUNDED[name]

    [finding] = shop.guard.check(build(shop))

    assert str(finding).startswith(warning)
    assert str(finding) == f"{finding.what} {finding.remedy}"
    assert '"pay"' in finding.what and ("ToolPolicy(retry=...)" in finding.remedy or "`key`" in finding.remedy)


def test_a_check_finds_nothing_where_nothing_is_wrong(shop: Shop) -> None:
    for graph in (shop.loop(), shop.agent(), inside(shop.agent(checkpointer=None))):
        assert shop.guard.check(graph) == []


def test_only_a_compiled_graph_can_be_checked(shop: Shop) -> None:
    with pytest.raises(ConfigurationError, match=r"call compile\(\) first"):
        shop.guard.check(StateGraph(MessagesState))


# --- where agents are -------------------------------------------------------------------------------------------


class Desk:
    """A node that is an object with an agent."""

    def __init__(self, agent: Any) -> None:
        self.agents = {"buyer": [agent]}

    def __call__(self, state: Any) -> Any:
        return self.agents["buyer"][0].invoke(state)

    def work(self, state: Any) -> Any:
        return self(state)


def in_a_closure(agent: Any) -> Any:
    def work(state: Any) -> Any:
        return agent.invoke(state)

    return work


def in_a_function_of_a_closure(agent: Any) -> Any:
    helper = in_a_closure(agent)

    def work(state: Any) -> Any:
        return dict(map(helper, [state]))

    return work


def in_a_global(agent: Any) -> Any:
    text = "async def work(state):\n    async def ask(): return await agent.ainvoke(state)\n    return await ask()"
    names: dict[str, Any] = {"agent": agent, "__name__": "shop"}
    exec(text, names)
    return names["work"]


def in_a_default(agent: Any) -> Any:
    def work(state: Any, *, agent: Any = agent) -> Any:
        return agent.invoke(state)

    return work


def in_a_partial(agent: Any) -> Any:
    def work(state: Any, agent: Any) -> Any:
        return agent.invoke(state)

    return functools.partial(work, agent=agent)


HOMES: dict[str, Callable[[Any], Any]] = {
    "the agent itself": lambda agent: agent,
    "a sequence": lambda agent: agent | (lambda state: state),
    "a closure": in_a_closure,
    "a function of a closure": in_a_function_of_a_closure,
    "a global": in_a_global,
    "a default": in_a_default,
    "a partial": in_a_partial,
    "an object": Desk,
    "a method": lambda agent: Desk(agent).work,
}


@pytest.mark.parametrize("home", HOMES)
def test_an_agent_is_found_wherever_a_node_holds_it(shop: Shop, home: str) -> None:
    node = HOMES[home](shop.agent(retry_middleware(), CoordinationMiddleware(shop.guard), checkpointer=None))

    assert found(shop, inside(node)) == [("tool-retry-middleware", "agent > tools")]
    assert ("agent-retried", "agent") in found(shop, inside(node, retry=RETRY))


def test_an_agent_is_found_in_a_tool_of_another(shop: Shop, coordinator: Coordinator) -> None:
    agent = shop.agent(retry_middleware(), CoordinationMiddleware(shop.guard), checkpointer=None)

    @tool
    def order() -> str:
        """Have the agent order."""
        return str(agent.invoke({"messages": []}))

    other = Guard(coordinator, tools={"order": ToolPolicy(effect="delegate")})
    graph = tools_only(other.tool_node([order]), node={"retry_policy": RETRY}, checkpointer=InMemorySaver())

    assert found(shop, graph) == [
        ("agent-retried", "tools"),
        ("tool-retry-middleware", "tools > order > tools"),
    ]


def test_what_a_tool_calls_is_named_by_its_call(shop: Shop, coordinator: Coordinator) -> None:
    pay = shop.guard.wrap_tool(shop.tool)

    @tool
    def order() -> str:
        """Order, and pay."""
        return str(pay.invoke({}))

    other = Guard(coordinator, tools={"order": ToolPolicy(effect="delegate")})
    graph = tools_only(other.tool_node([order]), node={"retry_policy": RETRY}, checkpointer=InMemorySaver())

    assert found(shop, graph) == []


def test_a_tool_may_call_the_graph_that_it_is_in(shop: Shop) -> None:
    @tool
    def begin_anew() -> str:
        """Begin anew."""
        return str(graphs[0].invoke({"messages": []}))

    guard = Guard(shop.coordinator, tools={"pay": ToolPolicy(), "begin_anew": ToolPolicy(effect="delegate")})
    graphs = [shop.loop(guard.tool_node([shop.tool, begin_anew]), retry=RETRY)]

    assert [finding.where for finding in guard.check(graphs[0])] == ["tools"]


def test_agents_that_all_call_each_other_are_searched_in_no_time(coordinator: Coordinator) -> None:
    names = [f"agent_{number}" for number in range(12)]
    agents: dict[str, Any] = {}

    def asking(name: str) -> Any:
        return as_tool(lambda: agents[name].invoke({"messages": []}), "sync", name=name, description=name)

    guard = Guard(coordinator, tools={name: ToolPolicy() for name in names})
    tools = [asking(name) for name in names]
    for name in names:
        agents[name] = inside(guard.tool_node(tools), node=f"tools_of_{name}", retry=RETRY)

    findings = guard.check(inside(agents["agent_0"]))

    assert {finding.where.rpartition(" > ")[2] for finding in findings} == {f"tools_of_{name}" for name in names}


def test_tasks_of_the_functional_api_are_found(shop: Shop) -> None:
    pay = shop.guard.wrap_tool(shop.tool)
    agent = shop.agent(checkpointer=None)

    @task(retry_policy=RETRY)
    def pay_by_itself() -> Any:
        return pay.invoke({})

    @task(retry_policy=RETRY)
    def ask() -> Any:
        return agent.invoke({"messages": []})

    @entrypoint(checkpointer=InMemorySaver())
    def flow(_: int) -> Any:
        return ask().result(), pay_by_itself().result()

    @entrypoint(retry_policy=RETRY)
    def retried(_: int) -> Any:
        return agent.invoke({"messages": []})

    assert found(shop, flow) == [("agent-retried", "flow > ask"), ("retry-policy", "flow > pay_by_itself")]
    assert found(shop, retried) == [("agent-retried", "retried")]


# --- what is not meant ------------------------------------------------------------------------------------------


def test_a_node_that_offers_tools_to_a_model_does_not_run_them(shop: Shop) -> None:
    tools = shop.guard.wrap_tools([shop.tool])
    node = ToolNode(tools)

    def ask(state: Any) -> dict[str, Any]:
        return {"messages": [shop.model.bind_tools(tools).invoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", ask, retry_policy=RETRY)
    builder.add_node("tools", node)
    builder.add_edge(START, "model")

    assert found(shop, builder.compile()) == []


def test_a_node_may_know_the_other_nodes_of_its_graph(shop: Shop) -> None:
    node = shop.node()

    def route(state: Any) -> dict[str, Any]:
        return {"known": sorted(node.tools_by_name)}

    builder = StateGraph(MessagesState)
    builder.add_node("route", route, retry_policy=RETRY)
    builder.add_node("tools", node)
    builder.add_edge(START, "route")

    assert found(shop, builder.compile()) == []


def test_what_another_guard_guards_is_its_own_affair(shop: Shop, coordinator: Coordinator) -> None:
    other = Guard(coordinator, tools={"pay": ToolPolicy()})

    assert other.check(shop.loop(retry=RETRY)) == []
    assert other.check(shop.loop(ToolNode(shop.guard.wrap_tools([shop.tool])), retry=RETRY)) == []


# --- what is not guarded ----------------------------------------------------------------------------------------


def test_a_tool_with_a_policy_that_runs_without_the_guard_is_found(shop: Shop) -> None:
    graphs = [shop.loop(ToolNode([shop.tool])), create_agent(shop.model, [shop.tool])]

    for graph in graphs:
        assert found(shop, graph) == [("unguarded-tool", "tools")]


def test_a_tool_without_a_policy_is_found(shop: Shop) -> None:
    @tool
    def ship() -> str:
        """Ship."""
        return "shipped"

    agent = create_agent(shop.model, [ship, shop.tool], middleware=[CoordinationMiddleware(shop.guard)])

    [finding] = shop.guard.check(agent)
    assert (finding.kind, finding.where) == ("unmapped-tool", "tools")
    assert 'Tool "ship" of node "tools" has no policy' in finding.what


@pytest.mark.parametrize("unmapped", ["serialize", "allow"])
@pytest.mark.filterwarnings("ignore:.*has no policy")
def test_a_tool_that_needs_no_policy_is_not_found(coordinator: Coordinator, unmapped: Any) -> None:
    guard = Guard(coordinator, tools={}, unmapped=unmapped)
    tools = [as_tool(lambda: "ok", "sync", name="ship", description="Ship.")]

    assert guard.check(tools_only(guard.tool_node(tools))) == []


def test_a_serialised_tool_is_a_once_tool(coordinator: Coordinator) -> None:
    guard = Guard(coordinator, tools={}, unmapped="serialize")
    tools = [as_tool(lambda: "ok", "sync", name="ship", description="Ship.")]

    [finding] = guard.check(tools_only(guard.tool_node(tools), node={"retry_policy": RETRY}))

    assert finding.kind == "retry-policy"


def test_in_a_process_of_langgraph_server_the_store_is_checked(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langgraph_api", types.ModuleType("langgraph_api"))

    assert found(shop, shop.loop()) == [("local-store", "memory://")]
