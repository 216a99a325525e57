"""What becomes of a guarded call in each surrounding: the facts behind the warnings, and behind where there is none."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import permutations
from typing import Any

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware, ToolRetryMiddleware
from langchain_core.tools import ToolException
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from clawproof_langgraph import Coordinator, Guard, NotApplied, Rejected, ToolPolicy, current_call
from clawproof_langgraph.middleware import CoordinationMiddleware
from tests.langgraph.scripted import asks, call, play, results, thread, tools_only
from tests.waiting import wait_until

from .stage import as_tool, doubts, human, ready_made, turn
from .surrounding import RETRY, Shop, go, inside

pytestmark = pytest.mark.filterwarnings("ignore::clawproof_langgraph.errors.ClawproofWarning")

LOST = ConnectionError("reply lost")
UNKNOWN = "The outcome of an earlier"
Around = Callable[[Shop], Any]


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    """Give one store: what surrounds a call has nothing to do with which."""
    with Coordinator.from_url("memory://") as made:
        yield made


def middleware(outer: str) -> Around:
    """Put ToolRetryMiddleware outside or inside the guard's middleware."""

    def build(shop: Shop) -> Any:
        pair = [ToolRetryMiddleware(initial_delay=0, jitter=False), CoordinationMiddleware(shop.guard)]
        return shop.agent(*(pair if outer == "retry" else reversed(pair)))

    return build


RETRIED = {
    "ToolRetryMiddleware outside": middleware("retry"),
    "ToolRetryMiddleware inside": middleware("guard"),
    "RetryPolicy": lambda shop: shop.loop(retry=RETRY),
    "RetryPolicy for all nodes": lambda shop: shop.loop(defaults=RETRY),
}


@pytest.fixture(params=RETRIED)
def retried(request: pytest.FixtureRequest) -> Around:
    """Give one of the ways in which others run a call again."""
    return RETRIED[request.param]


def heard_by_the_model(graph: Any, mode: str) -> str:
    """Run a turn, and give what the model hears of its payment."""
    return results(go(graph, mode))[0].text


def test_a_call_whose_effect_is_unknown_is_not_run_again_and_its_error_gives_way(
    coordinator: Coordinator, face: str, retried: Around
) -> None:
    shop, mode = Shop(coordinator, face, error=LOST), "sync" if face == "sync" else "async"

    assert UNKNOWN in heard_by_the_model(retried(shop), mode)
    assert shop.paid == [1] and doubts(coordinator) == ["pay"]


@pytest.mark.parametrize(
    ("error", "times"), [(NotApplied("nothing"), 9), (ToolException("no"), 3), (Rejected("no"), 1)]
)
def test_what_may_run_again_runs_as_often_as_both_say(
    coordinator: Coordinator, mode: str, retried: Around, error: Exception, times: int
) -> None:
    shop = Shop(coordinator, error=error)

    with suppress(type(error)):  # ToolRetryMiddleware makes a message of it
        go(retried(shop), mode)

    assert len(shop.paid) == times


@pytest.mark.parametrize("thread_given", [True, False])
def test_without_a_thread_the_hooks_know_the_call_again(
    coordinator: Coordinator, mode: str, retried: Around, thread_given: bool
) -> None:
    shop = Shop(coordinator, error=LOST)
    graph = retried(shop)
    graph.checkpointer = None

    state = play(graph, human(), thread() if thread_given else None, mode=mode)

    assert UNKNOWN in results(state)[0].content and shop.paid == [1]


def test_without_a_thread_a_wrapped_tool_is_run_again_by_tool_retry_middleware(
    coordinator: Coordinator, mode: str
) -> None:
    shop = Shop(coordinator, error=LOST)
    [shop.tool] = shop.guard.wrap_tools([shop.tool])

    play(shop.agent(ToolRetryMiddleware(initial_delay=0, jitter=False), checkpointer=None), human(), mode=mode)

    assert shop.paid == [1, 1, 1]


def test_an_attempt_that_overlaps_a_timed_out_one_waits_for_it_and_gets_its_result(coordinator: Coordinator) -> None:
    shop = Shop(coordinator)
    pay = shop.tool.func

    def slowly(amount: int = 1) -> str:
        """Pay, once the next attempt has come."""
        wait_until(lambda: coordinator.snapshot().waiters)
        return pay(amount)

    node = shop.guard.tool_node([as_tool(slowly, "thread", name="pay")])
    graph = tools_only(node, node={"retry_policy": RETRY, "timeout": 0.5})

    state = play(graph, asks(call("pay")), thread(), mode="async")

    assert results(state)[0].content == "paid 1" and shop.paid == [1]


def as_a_function(shop: Shop, mode: str) -> Any:
    """Run an agent in the code of a node."""
    agent = shop.agent(checkpointer=None)

    def run(state: Any) -> Any:
        return {"messages": agent.invoke(state)["messages"]}

    async def arun(state: Any) -> Any:
        return {"messages": (await agent.ainvoke(state))["messages"]}

    return arun if mode == "async" else run


def by_hand(shop: Shop, mode: str) -> Any:
    """Ask the model and run its calls in one node."""
    pay = shop.guard.wrap_tool(shop.tool)

    def run(state: Any) -> Any:
        messages = list(state["messages"])
        while (reply := shop.model.invoke(messages)).tool_calls:
            messages += [reply, *[pay.invoke(each) for each in reply.tool_calls]]
        return {"messages": [*messages, reply]}

    return run


AGENTS = {"a graph": lambda shop, mode: shop.agent(checkpointer=None), "a function": as_a_function, "by hand": by_hand}


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("saver", [InMemorySaver, None])
@pytest.mark.parametrize(("policy", "paid"), [({}, 2), ({"effect": "keyed"}, 2), ({"key": "order/{amount}"}, 1)])
def test_a_retry_policy_around_an_agent_pays_twice_unless_a_business_key_says_that_it_is_the_same(
    coordinator: Coordinator, mode: str, agent: str, saver: Any, policy: Any, paid: int
) -> None:
    """Also with checkpoints: an attempt begins with the input of the node."""
    shop = Shop(coordinator, breaks=True, **policy)

    go(inside(AGENTS[agent](shop, mode), retry=RETRY, checkpointer=saver and saver()), mode)

    assert len(shop.paid) == paid


@pytest.mark.parametrize(("checkpointer", "paid"), [(None, 1), (False, 2)])
def test_an_agent_that_keeps_no_checkpoints_inside_a_graph_that_does_pays_twice(
    coordinator: Coordinator, mode: str, checkpointer: Any, paid: int
) -> None:
    shop = Shop(coordinator, breaks=True)
    graph = inside(shop.agent(checkpointer=checkpointer))

    with pytest.raises(ConnectionError):
        go(graph, mode)
    play(graph, None, thread(), mode=mode)

    assert len(shop.paid) == paid


# --- humans in the loop -----------------------------------------------------------------------------------------


ORDERS = ["".join(order) for order in permutations("GHR")]
"""G: the guard's middleware; H: HumanInTheLoopMiddleware; R: ToolRetryMiddleware. The first is outermost."""


class Till:
    """Payments and refunds, with the arguments, resources and leases that their bodies saw."""

    def __init__(self, coordinator: Coordinator, order: str, interrupt_mode: Any) -> None:
        self.coordinator, self.seen = coordinator, []  # type: ignore[var-annotated]
        guard = Guard(coordinator, tools={name: ToolPolicy(locks=[f"{name}/{{amount}}"]) for name in ("pay", "refund")})
        around = {
            "G": CoordinationMiddleware(guard),
            "H": HumanInTheLoopMiddleware(interrupt_on={"pay": True}, interrupt_mode=interrupt_mode),
            "R": ToolRetryMiddleware(initial_delay=0, jitter=False),
        }
        tools = [as_tool(self._run, "sync", name=name, description=name) for name in ("pay", "refund")]
        model = turn(call("pay", amount=1))
        self.agent = ready_made(guard, model, tools, middleware=[around[each] for each in order])

    def _run(self, amount: int) -> str:
        held = current_call()
        assert held is not None
        self.seen.append((amount, held.resources))
        return f"ran {amount}"

    def decide(self, mode: str, decision: dict[str, Any], *, each: bool) -> Any:
        """Run until the human is asked, and go on with a decision."""
        play(self.agent, human(), thread(), mode=mode)
        assert self.coordinator.snapshot().leases == (), "nothing is held while a human thinks"
        [interrupt] = [found for task in self.agent.get_state(thread()).tasks for found in task.interrupts]
        resume = {interrupt.id: decision} if each else {"decisions": [decision]}
        return results(play(self.agent, Command(resume=resume), thread(), mode=mode))[0]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("interrupt_mode", ["batched", "per_call"])
def test_what_a_human_edits_is_what_is_locked_and_run_in_every_order(
    coordinator: Coordinator, mode: str, order: str, interrupt_mode: str
) -> None:
    till = Till(coordinator, order, interrupt_mode)
    edit = {"type": "edit", "edited_action": {"name": "pay", "args": {"amount": 5}}}

    assert till.decide(mode, edit, each=interrupt_mode == "per_call").content.endswith("ran 5")
    assert till.seen == [(5, ("pay/5",))]


@pytest.mark.parametrize("order", ORDERS)
def test_a_tool_that_a_human_puts_in_place_of_another_is_guarded_as_itself_in_every_order(
    coordinator: Coordinator, mode: str, order: str
) -> None:
    till = Till(coordinator, order, "batched")
    edit = {"type": "edit", "edited_action": {"name": "refund", "args": {"amount": 5}}}

    assert till.decide(mode, edit, each=False).content.endswith("ran 5")
    assert till.seen == [(5, ("refund/5",))]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("interrupt_mode", ["batched", "per_call"])
def test_what_a_human_rejects_never_begins_in_every_order(
    coordinator: Coordinator, mode: str, order: str, interrupt_mode: str
) -> None:
    till = Till(coordinator, order, interrupt_mode)

    assert till.decide(mode, {"type": "reject", "message": "no"}, each=interrupt_mode == "per_call").status == "error"
    assert till.seen == [] and coordinator.events() == []
