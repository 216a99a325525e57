"""A run that goes back to before a nested agent's call: what is the same call, and what the model is asked anew."""

from typing import Any

import pytest

from clawproof_langgraph import Coordinator, ToolPolicy
from tests.langgraph.scripted import play, results, thread

from .agents import ALL, GUARDED, KEEPING, PAY, PAY_AND_ASK, UNGUARDED, Office
from .stage import human

pytestmark = [
    pytest.mark.parametrize("url", ["memory://"]),  # an arrangement has nothing to do with the store
    pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning"),
]
BEFORE = {"tool": "tools", "deep agent": "tools", "node": "desk", "in a node": "desk"}
"""The node of the outer graph in which the worker works, where it is not of the worker's name."""


def go_back(graph: Any, node: str, mode: str) -> None:
    """Run again from the checkpoint before a node of the outer graph."""
    before = next(state for state in graph.get_state_history(thread()) if state.next == (node,))
    play(graph, None, before.config, mode=mode)


@pytest.mark.parametrize("keeping", KEEPING)
@pytest.mark.parametrize("arrangement", GUARDED)
def test_from_before_a_guarded_tool_its_result_is_given_and_no_worker_is_asked(
    coordinator: Coordinator, mode: str, arrangement: str, keeping: str
) -> None:
    office = Office(coordinator, PAY, KEEPING[keeping]())
    graph = ALL[arrangement](office)

    play(graph, human(), thread(), mode=mode)
    go_back(graph, "tools", mode)

    assert office.paid == [1] and office.model.asked == [0, 1]
    assert [message.text for message in results(graph.get_state(thread()).values)] == ["done"]


@pytest.mark.parametrize(("key", "paid"), [(None, [1, 1]), ("order/7", [1])], ids=["plain", "keyed"])
@pytest.mark.parametrize("keeping", ["inherited", "none"])
@pytest.mark.parametrize("arrangement", UNGUARDED)
def test_from_before_an_agent_its_model_is_asked_anew_and_a_business_key_tells_that_it_is_the_same(
    coordinator: Coordinator, mode: str, arrangement: str, keeping: str, key: str | None, paid: list[int]
) -> None:
    office = Office(coordinator, PAY, KEEPING[keeping](), pay=ToolPolicy(key=key))
    graph = ALL[arrangement](office)

    play(graph, human(), thread(), mode=mode)
    go_back(graph, BEFORE.get(arrangement, "worker"), mode)

    assert office.model.asked == [0, 1, 0, 1]
    assert office.paid == paid and office.model.told[-1] == "paid 1"


@pytest.mark.parametrize("arrangement", ["node", "supervisor", "swarm"])
def test_from_a_checkpoint_of_the_agent_itself_the_call_is_the_same(
    coordinator: Coordinator, mode: str, arrangement: str
) -> None:
    """Of a stateful agent only: any other keeps its checkpoints under a task that a replay does not have."""
    office = Office(coordinator, PAY_AND_ASK, True)
    graph = ALL[arrangement](office)

    play(graph, human(), thread(), mode=mode)
    play(graph, None, before_the_payment(graph), mode=mode)

    assert office.paid == [1] and office.model.asked == [0, 1, 1]
    assert len(office.till.keys()) == 2 and len(set(office.till.keys())) == 1


def before_the_payment(graph: Any) -> Any:
    """Find the checkpoint of the agent inside at which it has asked for the payment, and address the graph with it."""
    around = graph.get_state(thread(), subgraphs=True)
    inside = around.tasks[0].state.config["configurable"]
    history = graph.get_state_history({"configurable": {**inside, "checkpoint_id": None, "checkpoint_map": {}}})
    found = [state for state in history if state.next == ("tools",)][-1].config["configurable"]
    checkpoints = {"": around.config["configurable"]["checkpoint_id"], found["checkpoint_ns"]: found["checkpoint_id"]}
    return {"configurable": {**found, "checkpoint_map": checkpoints}}
