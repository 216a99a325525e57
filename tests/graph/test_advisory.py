"""Advisory locks: nobody waits, nobody is held up, and afterwards it is told whether somebody wrote meanwhile."""

import contextvars
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool

from clawproof_langgraph import AgentKilled, Coordinator, Guard, Lock, ToolPolicy, current_call
from clawproof_langgraph.errors import BackendUnavailable
from tests.langgraph.scripted import play, results, thread
from tests.runtime.stores import FlakyStore
from tests.servers import Server
from tests.servers.fixtures import redis_server

from .shelf import Shelf, opened, put, read, thinks
from .stage import Build, as_tool, hooked, human, ready_made, types_of, use

__all__ = ["redis_server"]

GLANCE = ToolPolicy(effect="read", locks=[Lock("shelf/{sku}", "advisory")])
_names = itertools.count()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def coordinator(request: pytest.FixtureRequest, redis_server: Server, tmp_path: Path) -> Iterator[Coordinator]:
    with opened(request.param, tmp_path, redis_server.url, f"advisory-{next(_names)}") as made:
        yield made


class Glancing:
    """A tool that reads without a lock; something may happen while it does."""

    def __init__(self, coordinator: Coordinator, policy: ToolPolicy = GLANCE) -> None:
        self.meanwhile: Callable[[], Any] = lambda: None
        self.calls: list[Any] = []
        self.guard = Guard(coordinator, agent="keeper", tools={"glance": policy})

    def tool(self, face: str) -> BaseTool:
        def glance(sku: str) -> str:
            """Look."""
            self.calls.append(current_call())
            self.meanwhile()
            return "5"

        return self.guard.wrap_tool(as_tool(glance, face))


def write(coordinator: Coordinator, sku: str = "1") -> None:
    with coordinator.lock(f"shelf/{sku}", agent="rival"):
        pass


def test_a_read_that_nobody_disturbs_is_not_stale(coordinator: Coordinator, face: str) -> None:
    glancing = Glancing(coordinator)
    glance = glancing.tool(face)
    for _ in range(2):
        assert use(glance, face, sku="1").text == "5"

    assert [call.stale for call in glancing.calls] == [(), ()]
    assert "call.stale" not in types_of(coordinator)


def test_a_write_in_flight_holds_up_nothing_and_is_told(coordinator: Coordinator, face: str) -> None:
    glancing = Glancing(coordinator)
    glance = glancing.tool(face)
    holder, elsewhere = coordinator.lock("shelf/1", agent="rival"), contextvars.Context()
    elsewhere.run(holder.__enter__)
    try:
        text = use(glance, face, sku="1").text
    finally:
        elsewhere.run(holder.__exit__, None, None, None)

    assert text == "5"
    assert glancing.calls[0].stale == ("shelf/1",)
    [event] = coordinator.events(types=["call.stale"])
    assert (event.agent, event.data["in_flight"]) == ("keeper", ["shelf/1"])


def test_a_write_that_is_committed_meanwhile_is_told(coordinator: Coordinator, face: str) -> None:
    glancing = Glancing(coordinator)
    glance = glancing.tool(face)
    glancing.meanwhile = lambda: write(coordinator)

    assert use(glance, face, sku="1").text == "5"

    assert glancing.calls[0].stale == ("shelf/1",)
    [event] = coordinator.events(types=["call.stale"])
    assert event.data["changed"] == ["shelf/1"]


def test_it_costs_one_command(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    backend = coordinator._backend
    for name in ("begin", "settle", "withdraw", "record", "events"):
        command = getattr(backend, name)
        monkeypatch.setattr(backend, name, lambda it, name=name, command=command: sent.append(name) or command(it))

    use(Glancing(coordinator).tool("sync"), sku="1")

    assert sent == ["begin"]
    assert types_of(coordinator) == ["call.done"]


def test_a_stopped_agent_does_not_get_what_was_read(coordinator: Coordinator, face: str) -> None:
    coordinator.kill("keeper")
    message = use(Glancing(coordinator).tool(face), face, sku="1")

    assert message.status == "error"
    assert "stopped" in message.text
    with pytest.raises(AgentKilled):
        Glancing(coordinator).tool("sync").invoke({"sku": "1"})


def test_an_error_of_the_tool_stays_its_own(coordinator: Coordinator, face: str) -> None:
    glancing = Glancing(coordinator)
    glance = glancing.tool(face)

    def fail() -> None:
        raise KeyError("sku")

    glancing.meanwhile = fail
    with pytest.raises(KeyError, match="sku"):
        use(glance, face, sku="1")
    assert types_of(coordinator) == ["call.failed"]


def test_a_store_that_is_down_fails_it(face: str) -> None:
    store = FlakyStore()
    with Coordinator(store) as coordinator:
        glance = Glancing(coordinator).tool(face)
        store.down = True
        with pytest.raises(BackendUnavailable):
            use(glance, face, sku="1")


@pytest.mark.parametrize("build", [hooked, ready_made])
def test_a_write_may_rest_on_a_read_that_was_not_disturbed(coordinator: Coordinator, build: Build, mode: str) -> None:
    shelf = Shelf(coordinator, read=GLANCE)
    state = play(build(shelf.guard, thinks(read("1"), put("2", 4)), shelf.tools()), human(), thread(), mode=mode)

    assert [message.text for message in results(state)] == ["5", "now 4"]


@pytest.mark.parametrize("build", [hooked, ready_made])
def test_a_write_may_not_rest_on_one_that_was(coordinator: Coordinator, build: Build, mode: str) -> None:
    shelf = Shelf(coordinator, read=GLANCE)

    @tool("read")
    def read_disturbed(sku: str) -> int:
        """Read while somebody writes."""
        units = shelf.units[sku]
        shelf.taken_by_a_rival(sku)
        return units

    tools = [read_disturbed, shelf.tools()[1]]
    state = play(build(shelf.guard, thinks(read("1"), put("2", 4)), tools), human(), thread(), mode=mode)

    assert [message.status for message in results(state)] == ["success", "error"]


def test_beside_locks_it_is_one_command_more(coordinator: Coordinator, face: str) -> None:
    policy = ToolPolicy(locks=["order/{sku}", Lock("shelf/{sku}", "advisory")])
    glancing = Glancing(coordinator, policy)
    glance = glancing.tool(face)

    use(glance, face, "a", sku="1")
    glancing.meanwhile = lambda: write(coordinator)
    use(glance, face, "b", sku="1")

    assert [call.stale for call in glancing.calls] == [(), ("shelf/1",)]
    assert glancing.calls[0].resources == ("order/1",)
    assert types_of(coordinator).count("call.done") == 2


def test_what_is_locked_too_is_not_advisory(coordinator: Coordinator) -> None:
    policy = ToolPolicy(locks=["shelf/{sku}", Lock("shelf/{sku}", "advisory")])
    glancing = Glancing(coordinator, policy)
    glance = glancing.tool("sync")

    use(glance, sku="1")

    assert glancing.calls[0].stale == ()


def test_the_calls_inside_it_are_nobodys_inner_calls(coordinator: Coordinator) -> None:
    glancing = Glancing(coordinator)
    glance = glancing.tool("sync")
    glancing.meanwhile = lambda: write(coordinator, "0")

    use(glance, sku="1")

    assert types_of(coordinator) == ["lock.acquired", "lock.released", "call.done"]
