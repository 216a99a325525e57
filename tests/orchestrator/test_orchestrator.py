"""What an orchestrator does with tasks: which run at once, in which order, and what it gives."""

import threading
from typing import Annotated, Any

import pytest
from langchain.agents import AgentState, create_agent
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from clawproof_langgraph.orchestrator import OrchestratorInput, Task, build_orchestrator
from tests.langgraph.scripted import ScriptedModel, call, says, thread
from tests.waiting import PATIENCE

from .workshop import Workshop, do, job, statuses, under_way

# --- order --------------------------------------------------------------------------------------------------------


def test_what_is_ready_does_not_wait_for_the_slowest(local: Coordinator, mode: str) -> None:
    shop = Workshop()
    shop.hold("slow")
    tasks = [
        job("slow"),
        job("one"),
        job("two", after=("one",)),
        job("three", after=("two",)),
        job("end", after=("slow",)),
    ]

    with under_way(shop.orchestrator(local), tasks, mode) as results:
        shop.wait_for("end", "three")
        assert not shop.has("start", "end")
        shop.release("slow")

    assert statuses(results) == dict.fromkeys(["slow", "one", "two", "three", "end"], "done")


def test_what_is_in_conflict_runs_in_the_order_of_arrival(coordinator: Coordinator, mode: str) -> None:
    shop, names = Workshop(), [str(number) for number in range(8)]

    do(shop.orchestrator(coordinator), [job(name, "inventory/1") for name in names], mode)

    assert shop.log == [(what, name) for name in names for what in ("start", "end")]


def test_what_shares_a_resource_meets(coordinator: Coordinator, mode: str) -> None:
    shop = Workshop()
    shop.hold("one", "two", "writer")
    tasks = [
        job("one", price="shared"),
        job("two", price="shared"),
        job("writer", "price"),
        job("last", price="shared"),
    ]

    with under_way(shop.orchestrator(coordinator), tasks, mode):
        shop.wait_for("start", "one", "two")
        shop.release("one", "two")
        shop.wait_for("start", "writer")
        assert not shop.has("start", "last")
        shop.release("writer")


def test_names_are_the_same_in_every_form(local: Coordinator, mode: str) -> None:
    shop = Workshop()

    do(shop.orchestrator(local), [job("one", "caf\u00e9"), job("two", "cafe\u0301")], mode)

    assert shop.log == [("start", "one"), ("end", "one"), ("start", "two"), ("end", "two")]


def test_a_dependency_may_arrive_after_what_depends_on_it(local: Coordinator, mode: str) -> None:
    shop = Workshop()

    do(shop.orchestrator(local), [job("second", "x", after=("first",)), job("first", "x")], mode)

    assert [name for what, name in shop.log if what == "start"] == ["first", "second"]


@pytest.mark.parametrize("limit", [{"max_parallel": 2}, {"config": {**thread(), "max_concurrency": 2}}], ids=str)
def test_with_two_places_all_is_done_and_never_three_at_once(local: Coordinator, mode: str, limit: Any) -> None:
    shop = Workshop()
    tasks = [job(str(n), f"r{n % 3}", after=(str(n - 4),) if n >= 4 else ()) for n in range(16)]
    options, run = (limit, {}) if "max_parallel" in limit else ({}, limit)

    results = do(shop.orchestrator(local, **options), tasks[::-1], mode, **run)

    running = most = 0
    for what, _ in shop.log:
        running += 1 if what == "start" else -1
        most = max(most, running)
    assert len(results) == 16 and set(statuses(results).values()) == {"done"} and most <= 2


def test_more_tasks_than_threads_wait_without_holding_up_others(local: Coordinator) -> None:
    """Under `invoke`, LangGraph gives a node that waits a thread, and has a few only."""
    shop = Workshop()
    shop.hold("slow")
    waiting = [job(f"waits-{n}", after=("slow",)) for n in range(60)]
    chain = [job(f"chain-{n}", after=(f"chain-{n - 1}",) if n else ()) for n in range(60)]

    with under_way(shop.orchestrator(local), [job("slow"), *waiting, *chain], "sync"):
        shop.wait_for("end", "chain-59")
        shop.release("slow")


# --- results ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_failure", "next_one", "free"),
    [("skip_dependents", "skipped", "done"), ("fail_dependents", "failed", "done"), ("stop", "skipped", "skipped")],
)
def test_a_failure_is_collected_and_what_depends_on_it_does_not_run(
    local: Coordinator, mode: str, on_failure: str, next_one: str, free: str
) -> None:
    shop = Workshop()
    shop.breaks["bad"] = ConnectionError("the line is dead")
    tasks = [job("bad", "x"), job("next", after=("bad",)), job("last", after=("next",)), job("free", "x")]

    results = do(shop.orchestrator(local, on_failure=on_failure), tasks, mode)

    assert statuses(results) == {"bad": "failed", "next": next_one, "last": next_one, "free": free}
    assert results["bad"]["error"] == "ConnectionError: the line is dead" and results["bad"]["result"] is None
    assert '"bad" failed' in results["next"]["error"] and '"bad" failed' in results["last"]["error"]
    assert not shop.has("start", "next") and not shop.has("start", "last")


def test_a_run_that_stopped_does_not_stop_the_next_one(local: Coordinator, mode: str) -> None:
    shop = Workshop()
    shop.breaks["bad"] = ConnectionError()
    graph = shop.orchestrator(local, on_failure="stop")
    do(graph, [job("bad")], mode)

    results = do(graph, [job("good"), job("dependent", after=("bad",))], mode)

    assert statuses(results) == {"bad": "failed", "good": "done", "dependent": "skipped"}


def test_an_agent_is_given_what_is_made_of_the_results_before(local: Coordinator, mode: str) -> None:
    shop = Workshop()

    def prepare(task: Task, before: Any) -> Any:
        told = [result["result"]["told"] for result in before.values()]
        return {"job": f"{task['id']} after {told}"}

    tasks = [job("one"), job("two", after=("one",)), job("three", after=("one", "two"))]
    results = do(shop.orchestrator(local, prepare=prepare), tasks, mode)

    assert results["two"]["result"]["told"] == "two after ['one after [] is done'] is done"
    assert results["three"]["result"]["job"].count("is done") == 3


def test_later_tasks_of_a_thread_come_on_top_and_may_depend_on_the_ones_before(local: Coordinator, mode: str) -> None:
    shop = Workshop()
    graph = shop.orchestrator(local)

    do(graph, [job("one")], mode)
    results = do(graph, [job("two", after=("one",))], mode)

    assert statuses(results) == {"one": "done", "two": "done"} and shop.times("start") == {"one": 1, "two": 1}
    assert do(graph, [], mode).keys() == {"one", "two"}


def test_without_a_thread_or_a_checkpointer_each_run_is_new(local: Coordinator, mode: str) -> None:
    shop = Workshop()
    graph = shop.orchestrator(local, checkpointer=None)

    for _ in range(2):
        assert statuses(do(graph, [job("one")], mode, config={})) == {"one": "done"}

    assert shop.times("start") == {"one": 2}


def test_what_cannot_be_stored_is_a_result_all_the_same(local: Coordinator, mode: str) -> None:
    large = "x" * 300_000
    graph = build_orchestrator({"echo": RunnableLambda(lambda given: given)}, local)

    assert do(graph, [Task(id="1", agent="echo", input=large)], mode)["1"]["result"] == large


# --- agents -------------------------------------------------------------------------------------------------------


def test_agents_of_create_agent_and_graphs_and_other_runnables_are_taken_as_they_are(
    local: Coordinator, mode: str
) -> None:
    talker = create_agent(ScriptedModel(replies=[says(text="hello")]), [], name="talker")
    agents = {"talker": talker, "worker": Workshop().worker(), "lambda": RunnableLambda(lambda given: given + 1)}
    graph = build_orchestrator(agents, local, checkpointer=InMemorySaver())

    results = do(
        graph,
        [Task(id="1", agent="talker", input="say hello"), job("2"), Task(id="3", agent="lambda", input=2)],
        mode,
    )

    assert [message.text for message in results["1"]["result"]["messages"]] == ["say hello", "hello"]
    assert results["2"]["result"]["told"] == "2 is done" and results["3"]["result"] == 3


class Adding(AgentState):
    """The state of an agent that adds tasks."""

    tasks: list[Task]


@tool
def split(tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
    """Split the work."""
    parts = [job("a", "x"), job("b", "x", after=("a",)), job("c", after=("plan", "b"))]
    return Command(update={"tasks": parts, "messages": [ToolMessage("split", tool_call_id=tool_call_id)]})


def planner() -> Any:
    replies = [says(call("split")), says(text="done")]
    return create_agent(ScriptedModel(replies=replies), [split], state_schema=Adding, name="planner")


def test_an_agent_adds_tasks(local: Coordinator, mode: str) -> None:
    shop = Workshop()
    graph = shop.orchestrator(local, agents={"planner": planner(), "worker": shop.worker()})

    results = do(graph, [Task(id="plan", agent="planner", input="plan"), job("a")], mode)

    assert statuses(results) == dict.fromkeys(["plan", "a", "plan/a", "plan/b", "plan/c"], "done")
    assert "tasks" not in results["plan"]["result"]
    assert [name for what, name in shop.log if what == "end"] == ["a", "a", "b", "c"]


def test_bad_tasks_of_an_agent_fail_the_task_that_adds_them(local: Coordinator, mode: str) -> None:
    def plan(given: Any) -> Any:
        return {"tasks": [Task(id="a", agent="nobody", input=None)]}

    graph = build_orchestrator({"planner": RunnableLambda(plan)}, local, checkpointer=InMemorySaver())

    results = do(graph, [Task(id="plan", agent="planner", input=None)], mode)

    assert results.keys() == {"plan"} and "'nobody'" in results["plan"]["error"]


def test_an_orchestrator_is_an_agent_of_another_one_and_a_node_of_a_graph(local: Coordinator, mode: str) -> None:
    shop = Workshop()
    inner = build_orchestrator({"worker": shop.worker()}, local)
    outer = build_orchestrator({"inner": inner}, local)
    builder = StateGraph(OrchestratorInput)
    builder.add_node("outer", outer)
    builder.add_edge(START, "outer")
    tasks = [Task(id=name, agent="inner", input={"tasks": [job(name, name), job(f"{name}-2", name)]}) for name in "ab"]

    results = do(outer, tasks, mode)
    graph = builder.compile(checkpointer=InMemorySaver())
    graph.invoke({"tasks": tasks}, thread(), durability="sync")

    assert statuses(results["a"]["result"]["results"]) == {"a": "done", "a-2": "done"}
    assert shop.times("end") == dict.fromkeys(["a", "b", "a-2", "b-2"], 2)


# --- what others see ----------------------------------------------------------------------------------------------


def test_it_draws_itself_and_its_agents(local: Coordinator) -> None:
    talker = create_agent(ScriptedModel(replies=[]), [split], name="talker")
    graph = build_orchestrator({"worker": Workshop().worker(), "talker": talker}, local)

    drawn = graph.get_graph()
    assert set(drawn.nodes) == {"__start__", "orchestrator", "worker", "talker", "__end__"}
    edges = {(edge.source, edge.target) for edge in drawn.edges}
    assert {("orchestrator", "worker"), ("worker", "orchestrator"), ("orchestrator", "__end__")} <= edges
    assert {"talker:model", "talker:tools"} <= set(graph.get_graph(xray=True).nodes)
    assert "worker" in graph.get_graph().draw_mermaid()


def test_its_schemas_tell_what_goes_in_and_what_comes_out(local: Coordinator) -> None:
    graph = Workshop().orchestrator(local)

    task = graph.get_input_jsonschema()["$defs"]["Task"]
    assert set(task["required"]) == {"id", "agent", "input"}
    assert set(graph.get_output_jsonschema()["properties"]) == {"results"}


def test_its_stream_shows_the_agents_at_work(local: Coordinator) -> None:
    talker = create_agent(ScriptedModel(replies=[says(text="hello")]), [], name="talker")
    graph = build_orchestrator({"worker": Workshop().worker(), "talker": talker}, local, checkpointer=InMemorySaver())
    given = {"tasks": [job("1"), Task(id="2", agent="talker", input="hello")]}

    seen = list(graph.stream(given, thread(), stream_mode=["updates", "messages"], subgraphs=True, durability="sync"))

    inside = {place[0].split(":")[0]: set(update) for place, kind, update in seen if place and kind == "updates"}
    assert inside == {"worker": {"work"}, "talker": {"model"}}
    spoken = [part for _, kind, part in seen if kind == "messages"]
    assert {(message.text, about["clawproof_task"]) for message, about in spoken} >= {("hello", "2")}


def test_the_log_tells_which_task_held_what(coordinator: Coordinator, mode: str) -> None:
    do(Workshop().orchestrator(coordinator), [job("restock", "inventory/1")], mode)

    started = coordinator.events(types=["call.started"])
    assert [(event.agent, event.resources, event.data["task"]) for event in started] == [
        ("worker", ("inventory/1",), "restock")
    ]


def test_a_guard_looks_into_the_agents(local: Coordinator) -> None:
    """`split` has a policy, and the one agent runs it without the guard."""
    guard = Guard(local, tools={"split": ToolPolicy()})
    model = ScriptedModel(replies=[])
    guarded = create_agent(model, [split], middleware=[CoordinationMiddleware(guard)], name="guarded")
    agents = {"guarded": guarded, "plain": create_agent(model, [split], name="plain")}

    findings = guard.check(build_orchestrator(agents, local, checkpointer=InMemorySaver()))

    assert [(finding.kind, finding.where) for finding in findings] == [("unguarded-tool", "plain > tools")]


def test_two_runs_of_two_threads_do_not_wait_for_each_other_but_for_resources(local: Coordinator, mode: str) -> None:
    shop, met = Workshop(), threading.Barrier(2)
    shop.asks["1"] = lambda: met.wait(PATIENCE) and "met"
    graph = shop.orchestrator(local)

    with under_way(graph, [job("1")], mode, config=thread("a")), under_way(graph, [job("1")], mode, config=thread("b")):
        pass

    assert shop.times("end") == {"1": 2}
