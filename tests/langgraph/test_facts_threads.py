"""In which thread a tool runs, and what becomes of it when its run is cancelled or times out."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool, tool
from langgraph.errors import NodeTimeoutError
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.runtime import get_runtime
from langgraph.types import RetryPolicy, TimeoutPolicy

from .scripted import PATIENCE, Watcher, asks, call, results, tools_only

AT_ONCE = RetryPolicy(initial_interval=0, jitter=False, max_attempts=5)


async def test_a_sync_function_under_ainvoke_goes_through_run_in_one_worker_thread() -> None:
    threads: list[threading.Thread] = []

    class Placed(StructuredTool):
        def run(self, *args: Any, **kwargs: Any) -> Any:
            threads.append(threading.current_thread())
            return super().run(*args, **kwargs)

    def look() -> str:
        threads.append(threading.current_thread())
        return "seen"

    await Placed.from_function(look, description="Look.").ainvoke({})

    around, inside = threads
    assert around is inside
    assert around is not threading.current_thread()


async def test_a_subclass_with_only_a_sync_body_goes_through_arun_on_the_loop_and_only_its_body_in_a_thread() -> None:
    # Such a tool's `run` is never called under ainvoke: a guard has to be in its `arun` and `_run`.
    threads: dict[str, threading.Thread] = {}

    class Placed(BaseTool):
        name: str = "look"
        description: str = "Look."

        async def arun(self, *args: Any, **kwargs: Any) -> Any:
            threads["arun"] = threading.current_thread()
            return await super().arun(*args, **kwargs)

        def _run(self) -> str:
            threads["_run"] = threading.current_thread()
            return "seen"

    await Placed().ainvoke({})

    assert threads["arun"] is threading.current_thread()
    assert threads["_run"] is not threading.current_thread()


async def test_cancelling_a_run_ends_the_wrapper_but_not_its_sync_tool() -> None:
    started, release, finished = threading.Event(), threading.Event(), threading.Event()

    @tool
    def slow() -> str:
        """Take until released."""
        started.set()
        assert release.wait(PATIENCE)
        finished.set()
        return "done"

    watcher = Watcher()
    run = asyncio.create_task(tools_only(watcher.node([slow])).ainvoke(asks(call("slow"))))
    assert await asyncio.to_thread(started.wait, PATIENCE)

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert [type(error) for error in watcher.errors] == [asyncio.CancelledError]
    assert not finished.is_set()
    release.set()
    assert await asyncio.to_thread(finished.wait, PATIENCE)


async def test_cancelling_a_run_cancels_its_async_tool() -> None:
    started = asyncio.Event()
    ended: list[type[BaseException]] = []

    @tool
    async def slow() -> str:
        """Take for ever."""
        started.set()
        try:
            return await asyncio.Future()
        except BaseException as error:
            ended.append(type(error))
            raise

    run = asyncio.create_task(tools_only([slow]).ainvoke(asks(call("slow"))))
    await asyncio.wait_for(started.wait(), PATIENCE)

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert ended == [asyncio.CancelledError]


async def test_a_step_timeout_does_not_stop_a_sync_tool() -> None:
    release, finished = threading.Event(), threading.Event()

    @tool
    def slow() -> str:
        """Take until released."""
        assert release.wait(PATIENCE)
        finished.set()
        return "done"

    graph = tools_only([slow])
    graph.step_timeout = 0.05
    with pytest.raises(TimeoutError):
        await graph.ainvoke(asks(call("slow")))

    assert not finished.is_set()
    release.set()
    assert await asyncio.to_thread(finished.wait, PATIENCE)


async def test_a_default_retry_policy_starts_a_timed_out_sync_tool_again_while_it_still_runs() -> None:
    lock = threading.Lock()
    again = threading.Event()
    running: set[int] = set()
    overlaps: list[set[int]] = []
    attempts = iter(range(1, 10))

    @tool
    def slow() -> str:
        """Outlast the timeout, the first time."""
        with lock:
            attempt = next(attempts)
            running.add(attempt)
            overlaps.append(set(running))
        if attempt == 1:
            assert again.wait(PATIENCE)
        again.set()
        with lock:
            running.discard(attempt)
        return f"attempt {attempt}"

    watcher = Watcher()
    graph = tools_only(watcher.node([slow]), node={"timeout": 0.1, "retry_policy": AT_ONCE})
    state = await graph.ainvoke(asks(call("slow")))

    assert overlaps[:2] == [{1}, {1, 2}]
    assert [identity.attempt for identity in watcher.identities("slow")][:2] == [1, 2]
    assert results(state)[0].content != "attempt 1"


async def test_without_a_retry_policy_a_node_timeout_ends_the_run() -> None:
    @tool
    async def slow() -> str:
        """Take for ever."""
        return await asyncio.Future()

    with pytest.raises(NodeTimeoutError) as raised:
        await tools_only([slow], node={"timeout": 0.05}).ainvoke(asks(call("slow")))

    assert (raised.value.kind, raised.value.node) == ("run", "tools")
    assert not isinstance(raised.value, TimeoutError)


def test_the_default_retry_policy_retries_transport_errors_and_timeouts_but_no_mistakes() -> None:
    retry_on = RetryPolicy().retry_on

    assert retry_on(ConnectionError())
    assert retry_on(NodeTimeoutError("tools", 1.0, kind="run", run_timeout=1.0))
    assert retry_on(Exception())
    assert not any(retry_on(error) for error in (ValueError(), RuntimeError(), TimeoutError(), KeyError()))


def waiting_graph(on_wait: Callable[[], None]) -> Any:
    """Make a graph whose one node waits for longer than its idle timeout and does `on_wait` meanwhile."""

    async def wait(state: MessagesState) -> None:
        ends = time.monotonic() + 0.6
        while time.monotonic() < ends:
            on_wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.02)

    builder = StateGraph(MessagesState)
    builder.add_node("wait", wait, timeout=TimeoutPolicy(idle_timeout=0.25))
    builder.add_edge(START, "wait")
    builder.add_edge("wait", END)
    return builder.compile()


async def test_a_wait_in_a_node_with_an_idle_timeout_may_last_as_long_as_it_beats() -> None:
    state = await waiting_graph(lambda: get_runtime().heartbeat()).ainvoke({"messages": []})

    assert state == {"messages": []}


async def test_a_wait_in_a_node_with_an_idle_timeout_is_ended_when_it_does_not_beat() -> None:
    with pytest.raises(NodeTimeoutError) as raised:
        await waiting_graph(lambda: None).ainvoke({"messages": []})

    assert raised.value.kind == "idle"


def test_a_tool_node_with_a_timeout_cannot_run_without_an_event_loop() -> None:
    graph = tools_only(ToolNode([]), node={"timeout": 1.0})

    with pytest.raises(ValueError, match="timeouts are only supported for async nodes"):
        graph.invoke(asks(call("any")))
