"""A run that breaks off after the effect of a nested agent is resumed, and does not repeat it."""

import itertools
from typing import Any

import pytest
from langchain.agents.middleware import ToolRetryMiddleware
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, RetryPolicy

from clawproof_langgraph import Coordinator, ToolPolicy
from tests.langgraph.scripted import play, thread

from .agents import ALL, BRANCHING, GUARDED, KEEPING, KEPT, PAY, PAY_AND_ASK, PAY_AND_BREAK, UNGUARDED, Office
from .stage import doubts, human

pytestmark = [
    pytest.mark.parametrize("url", ["memory://"]),  # an arrangement has nothing to do with the store
    pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning"),
]
SURE = [(name, keeping) for name in ALL for keeping in KEEPING if name in GUARDED or keeping in KEPT]
"""Where a worker goes on from where it was, or a guarded call around it names its calls."""

ANEW = [(name, "none") for name in UNGUARDED]
"""Where its model is asked anew, and nothing tells that what it says is not a new request."""

KEYED = ToolPolicy(key="order/7")


def gone_on(office: Office, graph: Any, mode: str) -> Any:
    """Run a turn that breaks off, and go on."""
    with pytest.raises(ConnectionError):
        play(graph, human(), thread(), mode=mode)
    return play(graph, None, thread(), mode=mode)


@pytest.mark.parametrize(("arrangement", "keeping"), SURE)
def test_an_error_after_the_effect(coordinator: Coordinator, mode: str, arrangement: str, keeping: str) -> None:
    office = Office(coordinator, PAY_AND_BREAK, KEEPING[keeping]())

    gone_on(office, ALL[arrangement](office), mode)

    assert office.paid == [1] and len(set(office.till.keys())) == 1
    assert office.model.told[-2:] == ["paid 1", "ok"]


@pytest.mark.parametrize(("arrangement", "keeping"), SURE)
def test_an_error_after_two_effects_that_are_both_meant(
    coordinator: Coordinator, mode: str, arrangement: str, keeping: str
) -> None:
    office = Office(coordinator, [*PAY, *PAY_AND_BREAK], KEEPING[keeping]())

    gone_on(office, ALL[arrangement](office), mode)

    assert office.paid == [1, 1] and len(set(office.till.keys())) == 2
    assert office.model.told[-3:] == ["paid 1", "paid 1", "ok"]


def breaking_the_second_time(shipped: list[str]) -> BaseTool:
    """Make a tool of which the second call loses the connection before anything happens."""
    attempts = itertools.count(1)

    @tool
    def break_once() -> str:
        """Ship, if the connection holds."""
        if next(attempts) == 2:
            raise ConnectionError("not reached")
        shipped.append("shipped")
        return "ok"

    return break_once


@pytest.mark.parametrize("arrangement", {**GUARDED, **BRANCHING})
def test_an_error_of_one_of_two_workers_at_once_leaves_no_work_undone(
    coordinator: Coordinator, mode: str, arrangement: str
) -> None:
    """The other one may be answered without running: its checkpoints are not taken for those of this one."""
    office, shipped = Office(coordinator, PAY_AND_BREAK, at_once=2), []
    office.tools = [office.tools[0], breaking_the_second_time(shipped)]

    gone_on(office, ALL[arrangement](office), mode)

    assert office.paid == [1, 1] and shipped == ["shipped", "shipped"]


@pytest.mark.parametrize(("arrangement", "keeping"), SURE)
def test_a_question_to_a_human_after_the_effect(
    coordinator: Coordinator, mode: str, arrangement: str, keeping: str
) -> None:
    office = Office(coordinator, PAY_AND_ASK, KEEPING[keeping]())
    graph = ALL[arrangement](office)

    asked = play(graph, human(), thread(), mode=mode)
    play(graph, Command(resume="yes"), thread(), mode=mode)

    assert len(asked["__interrupt__"]) == 1
    assert office.paid == [1] and len(set(office.till.keys())) == 1
    assert office.model.told[-2:] == ["paid 1", "yes"]


@pytest.mark.parametrize("keeping", ["inherited", "own"])  # LangGraph cannot resume one of several stateful workers
@pytest.mark.parametrize("arrangement", {**GUARDED, **BRANCHING})
def test_questions_of_two_workers_at_once(coordinator: Coordinator, mode: str, arrangement: str, keeping: str) -> None:
    office = Office(coordinator, PAY_AND_ASK, KEEPING[keeping](), at_once=2)
    graph = ALL[arrangement](office)

    state = play(graph, human(), thread(), mode=mode)
    while questions := state.get("__interrupt__"):
        state = play(graph, Command(resume={questions[0].id: "yes"}), thread(), mode=mode)

    assert office.paid == [1, 1] and len(set(office.till.keys())) == 2


class Storage(InMemorySaver):
    """Checkpoints that cannot be written from the payment on, until somebody repairs it."""

    def __init__(self, office: Office) -> None:
        super().__init__()
        self.office, self.repaired = office, False

    def _check(self) -> None:
        if self.office.paid and not self.repaired:
            raise ConnectionError("the storage is gone")

    def put(self, *args: Any) -> Any:
        self._check()
        return super().put(*args)

    def put_writes(self, *args: Any) -> None:
        self._check()
        super().put_writes(*args)


@pytest.mark.parametrize("keeping", ["inherited", "stateful"])
@pytest.mark.parametrize("arrangement", ALL)
def test_an_error_at_the_checkpoint_after_the_effect(
    coordinator: Coordinator, mode: str, arrangement: str, keeping: str
) -> None:
    office = Office(coordinator, PAY, KEEPING[keeping]())
    office.saver = storage = Storage(office)
    graph = ALL[arrangement](office)

    with pytest.raises(ConnectionError):
        play(graph, human(), thread(), mode=mode, durability="sync")
    storage.repaired = True
    play(graph, None, thread(), mode=mode, durability="sync")

    assert office.paid == [1] and office.model.told[-1] == "paid 1"
    assert len(office.till.keys()) == 2 and len(set(office.till.keys())) == 1


# --- where the model is asked anew ------------------------------------------------------------------------------


@pytest.mark.parametrize(("pay", "paid"), [(ToolPolicy(), [1, 1]), (KEYED, [1])], ids=["plain", "keyed"])
@pytest.mark.parametrize(("arrangement", "keeping"), ANEW)
def test_a_worker_without_checkpoints_repeats_what_is_done_unless_it_has_a_business_key(
    coordinator: Coordinator, mode: str, arrangement: str, keeping: str, pay: ToolPolicy, paid: list[int]
) -> None:
    office = Office(coordinator, PAY_AND_BREAK, KEEPING[keeping](), pay=pay)

    gone_on(office, ALL[arrangement](office), mode)

    assert office.model.asked == [0, 1, 0, 1, 2]
    assert office.paid == paid and office.model.told[-2:] == ["paid 1", "ok"]


def losing_its_reply(office: Office) -> BaseTool:
    """Make a payment of which the first reply is lost."""

    @tool
    def pay() -> str:
        """Pay."""
        office.paid.append(1)
        if len(office.paid) == 1:
            raise ConnectionError("reply lost")
        return "paid"

    return pay


@pytest.mark.parametrize("keeping", ["inherited", "none"])
@pytest.mark.parametrize("arrangement", ALL)
def test_a_payment_in_doubt_is_not_repeated_by_a_worker_who_is_asked_anew(
    coordinator: Coordinator, mode: str, arrangement: str, keeping: str
) -> None:
    office = Office(coordinator, PAY, KEEPING[keeping]())
    office.tools = [losing_its_reply(office)]

    gone_on(office, ALL[arrangement](office), mode)

    assert office.paid == [1] and doubts(coordinator) == ["pay"]
    assert "The outcome of an earlier" in office.model.told[-1]


RETRIED = [("node", keeping) for keeping in KEEPING] + [("in a node", keeping) for keeping in KEEPING]


@pytest.mark.parametrize(("pay", "paid"), [(ToolPolicy(), [1, 1]), (KEYED, [1])], ids=["plain", "keyed"])
@pytest.mark.parametrize(("arrangement", "keeping"), RETRIED)
def test_a_retry_policy_on_the_node_of_a_worker_repeats_what_is_done_unless_it_has_a_business_key(
    coordinator: Coordinator, mode: str, arrangement: str, keeping: str, pay: ToolPolicy, paid: list[int]
) -> None:
    retried = {"retry_policy": RetryPolicy(initial_interval=0, jitter=False)}
    office = Office(coordinator, PAY_AND_BREAK, KEEPING[keeping](), pay=pay, node=retried)

    play(ALL[arrangement](office), human(), thread(), mode=mode)

    assert office.paid == paid


@pytest.mark.parametrize("keeping", KEEPING)
def test_a_retry_policy_on_the_node_of_a_tool_that_delegates_repeats_nothing(
    coordinator: Coordinator, mode: str, keeping: str
) -> None:
    retried = {"retry_policy": RetryPolicy(initial_interval=0, jitter=False)}
    office = Office(coordinator, PAY_AND_BREAK, KEEPING[keeping](), node=retried)

    play(GUARDED["guarded tool by hand"](office), human(), thread(), mode=mode)

    assert office.paid == [1] and office.model.told == ["paid 1", "ok"]


RETRIED_TOOL = {
    ("tool", "inherited"): [1, 1],
    ("tool", "stateful"): [1, 1],
    ("tool", "none"): [1, 1],
    ("guarded tool", "inherited"): [1, 1],
    ("guarded tool", "stateful"): [1, 1],
    ("guarded tool", "none"): [1],
}


@pytest.mark.parametrize(("around", "paid"), RETRIED_TOOL.items(), ids=str)
def test_tool_retry_middleware_starts_the_worker_anew(
    coordinator: Coordinator, mode: str, around: tuple[str, str], paid: list[int]
) -> None:
    arrangement, keeping = around
    retried = [ToolRetryMiddleware(initial_delay=0, jitter=False)]
    for pay, times in ((ToolPolicy(), paid), (KEYED, [1])):
        office = Office(coordinator, PAY_AND_BREAK, KEEPING[keeping](), pay=pay, around=retried)
        play(ALL[arrangement](office), human(), thread(), mode=mode)
        assert office.paid == times
