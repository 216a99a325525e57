"""What reads and writes that are compared cost the store, as the server and SQLite count it."""

import asyncio
import contextvars
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolCall

from clawproof_langgraph import Coordinator, Lock, ToolPolicy
from tests.langgraph.scripted import says, tools_only
from tests.servers import Server
from tests.servers.counting import Counter, round_trips, transactions
from tests.servers.fixtures import redis_server

from .shelf import Shelf, opened, put, read

__all__ = ["redis_server"]


@pytest.fixture(params=["sqlite", "redis"])
def counted(
    request: pytest.FixtureRequest, redis_server: Server, tmp_path: Path
) -> Iterator[tuple[Coordinator, Counter]]:
    """Give a store, and how to count what it is asked."""
    with ExitStack() as stack:
        counting = round_trips(redis_server.url) if request.param == "redis" else transactions()
        counter = stack.enter_context(counting)
        store = opened(request.param, tmp_path, redis_server.url, f"trips-{request.node.name}")
        yield stack.enter_context(store), counter


def costs(shelf: Shelf, counter: Counter, mode: str, *calls: ToolCall) -> list[int]:
    """Tell what each of some calls costs that follow each other, once the connections are there."""
    app = tools_only(shelf.guard.tool_node(shelf.tools()))
    with asyncio.Runner() as runner:  # connections belong to a loop

        def spent(told: list[Any], call: ToolCall) -> int:
            asked = {"messages": [*told, says(call, message_id=call["id"])]}
            before = counter.count()
            state = app.invoke(asked) if mode == "sync" else runner.run(app.ainvoke(asked))
            told[:] = state["messages"]
            return counter.count() - before

        runner.run(_warm_up(shelf.coordinator))
        counter.wait_for_listener()
        told: list[Any] = [HumanMessage("go")]
        return [spent(told, call) for call in calls]


async def _warm_up(coordinator: Coordinator) -> None:
    with coordinator.lock("warm", agent="keeper"):
        pass
    async with coordinator.lock("warm", agent="keeper"):
        pass


def test_a_check_for_stale_reads_adds_no_round_trip(counted: tuple[Coordinator, Counter], mode: str) -> None:
    coordinator, counter = counted
    unchecked = Shelf(coordinator, put=ToolPolicy(locks=["shelf/{sku}"]))

    for shelf in (unchecked, Shelf(coordinator)):
        name = "checked" if shelf is not unchecked else "unchecked"
        assert costs(shelf, counter, mode, read(f"r-{name}"), put(f"p-{name}", 4)) == [2, 2]
        assert shelf.units["1"] == 4
    assert shelf.refusals() == 0


def test_a_refusal_costs_one(counted: tuple[Coordinator, Counter], mode: str) -> None:
    coordinator, counter = counted

    assert costs(Shelf(coordinator), counter, mode, put("p", 4)) == [1]


def test_an_advisory_read_costs_one(counted: tuple[Coordinator, Counter], mode: str) -> None:
    coordinator, counter = counted
    shelf = Shelf(coordinator, read=ToolPolicy(effect="read", locks=[Lock("shelf/{sku}", "advisory")]))

    assert costs(shelf, counter, mode, read("r"), put("p", 4)) == [1, 2]


def test_so_does_one_that_is_told_of_a_write(counted: tuple[Coordinator, Counter], mode: str) -> None:
    coordinator, counter = counted
    shelf = Shelf(coordinator, read=ToolPolicy(effect="read", locks=[Lock("shelf/{sku}", "advisory")]))
    holder, elsewhere = coordinator.lock("shelf/2", agent="rival"), contextvars.Context()
    elsewhere.run(holder.__enter__)
    try:
        assert costs(shelf, counter, mode, read("r", "2")) == [1]
    finally:
        elsewhere.run(holder.__exit__, None, None, None)
    assert [event.resources for event in coordinator.events(types=["call.stale"])][-1] == ("shelf/2",)
