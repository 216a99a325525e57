"""A run that breaks off goes on, and each task is done once."""

import asyncio
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.errors import GraphDrained
from langgraph.graph import START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command, interrupt

from clawproof_langgraph import BackendUnavailable, Coordinator
from clawproof_langgraph.errors import ClawproofWarning
from clawproof_langgraph.orchestrator import Task, build_orchestrator
from tests.langgraph.scripted import ScriptedModel, call, play, says, thread

from .crashing import TASKS, Folder, live
from .workshop import Work, Workshop, do, job, statuses, under_way

ROOT = Path(__file__).parents[2]

# --- a crash ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["sqlite", "redis"], indirect=True)
@pytest.mark.parametrize("where", ["inside", "returned"])
def test_after_a_crash_each_task_is_done_once(url: str, namespace: str, mode: str, where: str, tmp_path: Path) -> None:
    """The agent that was killed goes on from its own checkpoint; one that had returned is not asked again."""
    command = [sys.executable, "-m", "tests.orchestrator.crashing", str(tmp_path), url, namespace, mode, where]
    crashed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert crashed.returncode == -signal.SIGKILL, crashed.stderr
    folder = Folder(tmp_path)
    before = folder.noted("effect")

    results = live(folder, url, namespace, mode, None)

    names = [task["id"] for task in TASKS]
    assert statuses(results) == dict.fromkeys(names, "done") and set(before) <= {"done", "crashes", "rival"}
    assert folder.noted("effect") == dict.fromkeys(names, 1)
    assert folder.noted("finish") == dict.fromkeys(names, 1) | ({"crashes": 2} if where == "inside" else {})
    assert results["crashes"]["result"] == {"job": "crashes", "told": "finished"}


# --- a human ------------------------------------------------------------------------------------------------------


def test_a_question_holds_up_only_what_depends_on_the_answer(coordinator: Coordinator, mode: str) -> None:
    shop = Workshop()
    shop.asks["asks"] = lambda: interrupt("may I?")
    graph = shop.orchestrator(coordinator)
    chain = [job("asks", "x"), job("next", after=("asks",)), job("last", after=("next",))]
    tasks = [*chain, job("rival", "x"), job("free")]

    asked = play(graph, {"tasks": tasks}, thread(), mode=mode, durability="sync")

    assert [question.value for question in asked["__interrupt__"]] == ["may I?"]
    assert statuses(asked["results"]) == {} or set(statuses(asked["results"])) <= {"rival", "free"}
    assert shop.times("end") == {"rival": 1, "free": 1} and coordinator.snapshot().leases == ()

    results = do(graph, Command(resume="yes"), mode)

    assert statuses(results) == dict.fromkeys(["asks", "rival", "free", "next", "last"], "done")
    assert results["asks"]["result"]["told"] == "yes" and set(shop.times("end").values()) == {1}


def test_two_questions_are_answered_one_by_one(local: Coordinator, mode: str) -> None:
    shop = Workshop()
    for name in "ab":
        shop.asks[name] = lambda name=name: interrupt(name)
    graph = shop.orchestrator(local)
    tasks = [job("a"), job("b"), job("after a", after=("a",)), job("after both", after=("a", "b"))]

    asked = play(graph, {"tasks": tasks}, thread(), mode=mode, durability="sync")["__interrupt__"]
    answered = {question.value: question.id for question in asked}
    play(graph, Command(resume={answered["a"]: "yes"}), thread(), mode=mode, durability="sync")
    assert shop.times("end") == {"a": 1, "after a": 1}
    results = do(graph, Command(resume={answered["b"]: "no"}), mode)

    assert [results[name]["result"]["told"] for name in "ab"] == ["yes", "no"]
    assert set(shop.times("end").values()) == {1} and len(results) == 4


def test_an_agent_that_asks_goes_on_from_its_own_checkpoint(local: Coordinator, mode: str) -> None:
    paid: list[str] = []

    @tool
    def pay() -> str:
        """Pay."""
        paid.append("paid")
        return "paid"

    @tool
    def approve() -> str:
        """Ask a human."""
        return interrupt("may I?")

    model = ScriptedModel(replies=[says(call("pay", "1")), says(call("approve", "2")), says(text="done")])
    agents = {"cashier": create_agent(model, [pay, approve], name="cashier")}
    graph = build_orchestrator(agents, local, checkpointer=InMemorySaver())

    play(graph, {"tasks": [Task(id="1", agent="cashier", input="pay")]}, thread(), mode=mode, durability="sync")
    results = do(graph, Command(resume="yes"), mode)

    assert paid == ["paid"] and len(model.seen) == 3
    assert [message.text for message in results["1"]["result"]["messages"][-2:]] == ["yes", "done"]


def test_new_tasks_may_come_with_the_answer(local: Coordinator, mode: str) -> None:
    shop = Workshop()
    shop.asks["asks"] = lambda: interrupt("may I?")
    graph = shop.orchestrator(local)
    play(graph, {"tasks": [job("asks")]}, thread(), mode=mode, durability="sync")

    results = do(graph, Command(resume="yes", update={"tasks": [job("new", after=("asks",))]}), mode)

    assert statuses(results) == {"asks": "done", "new": "done"} and shop.times("end") == {"asks": 1, "new": 1}


def test_new_tasks_instead_of_an_answer_repeat_nothing_that_is_done(coordinator: Coordinator, mode: str) -> None:
    """LangGraph forgets what a step has done that did not come to its end; the coordinator does not."""
    shop = Workshop()
    shop.asks["asks"] = lambda: interrupt("may I?")
    graph = shop.orchestrator(coordinator)
    play(graph, {"tasks": [job("asks"), job("done")]}, thread(), mode=mode, durability="sync")

    play(graph, {"tasks": [job("new")]}, thread(), mode=mode, durability="sync")
    results = do(graph, Command(resume="yes"), mode)

    assert statuses(results) == dict.fromkeys(["asks", "done", "new"], "done")
    assert shop.times("end") == {"done": 1, "new": 1, "asks": 1}
    assert results["done"]["result"] == {"job": "done", "told": "done is done"}


# --- other ways back ----------------------------------------------------------------------------------------------


def test_a_store_that_is_down_breaks_the_run_off_and_it_goes_on_later(local: Coordinator, mode: str) -> None:
    shop = Workshop()
    shop.hold("down", "beside")
    shop.breaks["down"] = BackendUnavailable("the store", "it is gone")
    graph = shop.orchestrator(local)
    tasks = [job("down", "x"), job("next", after=("down",)), job("rival", "x")]

    with ExitStack() as running:
        running.enter_context(pytest.raises(BackendUnavailable))
        running.enter_context(under_way(graph, [*tasks, job("beside"), job("end", after=("beside",))], mode))
        shop.wait_for("start", "down", "beside")
        shop.release("down", *(["beside"] if mode == "sync" else []))  # on an event loop, LangGraph cancels it
    shop.release("beside")

    assert not shop.has("start", "next") and not shop.has("start", "rival")
    results = do(graph, None, mode)
    assert statuses(results) == dict.fromkeys(["down", "beside", "next", "rival", "end"], "done")
    assert set(shop.times("end").values()) == {1}


def test_a_replay_from_a_checkpoint_is_answered_with_what_is_known(local: Coordinator, mode: str) -> None:
    shop = Workshop()
    graph = shop.orchestrator(local)
    results = do(graph, [job("one", "x"), job("two", "x"), job("three", after=("one",))], mode)
    before = next(state for state in graph.get_state_history(thread()) if "worker" in state.next)

    again = do(graph, None, mode, config=before.config)

    assert shop.times("start") == {"one": 1, "two": 1, "three": 1}
    assert {name: again[name]["result"] for name in again} == {name: results[name]["result"] for name in results}


def test_a_replay_whose_result_was_not_stored_says_so(local: Coordinator, mode: str) -> None:
    builder = StateGraph(Work)
    builder.add_node("work", lambda state: {"told": "x" * 300_000})
    builder.add_edge(START, "work")
    graph = build_orchestrator({"worker": builder.compile()}, local, checkpointer=InMemorySaver())
    do(graph, [job("one")], mode)
    before = next(state for state in graph.get_state_history(thread()) if "worker" in state.next)

    again = do(graph, None, mode, config=before.config)

    assert (again["one"]["status"], again["one"]["result"]) == ("done", None)
    assert "too large to be stored" in again["one"]["error"]


def test_a_cancelled_run_goes_on_where_it_was(local: Coordinator) -> None:
    shop = Workshop()
    shop.hold("held")
    graph = shop.orchestrator(local)

    async def cancelled() -> None:
        running = asyncio.ensure_future(
            graph.ainvoke({"tasks": [job("done"), job("held", "x"), job("next", "x")]}, thread(), durability="sync")
        )
        await asyncio.to_thread(shop.wait_for, "end", "done")
        await asyncio.to_thread(shop.wait_for, "start", "held")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancelled())
    assert local.snapshot().leases == () and not shop.has("start", "next")
    shop.release("held")
    results = do(graph, None, "async")

    assert set(statuses(results).values()) == {"done"} and shop.times("end") == {"done": 1, "held": 1, "next": 1}


def test_a_run_that_is_drained_starts_nothing_more_and_goes_on_later(local: Coordinator, mode: str) -> None:
    shop, control = Workshop(), RunControl()
    shop.hold("held")
    graph = shop.orchestrator(local)
    tasks = [job("held", "x"), job("rival", "x"), job("next", after=("held",))]

    with ExitStack() as running:
        running.enter_context(pytest.raises(GraphDrained))
        running.enter_context(under_way(graph, tasks, mode, control=control))
        shop.wait_for("start", "held")
        control.request_drain("a new version")
        shop.release("held")
    assert shop.times("end") == {"held": 1} and not shop.has("start", "rival")
    results = do(graph, None, mode)

    assert set(statuses(results).values()) == {"done"} and shop.times("end") == {"held": 1, "rival": 1, "next": 1}


def test_a_durability_that_may_lose_the_plan_is_warned_of(local: Coordinator, tmp_path: Path) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.sqlite")) as saver:
        graph = Workshop().orchestrator(local, checkpointer=saver)
        with pytest.warns(ClawproofWarning, match="done a second time"):
            graph.invoke({"tasks": [job("one")]}, thread())
