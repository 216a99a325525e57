"""Equal calls of nested agents that are all meant are all made, each under a key of its own."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph_supervisor import create_supervisor
from langgraph_swarm import create_handoff_tool, create_swarm

from clawproof_langgraph import Coordinator
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import call, play, thread

from .agents import ALL, BRANCHING, GUARDED, KEEPING, PAY, Agent, Office
from .stage import human

pytestmark = [
    pytest.mark.parametrize("url", ["memory://"]),  # an arrangement has nothing to do with the store
    pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning"),
]
Arranged = Callable[["Colleagues"], StateGraph]


@pytest.mark.parametrize("keeping", KEEPING)
@pytest.mark.parametrize("arrangement", ALL)
def test_two_turns_that_ask_for_the_same_call_mean_both(
    coordinator: Coordinator, mode: str, arrangement: str, keeping: str
) -> None:
    office = Office(coordinator, keeping=KEEPING[keeping]())
    graph = ALL[arrangement](office)

    for _ in range(2):
        play(graph, human(), thread(), mode=mode)

    assert office.paid == [1, 1] and len(set(office.till.keys())) == 2


@pytest.mark.parametrize("keeping", KEEPING)
@pytest.mark.parametrize("arrangement", {**GUARDED, **BRANCHING})
def test_two_workers_at_once_that_make_the_same_call_mean_both(
    coordinator: Coordinator, mode: str, arrangement: str, keeping: str
) -> None:
    office = Office(coordinator, keeping=KEEPING[keeping](), at_once=2)

    play(ALL[arrangement](office), human(), thread(), mode=mode)

    assert office.paid == [1, 1] and len(set(office.till.keys())) == 2


class Colleagues:
    """Two workers of an office, who make the same call in the same turn."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def worker(self, name: str, *then: str) -> Any:
        """Make a worker who pays, and then hands over."""
        handoffs = [create_handoff_tool(agent_name=other) for other in then]
        model = Agent(name=name, plan=[*map(list, PAY), *([call(handoff.name, "1")] for handoff in handoffs)])
        middleware = [CoordinationMiddleware(self.office.guard)]
        return create_agent(model, [*self.office.tools, *handoffs], middleware=middleware, name=name)

    def in_a_row(self) -> StateGraph:
        builder = StateGraph(MessagesState)
        builder.add_sequence([("anna", self.worker("anna")), ("bert", self.worker("bert"))])
        builder.add_edge(START, "anna")
        return builder

    def supervised(self) -> StateGraph:
        boss = Agent(name="boss", plan=[[call("transfer_to_anna", "1")], [call("transfer_to_bert", "1")]])
        workers = [self.worker("anna"), self.worker("bert")]
        return create_supervisor(workers, model=boss, supervisor_name="boss", output_mode="full_history")

    def in_swarm(self) -> StateGraph:
        return create_swarm([self.worker("anna", "bert"), self.worker("bert")], default_active_agent="anna")


@pytest.mark.parametrize("arranged", [Colleagues.in_a_row, Colleagues.supervised, Colleagues.in_swarm])
def test_two_agents_that_make_the_same_call_in_one_turn_mean_both(
    coordinator: Coordinator, mode: str, arranged: Arranged
) -> None:
    office = Office(coordinator)
    graph = arranged(Colleagues(office)).compile(checkpointer=InMemorySaver())

    state = play(graph, human(), thread(), mode=mode)

    calls = [each for message in state["messages"] if isinstance(message, AIMessage) for each in message.tool_calls]
    assert [each for each in calls if each["name"] == "pay"] == [call("pay", "1"), call("pay", "1")]
    assert office.paid == [1, 1] and len(set(office.till.keys())) == 2
