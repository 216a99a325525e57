"""A guard made of a file, in real graphs: what it imports, what it refuses, and what agents declare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.graph import END, START, MessagesState, StateGraph

from clawproof_langgraph import ConfigurationError, Coordinator, Guard, ToolPolicy, UnmappedTool
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.graph.stage import hooked, human, ready_made, turn, wrapped
from tests.langgraph.scripted import call, play, results, thread

from .conftest import Write

FILE = """
namespace = "shop"
[tools."{reserve,return}_*"]
locks = ["inventory/{sku}"]
[tools]
get_stock = { effect = "read", locks = ["inventory/{sku}"] }
[agents.orders]
writes = ["inventory/{sku}"]
[agents.pricing]
writes = ["pricing/*"]
[agents.strict]
writes = ["pricing/*"]
enforce = true
[agents.reader]
reads = ["inventory/*"]
"""


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request: pytest.FixtureRequest, project: Path) -> str:
    """Name a fresh store of each kind."""
    if request.param == "redis":
        server: Any = request.getfixturevalue("redis_server")
        return str(server.url)
    return "memory://" if request.param == "memory" else f"sqlite:///{project / 'state.db'}?synchronous=normal"


@pytest.fixture
def coordinator(url: str, project: Path) -> Iterator[Coordinator]:
    """Open it."""
    with Coordinator.from_url(url, namespace=f"declared-{project}") as made:
        yield made


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    """Say whether a graph is invoked or ainvoked."""
    return str(request.param)


def stock(ran: list[str], name: str = "reserve_stock") -> BaseTool:
    """Make a tool that notes what it is called with."""

    def body(sku: str) -> str:
        """Work on the stock."""
        ran.append(sku)
        return f"{name} {sku}"

    return StructuredTool.from_function(body, name=name)


def undeclared(coordinator: Coordinator) -> list[tuple[str, tuple[str, ...], Any]]:
    """List what the events tell."""
    found = coordinator.events(types=["call.undeclared"])
    return [(event.agent, event.resources, dict(event.data)) for event in found]


# --- made of a file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [hooked, wrapped])
def test_the_tools_of_a_graph_are_guarded_as_the_file_says(write: Write, build: Any, mode: str) -> None:
    write(f'url = "sqlite:///state.db"\n{FILE}')
    ran: list[str] = []
    with Guard.from_file(agent="orders").coordinator as coordinator:
        guard = Guard.from_file(agent="orders")
        graph = build(guard, turn(call("reserve_stock", sku="42")), [stock(ran), stock(ran, "get_stock")])
        state = play(graph, human(), thread(), mode=mode)
        assert [message.content for message in results(state)] == ["reserve_stock 42"]
        [done] = coordinator.events(types=["call.done"])
        assert (done.agent, done.resources) == ("orders", ("inventory/42",))


def test_the_middleware_is_made_of_a_file(write: Write, mode: str) -> None:
    write(f'url = "memory://"\n{FILE}')
    middleware = CoordinationMiddleware.from_file(agent="orders")
    with middleware.guard.coordinator as coordinator:
        graph = ready_made(middleware.guard, turn(call("reserve_stock", sku="42")), [stock([])])
        play(graph, human(), thread(), mode=mode)
        assert len(coordinator.events(types=["call.done"])) == 1


def test_a_tool_that_no_pattern_fits_is_refused_with_the_names_that_no_tool_has_taken(write: Write) -> None:
    write(f'url = "memory://"\n{FILE}')
    with Guard.from_file().coordinator, pytest.raises(UnmappedTool) as refused:
        Guard.from_file().tool_node([stock([], "reserve_stock"), stock([], "ship")])
    assert (refused.value.tools, "get_stock" in str(refused.value)) == (("ship",), True)
    assert "{reserve,return}_*" not in str(refused.value)


def test_a_tool_of_which_two_patterns_are_equally_specific_is_refused_when_the_node_is_built() -> None:
    with Coordinator.from_url("memory://") as coordinator:
        guard = Guard(coordinator, tools={"reserve_*": ToolPolicy(), "*ve_stock": ToolPolicy(), "x_*": ToolPolicy()})
        with pytest.raises(ConfigurationError, match=r'"reserve_\*" and "\*ve_stock" equally well'):
            guard.tool_node([stock([])])
        guard.tool_node([stock([], "x_y")])


def test_a_pattern_does_not_mean_the_tools_of_langgraph_itself() -> None:
    with Coordinator.from_url("memory://") as coordinator:
        guard = Guard(coordinator, tools={"*": ToolPolicy(locks=["inventory/{item}"]), "task": ToolPolicy(ttl=7)})
        assert guard.wrap_tool(stock([], "transfer_to_pricing")).invoke({"sku": "1"}) == "transfer_to_pricing 1"
        assert coordinator.events() == []
        assert guard._policies.of("task") == ToolPolicy(ttl=7)


def test_a_name_of_an_mcp_tool_may_look_like_a_pattern() -> None:
    with Coordinator.from_url("memory://") as coordinator:
        guard = Guard(coordinator, tools={"srv.get[1]{x}": ToolPolicy(ttl=7), "*": ToolPolicy(effect="read")})
        policy = guard._policies.of("srv.get[1]{x}")
        assert policy is not None and policy.ttl == 7.0


def test_the_terms_of_resources_count_for_the_calls_that_hold_them(write: Write) -> None:
    write(f'url = "memory://"\n{FILE}\n[resources]\n"{{inventory,order}}/{{id}}" = {{ ttl = "7s", expected = "2s" }}\n')
    seen = []
    with Guard.from_file().coordinator as coordinator:

        def look(sku: str) -> str:
            """Look at the leases."""
            seen.extend(coordinator.snapshot().leases)
            return sku

        tool = StructuredTool.from_function(look, name="reserve_stock")
        Guard.from_file(agent="orders").wrap_tool(tool).invoke({"sku": "1"})
    [lease] = seen
    assert 0 < lease.remaining <= 7.0


# --- what only Python has ---------------------------------------------------------------------------------------

CHECKS = """
class Refused(Exception): pass
def look(call): return None
def wrong(): return None
def key(arguments): return f"order/{arguments['sku']}"
number = 3
"""


def test_functions_and_exceptions_are_imported_when_the_guard_is_made(
    write: Write, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(CHECKS, "checks_a.py")
    monkeypatch.syspath_prepend(project)
    write(
        'url = "memory://"\n[tools.t]\nprobe = "checks_a:look"\nkey = "checks_a:key"\n'
        'not_applied_on = ["checks_a:Refused"]\n'
    )
    with Guard.from_file().coordinator:
        import checks_a  # type: ignore[import-not-found]

        policy = Guard.from_file()._policies.of("t")
        assert policy is not None
        assert (policy.probe, policy.key, policy.not_applied_on) == (checks_a.look, checks_a.key, (checks_a.Refused,))


def test_what_cannot_be_imported_is_told_with_its_line_and_a_remedy_all_at_once(
    write: Write, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(CHECKS, "checks_b.py")
    write("raise RuntimeError('at import')", "checks_c.py")
    monkeypatch.syspath_prepend(project)
    write(
        '[profiles.p]\nprobe = "checks_b:gone"\n[tools]\na = { profile = "p" }\nb = { profile = "p" }\n'
        '[tools.t]\nprobe = "nowhere_at_all:look"\n[tools.u]\nprobe = "checks_b:wrong"\n'
        '[tools.v]\nprobe = "checks_c:f"\n'
        '[tools.w]\nnot_applied_on = ["checks_b:number"]\n'
    )
    with pytest.raises(ConfigurationError) as refused:
        Guard.from_file()
    found = re.findall(r"^clawproof\.toml:(\d+):\d+: (.*)", str(refused.value), flags=re.MULTILINE)
    assert [line for line, _ in found] == ["2", "7", "9", "11", "13"]
    assert all("PYTHONPATH" in message for line, message in found if line in ("2", "7", "11"))
    assert "must take one argument" in found[2][1] and "at import" in found[3][1]


# --- what agents declare ----------------------------------------------------------------------------------------

AGENTS = {
    "orders": {"writes": ["inventory/{sku}"]},
    "pricing": {"writes": ["pricing/*"]},
    "strict": {"writes": ["pricing/*"], "enforce": True},
    "idle": {"writes": []},
    "reader": {"reads": ["inventory/*"]},
}
POLICIES = {
    "reserve_stock": ToolPolicy(locks=["inventory/{sku}"]),
    "get_stock": ToolPolicy(effect="read", locks=["inventory/{sku}"]),
}


@pytest.mark.parametrize(
    ("build", "agent", "told"),
    [
        (hooked, "orders", 0), (hooked, "pricing", 1), (hooked, "idle", 1), (hooked, "reader", 0),
        (hooked, "nobody", 0), (wrapped, "pricing", 1), (ready_made, "pricing", 1),
    ],
)  # fmt: skip
def test_a_call_beyond_what_its_agent_says_is_an_event_and_runs(
    coordinator: Coordinator, build: Any, mode: str, agent: str, told: int
) -> None:
    ran: list[str] = []
    guard = Guard(coordinator, agent=agent, tools=POLICIES, agents=AGENTS)
    graph = build(guard, turn(call("reserve_stock", sku="42")), [stock(ran)])

    play(graph, human(), thread(), mode=mode)

    assert ran == ["42"]
    facts = {"tool": "reserve_stock", "refused": False}
    assert undeclared(coordinator) == [(agent, ("inventory/42",), facts)] * told
    [done] = coordinator.events(types=["call.done"])
    assert [event.call for event in coordinator.events(types=["call.undeclared"])] == [done.call] * told


@pytest.mark.parametrize("build", [hooked, wrapped, ready_made])
def test_a_call_of_an_agent_that_is_held_to_it_is_refused_before_its_tool_runs(
    coordinator: Coordinator, build: Any, mode: str
) -> None:
    ran: list[str] = []
    guard = Guard(coordinator, agent="strict", tools=POLICIES, agents=AGENTS)
    graph = build(guard, turn(call("reserve_stock", sku="42"), call("get_stock", "2", sku="1")),
                  [stock(ran), stock(ran, "get_stock")])  # fmt: skip

    refused, read = results(play(graph, human(), thread(), mode=mode))

    assert (refused.status, read.content, ran) == ("error", "get_stock 1", ["1"])
    assert 'agent "strict" may change pricing/*, and not inventory/42' in refused.content
    assert undeclared(coordinator) == [("strict", ("inventory/42",), {"tool": "reserve_stock", "refused": True})]
    assert coordinator.snapshot().leases == ()


def test_an_agent_that_langgraph_names_is_held_to_what_it_says(coordinator: Coordinator, mode: str) -> None:
    ran: list[str] = []
    guard = Guard(coordinator, tools=POLICIES, agents=AGENTS)
    graph = ready_made(guard, turn(call("reserve_stock", sku="42")), [stock(ran)], name="strict")

    [refused] = results(play(graph, human(), thread(), mode=mode))

    assert (refused.status, ran) == ("error", [])
    assert [agent for agent, _, _ in undeclared(coordinator)] == ["strict"]


def test_where_there_is_no_tool_call_to_answer_it_is_raised(coordinator: Coordinator) -> None:
    guard = Guard(coordinator, agent="strict", tools=POLICIES, agents=AGENTS)
    with pytest.raises(ConfigurationError, match="was not run"):
        guard.wrap_tool(stock([])).invoke({"sku": "42"})


def test_a_node_is_compared_as_a_tool_is(coordinator: Coordinator, mode: str) -> None:
    def graph_of(agent: str) -> Any:
        guard = Guard(coordinator, agent=agent, agents=AGENTS)
        builder = StateGraph(MessagesState)
        policy = ToolPolicy(locks=["inventory/1"])
        builder.add_node("count", guard.node(lambda state: {"messages": [AIMessage("ok")]}, policy, name="count"))
        builder.add_edge(START, "count")
        builder.add_edge("count", END)
        return builder.compile()

    play(graph_of("pricing"), human(), thread(), mode=mode)
    with pytest.raises(ConfigurationError, match='Node "count" was not run: agent "strict"'):
        play(graph_of("strict"), human(), thread(), mode=mode)
    assert [(agent, data["refused"]) for agent, _, data in undeclared(coordinator)] == [
        ("pricing", False),
        ("strict", True),
    ]


def test_a_declaration_that_is_wrong_is_refused_by_the_name_of_its_agent() -> None:
    with Coordinator.from_url("memory://") as coordinator:
        with pytest.raises(ConfigurationError, match=r'Agent "o": AgentTerms has no field "wirtes"; did you mean "wri'):
            Guard(coordinator, agents={"o": {"wirtes": []}})
        with pytest.raises(ConfigurationError, match='Agent "o": AgentTerms: `enforce` refuses'):
            Guard(coordinator, agents={"o": {"enforce": True}})


def test_where_nobody_declares_anything_a_call_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawproof_langgraph.graph.calls.beyond", lambda *_: pytest.fail("it was looked at"))
    with Coordinator.from_url("memory://") as coordinator:
        Guard(coordinator, agent="orders", tools=POLICIES).wrap_tool(stock([])).invoke({"sku": "42"})
