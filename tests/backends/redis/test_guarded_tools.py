"""Guarded tools in a graph while the server is in trouble: none runs uncoordinated, and each error is one of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool, tool
from langgraph.graph import START, MessagesState, StateGraph

from clawproof_langgraph import BackendUnavailable, Coordinator, Guard, ToolPolicy
from clawproof_langgraph.backends.redis import connections
from clawproof_langgraph.errors import ClawproofWarning
from tests.servers import Server, start_server
from tests.servers.proxy import Fate, Proxy, proxy_to

ran: list[str] = []


@tool
def place_order(order: str) -> str:
    """Place an order."""
    ran.append(order)
    return f"placed {order}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.3)
    monkeypatch.setattr(connections, "LEAST", 0.2)
    monkeypatch.setattr(connections, "REPLY_SOON", 0.1)
    ran.clear()


@pytest.fixture
def store(own_server: Server) -> Iterator[tuple[Server, Proxy]]:
    with proxy_to(own_server.port) as proxy:
        yield own_server, proxy


@pytest.fixture
def opened() -> Iterator[Callable[[str], Coordinator]]:
    """Open coordinators that are closed in the end."""
    with ExitStack() as coordinators:
        yield lambda url: coordinators.enter_context(Coordinator.from_url(f"{url}?socket_timeout=0.2"))


Opened = Callable[[str], Coordinator]


def graph_of(coordinator: Coordinator, *tools: BaseTool, **terms: Any) -> Any:
    """Make a graph of one node with guarded tools."""
    policies = {each.name: ToolPolicy(locks=["order/{order}"], **terms) for each in tools or (place_order,)}
    graph = StateGraph(MessagesState)
    graph.add_node("tools", Guard(coordinator, agent="orders", tools=policies).tool_node(tools or (place_order,)))
    graph.add_edge(START, "tools")
    return graph.compile()


def order(graph: Any, *, asynchronous: bool = False, number: str = "7") -> str:
    """Have the tool called, and give its answer."""
    call = {"name": "place_order", "args": {"order": number}, "id": f"call-{number}", "type": "tool_call"}
    message = {"messages": [AIMessage("", id=f"message-{number}", tool_calls=[call])]}
    config = {"configurable": {"thread_id": "customer-7"}}
    state = asyncio.run(graph.ainvoke(message, config)) if asynchronous else graph.invoke(message, config)
    return str(state["messages"][-1].content)


def kill(server: Server, proxy: Proxy) -> None:
    server.process.kill()
    server.process.wait()


def operate(server: Server, *command: Any) -> None:
    client = redis.Redis(port=server.port)
    client.execute_command(*command)
    client.close()


TROUBLES: dict[str, Callable[[Server, Proxy], object]] = {
    "killed": kill,
    "silent": lambda server, proxy: proxy.black_hole(),
    "every reply lost": lambda server, proxy: proxy.lose_replies(10_000),
    "every reply reset": lambda server, proxy: proxy.lose_replies(10_000, Fate.RESET),
    "every reply late": lambda server, proxy: proxy.lose_replies(10_000, Fate.LATE),
    "nonsense": lambda server, proxy: setattr(proxy, "change", lambda data: b"?" + data),
    "an unknown error": lambda server, proxy: setattr(proxy, "change", lambda data: b"-WAT unheard of\r\n"),
    "out of memory": lambda server, proxy: operate(server, "CONFIG", "SET", "maxmemory", "1mb"),
    "a replica": lambda server, proxy: operate(server, "REPLICAOF", "127.0.0.1", "1"),
    "password": lambda server, proxy: (operate(server, "CONFIG", "SET", "requirepass", "new"), proxy.cut()),
    "forbidden": lambda server, proxy: operate(server, "ACL", "SETUSER", "default", "-evalsha"),
    "forbidden inside": lambda server, proxy: operate(server, "ACL", "SETUSER", "default", "-hmget"),
    "too few replicas": lambda server, proxy: operate(server, "CONFIG", "SET", "min-replicas-to-write", "3"),
    "another kind of value": lambda server, proxy: operate(server, "SET", "clawproof:{default}:state", "mine"),
}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=list(TROUBLES))
def test_no_tool_runs_without_its_lease(
    store: tuple[Server, Proxy], trouble: Callable[[Server, Proxy], object], asynchronous: bool, opened: Opened
) -> None:
    server, proxy = store
    coordinator = opened(proxy.url)
    graph = graph_of(coordinator)
    trouble(server, proxy)

    with pytest.raises(BackendUnavailable, match="No tool runs without it"):
        order(graph, asynchronous=asynchronous)

    assert ran == []


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=list(TROUBLES))
@pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning")
def test_a_tool_that_has_run_gives_its_result(
    store: tuple[Server, Proxy], trouble: Callable[[Server, Proxy], object], asynchronous: bool, opened: Opened
) -> None:
    server, proxy = store
    coordinator = opened(proxy.url)

    @tool("place_order")
    def place(order: str) -> str:
        """Place an order, and have the server fall into trouble."""
        ran.append(order)
        trouble(server, proxy)
        return f"placed {order}"

    assert order(graph_of(coordinator, place, ttl="1s"), asynchronous=asynchronous) == "placed 7"

    assert ran == ["7"]


def test_a_server_that_never_was() -> None:
    server = start_server()
    server.stop()
    with pytest.raises(BackendUnavailable):
        Coordinator.from_url(server.url)


def test_a_tool_goes_on_where_it_was_when_the_server_is_back(own_server: Server, opened: Opened) -> None:
    coordinator = opened(own_server.url)
    graph = graph_of(coordinator)
    assert order(graph, number="1") == "placed 1"
    own_server.process.kill()
    own_server.process.wait()
    with pytest.raises(BackendUnavailable):
        order(graph, number="2")
    own_server.restart()

    assert order(graph, number="3") == "placed 3"
    assert ran == ["1", "3"]


def test_an_operator_is_told_that_a_result_was_not_recorded(store: tuple[Server, Proxy], opened: Opened) -> None:
    _, proxy = store
    coordinator = opened(proxy.url)

    @tool("place_order")
    def place(order: str) -> str:
        """Place an order, and have the server fall silent."""
        proxy.black_hole()
        return f"placed {order}"

    with pytest.warns(ClawproofWarning, match="could not record it under key"):
        assert order(graph_of(coordinator, place, ttl="1s")) == "placed 7"
    proxy.flow()
