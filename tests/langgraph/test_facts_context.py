"""Where a ContextVar that was set around a tool call can be seen, and where not."""

import asyncio
import contextvars
import threading
from typing import Any

import pytest
from langchain_core.tools import tool
from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest

from .scripted import PATIENCE, asks, both_hooks, call, play, tools_only

lease: contextvars.ContextVar[str] = contextvars.ContextVar("lease", default="none")
seen_by_tools: contextvars.ContextVar[list[str]] = contextvars.ContextVar("seen_by_tools")


def take_lease(request: ToolCallRequest) -> ToolCallRequest:
    lease.set(f"lease of {request.tool_call['id']}")
    return request


@tool
def look() -> str:
    """Look where the tool's body runs."""
    seen_by_tools.get().append(lease.get())
    return "seen"


@tool
async def look_async() -> str:
    """Look on the event loop, and in a thread that asyncio made."""
    seen_by_tools.get().append(lease.get())
    await asyncio.to_thread(lambda: seen_by_tools.get().append(lease.get()))
    return "seen"


@pytest.mark.parametrize(("mode", "looker", "looks"), [("sync", look, 1), ("async", look, 1), ("async", look_async, 2)])
def test_a_context_variable_set_in_the_wrapper_is_seen_by_its_tool_and_no_other(
    mode: str, looker: Any, looks: int
) -> None:
    seen: list[str] = []
    token = seen_by_tools.set(seen)
    graph = tools_only(ToolNode([looker], **both_hooks(take_lease)))

    play(graph, asks(call(looker.name, "1"), call(looker.name, "2")), mode=mode)

    seen_by_tools.reset(token)
    assert sorted(seen) == ["lease of 1"] * looks + ["lease of 2"] * looks
    assert lease.get() == "none"


def test_a_context_variable_is_not_seen_in_a_bare_thread_of_the_tool() -> None:
    seen: list[str] = []

    @tool
    def look_aside() -> str:
        """Look from a thread of its own."""
        worker = threading.Thread(target=lambda: seen.append(lease.get()))
        worker.start()
        worker.join(PATIENCE)
        return "seen"

    tools_only(ToolNode([look_aside], **both_hooks(take_lease))).invoke(asks(call("look_aside")))

    assert seen == ["none"]


def test_each_sync_call_has_a_copy_of_the_callers_context() -> None:
    together = threading.Barrier(2)
    before: list[str] = []
    after: list[tuple[str, str]] = []

    @tool
    def claim(name: str) -> str:
        """Set the variable, and look whether the sibling changed it."""
        before.append(lease.get())
        together.wait(PATIENCE)
        lease.set(name)
        together.wait(PATIENCE)
        after.append((name, lease.get()))
        return name

    def run() -> str:
        lease.set("caller")
        tools_only([claim]).invoke(asks(call("claim", "1", name="a"), call("claim", "2", name="b")))
        return lease.get()

    assert contextvars.copy_context().run(run) == "caller"
    assert before == ["caller", "caller"]
    assert sorted(after) == [("a", "a"), ("b", "b")]
