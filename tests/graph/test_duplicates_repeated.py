"""Payments that a retry layer, a model or a second run asks for again."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain.agents.middleware import ToolRetryMiddleware
from langchain_core.tools import BaseTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import PrivateAttr

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import ScriptedModel, call, play, results, says, thread
from tests.waiting import PATIENCE

from .stage import Build, doubts, hooked, human, ready_made, turn

pytestmark = pytest.mark.filterwarnings("ignore:ToolRetryMiddleware around:clawproof_langgraph.errors.ClawproofWarning")


def losing_replies(paid: list[str]) -> BaseTool:
    """Make a payment of which every reply is lost."""

    @tool
    def pay(amount: int = 1) -> str:
        """Pay."""
        paid.append("once")
        raise ConnectionError("reply lost")

    return pay


def retrying(guard: Guard, *, guard_outside: bool) -> list[Any]:
    ours, retries = CoordinationMiddleware(guard), ToolRetryMiddleware(initial_delay=0, jitter=False)
    return [ours, retries] if guard_outside else [retries, ours]


@pytest.mark.parametrize("guard_outside", [True, False])
def test_a_retry_middleware_around_a_lost_reply_pays_once_and_says_that_the_outcome_is_unknown(
    coordinator: Coordinator, mode: str, guard_outside: bool
) -> None:
    paid: list[str] = []
    guard = Guard(coordinator, tools={"pay": ToolPolicy()})
    middleware = retrying(guard, guard_outside=guard_outside)
    agent = ready_made(guard, turn(call("pay")), [losing_replies(paid)], middleware=middleware)

    state = play(agent, human(), thread(), mode=mode)

    (answer,) = results(state)
    assert len(paid) == 1
    assert answer.status == "error"
    assert "outcome" in answer.content and "unknown" in answer.content


@pytest.mark.parametrize("guard_outside", [True, False])
def test_a_model_that_tries_again_with_a_new_call_after_a_lost_reply_pays_once(
    coordinator: Coordinator, mode: str, guard_outside: bool
) -> None:
    paid: list[str] = []
    guard = Guard(coordinator, tools={"pay": ToolPolicy()})
    middleware = retrying(guard, guard_outside=guard_outside)
    model = ScriptedModel(replies=[says(call("pay", "1")), says(call("pay", "2")), says(text="done")])
    agent = ready_made(guard, model, [losing_replies(paid)], middleware=middleware)

    state = play(agent, human(), thread(), mode=mode)

    assert len(paid) == 1
    assert [message.tool_call_id for message in results(state)] == ["1", "2"]
    assert all("must not be repeated" in message.content for message in results(state))
    assert doubts(coordinator) == ["pay"]


@pytest.mark.parametrize(("args", "thread_id"), [({"amount": 2}, "thread-1"), ({"amount": 1}, "thread-2")])
def test_a_call_in_doubt_is_in_the_way_of_no_other_call(
    coordinator: Coordinator, args: dict[str, Any], thread_id: str
) -> None:
    paid: list[str] = []
    guard = Guard(coordinator, tools={"pay": ToolPolicy()})
    for used, arguments in (("thread-1", {"amount": 1}), (thread_id, args)):
        graph = hooked(guard, turn(call("pay", **arguments)), [losing_replies(paid)])
        with pytest.raises(ConnectionError):
            graph.invoke(human(), thread(used))

    assert len(paid) == 2


class MeetingModel(ScriptedModel):
    """Waits with its first reply until the model of another run is asked too."""

    _together: threading.Barrier = PrivateAttr()

    def __init__(self, together: threading.Barrier, **fields: Any) -> None:
        super().__init__(**fields)
        self._together = together

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        if not self.seen:
            self._together.wait(PATIENCE)
        return super()._generate(*args, **kwargs)


@pytest.mark.parametrize("build", [hooked, ready_made])
@pytest.mark.parametrize(("key", "times"), [(None, 2), ("invoice/{invoice}", 1)])
def test_two_runs_of_one_thread_at_a_time_both_pay_unless_there_is_a_business_key(
    coordinator: Coordinator, build: Build, key: str | None, times: int
) -> None:
    paid: list[int] = []

    @tool
    def pay(invoice: int) -> str:
        """Pay."""
        paid.append(invoice)
        return "paid"

    guard = Guard(coordinator, tools={"pay": ToolPolicy(locks=["account/1"], key=key)})
    together, saver = threading.Barrier(2), InMemorySaver()
    replies = [says(call("pay", invoice=7)), says(text="done")]
    runs = [build(guard, MeetingModel(together, replies=replies), [pay], checkpointer=saver) for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        states = list(pool.map(lambda graph: graph.invoke(human(), thread()), runs))

    assert len(paid) == times
    assert all(results(state)[-1].content == "paid" for state in states)
