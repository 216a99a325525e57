"""How ToolNode calls a tool: with what, in which threads, and side by side with which others."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from langchain_core.tools import BaseTool, InjectedToolArg, InjectedToolCallId, tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode, ToolRuntime
from langgraph.types import Send, StreamWriter

from .scripted import PATIENCE, Watcher, asks, call, play, results, tools_only

MODES = ["sync", "async"]


@pytest.mark.parametrize("mode", MODES)
def test_a_tool_is_invoked_with_a_whole_tool_call_and_a_config(mode: str) -> None:
    invocations: list[tuple[Any, Any]] = []

    class Recorded(BaseTool):
        name: str = "greet"
        description: str = "Greet."

        def _run(self, name: str) -> str:
            return f"hello {name}"

        def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            invocations.append((input, config))
            return super().invoke(input, config, **kwargs)

        async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            invocations.append((input, config))
            return await super().ainvoke(input, config, **kwargs)

    play(tools_only([Recorded()]), asks(call("greet", "call-7", name="Ada")), mode=mode)

    ((given, config),) = invocations
    assert given == {"name": "greet", "args": {"name": "Ada"}, "id": "call-7", "type": "tool_call"}
    assert config["metadata"]["langgraph_node"] == "tools"


@pytest.mark.parametrize("mode", MODES)
def test_state_runtime_and_call_id_are_injected_and_hidden_from_the_model(mode: str) -> None:
    given: list[tuple[Any, ...]] = []

    @tool
    def look(
        sku: str,
        runtime: ToolRuntime,
        messages: Annotated[list, InjectedState("messages")],
        call_id: Annotated[str, InjectedToolCallId],
    ) -> str:
        """Look."""
        given.append((sku, runtime.tool_call_id, len(messages), call_id))
        return "seen"

    play(tools_only([look]), asks(call("look", "call-7", sku="a")), mode=mode)

    assert given == [("a", "call-7", 1, "call-7")]
    assert list(look.tool_call_schema.model_json_schema()["properties"]) == ["sku"]


def test_hidden_arguments_in_a_tool_call_are_stripped() -> None:
    given: list[str] = []

    @tool
    def charge(amount: int, account: Annotated[str, InjectedToolArg] = "nobody") -> str:
        """Charge."""
        given.append(account)
        return "charged"

    tools_only([charge]).invoke(asks(call("charge", amount=1, account="forged")))

    assert given == ["nobody"]


def test_sync_calls_of_one_message_run_at_the_same_time_in_threads_that_end_with_the_invocation() -> None:
    together = threading.Barrier(2)
    workers: list[threading.Thread] = []

    @tool
    def meet() -> str:
        """Wait for the sibling."""
        together.wait(PATIENCE)
        workers.append(threading.current_thread())
        return "met"

    graph = tools_only([meet])
    for _ in range(2):
        graph.invoke(asks(call("meet", "call-1"), call("meet", "call-2")))

    # Whatever a tool keeps per thread, such as a connection, is lost after each invocation.
    assert len(set(workers)) == 4
    assert threading.current_thread() not in workers
    assert not any(worker.is_alive() for worker in workers)


def test_results_come_in_the_order_of_the_calls_not_of_completion() -> None:
    second_done = threading.Event()

    @tool
    def slow() -> str:
        """Wait for the other."""
        assert second_done.wait(PATIENCE)
        return "slow"

    @tool
    def quick() -> str:
        """Return at once."""
        second_done.set()
        return "quick"

    state = tools_only([slow, quick]).invoke(asks(call("slow", "1"), call("quick", "2")))

    assert [message.content for message in results(state)] == ["slow", "quick"]


async def test_async_calls_of_one_message_share_the_thread_of_the_event_loop() -> None:
    together = asyncio.Barrier(2)
    threads: list[threading.Thread] = []

    @tool
    async def meet() -> str:
        """Wait for the sibling."""
        await asyncio.wait_for(together.wait(), PATIENCE)
        threads.append(threading.current_thread())
        return "met"

    await tools_only([meet]).ainvoke(asks(call("meet", "call-1"), call("meet", "call-2")))

    assert threads == [threading.current_thread()] * 2


async def test_siblings_of_an_async_call_that_raised_go_on_after_the_run_has_raised() -> None:
    started, release, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @tool
    async def slow() -> str:
        """Take until released."""
        started.set()
        await release.wait()
        finished.set()
        return "done"

    @tool
    async def fail() -> str:
        """Fail while the sibling runs."""
        await started.wait()
        raise ConnectionError("broken")

    with pytest.raises(ConnectionError):
        await tools_only([slow, fail]).ainvoke(asks(call("slow", "1"), call("fail", "2")))

    assert not finished.is_set()
    release.set()
    await asyncio.wait_for(finished.wait(), PATIENCE)


def test_a_sync_run_raises_only_after_the_siblings_of_the_call_that_raised_have_ended() -> None:
    started, failed, raised = threading.Event(), threading.Event(), threading.Event()
    raised_meanwhile: list[bool] = []

    @tool
    def slow() -> str:
        """Outlive the sibling."""
        started.set()
        assert failed.wait(PATIENCE)
        raised_meanwhile.append(raised.wait(0.05))
        return "done"

    @tool
    def fail() -> str:
        """Fail while the sibling runs."""
        assert started.wait(PATIENCE)
        failed.set()
        raise ConnectionError("broken")

    with pytest.raises(ConnectionError):
        tools_only([fail, slow]).invoke(asks(call("fail", "1"), call("slow", "2")))
    raised.set()

    assert raised_meanwhile == [False]


async def test_a_sync_tool_under_ainvoke_takes_a_thread_of_the_loops_default_pool() -> None:
    # A call that waits in such a thread can so keep the one out that it waits for.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1, thread_name_prefix="only"))
    together = threading.Barrier(2)
    names: list[str] = []

    @tool
    def meet() -> str:
        """Wait in vain for the sibling."""
        names.append(threading.current_thread().name)
        try:
            together.wait(0.05)
        except threading.BrokenBarrierError:
            return "alone"
        return "met"

    state = await tools_only([meet]).ainvoke(asks(call("meet", "1"), call("meet", "2")))

    assert [message.content for message in results(state)] == ["alone", "alone"]
    assert names == ["only_0", "only_0"]


@pytest.mark.parametrize("mode", MODES)
def test_a_call_that_was_sent_on_its_own_still_sees_the_whole_state(mode: str) -> None:
    # create_agent sends each call so, and the AIMessage's id must be found nevertheless.
    watcher = Watcher()

    @tool
    def greet() -> str:
        """Greet."""
        return "hello"

    builder = StateGraph(MessagesState)
    builder.add_node("tools", watcher.node([greet]))
    builder.add_conditional_edges(START, lambda state: [Send("tools", [c]) for c in state["messages"][-1].tool_calls])

    play(builder.compile(), asks(call("greet", "1"), call("greet", "2")), mode=mode)

    assert {identity.message_id for identity in watcher.identities("greet")} == {"ai-1"}
    assert len({identity.task_id for identity in watcher.identities("greet")}) == 2


def test_the_stream_writer_does_nothing_unless_custom_is_streamed() -> None:
    @tool
    def report(runtime: ToolRuntime) -> str:
        """Write to the stream."""
        writer: StreamWriter = runtime.stream_writer
        writer({"progress": 1})
        return "reported"

    graph = tools_only([report])

    assert [message.content for message in results(graph.invoke(asks(call("report"))))] == ["reported"]
    assert list(graph.stream(asks(call("report")), stream_mode="custom")) == [{"progress": 1}]


async def test_the_stream_writer_works_in_async_tools_and_in_sync_ones_under_astream() -> None:
    @tool
    async def report(runtime: ToolRuntime) -> str:
        """Write from the loop."""
        runtime.stream_writer("from the loop")
        return "reported"

    @tool
    def report_from_thread(runtime: ToolRuntime) -> str:
        """Write from a worker thread."""
        runtime.stream_writer("from a thread")
        return "reported"

    graph = tools_only([report, report_from_thread])
    calls = asks(call("report", "1"), call("report_from_thread", "2"))

    chunks = [chunk async for chunk in graph.astream(calls, stream_mode="custom")]

    assert sorted(chunks) == ["from a thread", "from the loop"]


def test_an_unregistered_tool_is_answered_with_an_error_message() -> None:
    state = tools_only(ToolNode([])).invoke(asks(call("unknown")))

    (message,) = results(state)
    assert message.status == "error"
    assert "unknown is not a valid tool" in message.content
