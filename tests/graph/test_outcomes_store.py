"""What a call does when the store fails before, during or after its tool."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from clawproof_langgraph import BackendUnavailable, Coordinator, Guard, ToolPolicy
from clawproof_langgraph import current_call as running
from clawproof_langgraph.errors import ClawproofWarning
from clawproof_langgraph.model import Granted
from tests.langgraph.scripted import call, play, says, thread, tools_only
from tests.waiting import wait_until

from .faults import FaultyStore, down
from .stage import as_tool, doubts, guarded, use

TTL = 0.5


class Shop:
    """A guarded tool over a store that may fail."""

    def __init__(self, coordinator: Coordinator, face: str, error: Exception | None = None) -> None:
        self.fences: list[int] = []
        self.error = error
        policy = ToolPolicy(key="order/{order}", locks=["inventory/1"], ttl=TTL, retry=False)
        self.face, self.tool = face, guarded(coordinator, as_tool(self.place, face), policy)

    def place(self, order: int) -> str:
        """Place an order."""
        call = running()
        assert call is not None
        self.fences.append(call.fence)
        if self.error:
            raise self.error
        return "placed"

    def use(self) -> Any:
        return use(self.tool, self.face, order=7)


@pytest.fixture
def store(url: str) -> FaultyStore:
    return FaultyStore(url)


@pytest.fixture
def coordinator(store: FaultyStore) -> Any:
    with Coordinator(store) as made:
        yield made


def test_a_begin_whose_reply_is_lost_and_that_is_asked_again_gets_the_same_grant(
    coordinator: Coordinator, store: FaultyStore, face: str
) -> None:
    shop = Shop(coordinator, face)
    store.lose_reply = True

    assert shop.use().content == "placed"

    lost, repeated = store.replies
    assert isinstance(lost, Granted)
    assert lost == repeated
    assert shop.fences == [lost.fence]
    assert coordinator.snapshot().leases == ()


def test_a_begin_that_got_no_answer_runs_nothing_and_leaves_nothing_behind(
    coordinator: Coordinator, store: FaultyStore, face: str
) -> None:
    shop = Shop(coordinator, face)
    store.cut_off_begin = True

    with pytest.raises(BackendUnavailable):
        shop.use()

    assert shop.fences == []
    assert coordinator.snapshot().leases == () and doubts(coordinator) == []
    assert shop.use().content == "placed"


def test_a_settle_that_fails_for_a_moment_is_tried_again_and_nobody_notices(
    coordinator: Coordinator, store: FaultyStore, face: str
) -> None:
    shop = Shop(coordinator, face)
    store.before_settle = [down]

    assert [shop.use().content, shop.use().content] == ["placed", "placed"]

    assert len(shop.fences) == 1
    assert len(store.settles) == 2 and store.settles[0] == store.settles[1]


def test_a_result_that_cannot_be_recorded_is_given_with_a_warning_and_the_call_is_in_doubt_once_its_lease_ends(
    coordinator: Coordinator, store: FaultyStore, face: str
) -> None:
    shop = Shop(coordinator, face)
    store.always_down = True

    with pytest.warns(ClawproofWarning, match=r"though it took effect.*clawproof resolve order/7 applied"):
        assert shop.use().content == "placed"

    assert len(store.settles) > 1
    wait_until(lambda: doubts(coordinator) == ["place"])
    store.always_down = False
    assert "unknown" in shop.use().content
    assert len(shop.fences) == 1


def test_a_coordinator_that_is_closed_while_a_call_runs_costs_no_time_and_the_result_is_given_with_a_warning(
    tmp_path: Path, face: str
) -> None:
    store = FaultyStore(f"sqlite:///{tmp_path / 'locks.db'}")
    coordinator = Coordinator(store)

    def place(order: int) -> str:
        """Place an order, and close everything."""
        coordinator.close()
        return "placed"

    copy = guarded(coordinator, as_tool(place, face), ToolPolicy(key="order/{order}", ttl=600))
    with pytest.warns(ClawproofWarning, match=r"though it took effect.*clawproof resolve order/7 applied"):
        assert use(copy, face, order=7).content == "placed"

    assert len(store.settles) == 1
    with pytest.raises(BackendUnavailable, match="this coordinator was closed"):
        use(copy, face, order=8)


def test_a_settle_that_fails_while_an_error_unwinds_does_not_hide_it(
    coordinator: Coordinator, store: FaultyStore, face: str
) -> None:
    error = ValueError("broken")
    shop = Shop(coordinator, face, error)
    store.always_down = True

    with pytest.warns(ClawproofWarning), pytest.raises(ValueError, match="broken") as caught:
        shop.use()

    assert caught.value is error
    assert len(store.settles) == 1


@pytest.mark.parametrize("error", [None, ValueError("broken")])
def test_a_program_that_makes_errors_of_warnings_loses_neither_a_result_nor_the_first_error(
    coordinator: Coordinator, store: FaultyStore, face: str, error: Exception | None
) -> None:
    shop = Shop(coordinator, face, error)
    store.always_down = True

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if error is None:
            assert shop.use().content == "placed"
        else:
            with pytest.raises(ValueError, match="broken"):
                shop.use()


@pytest.mark.filterwarnings("ignore:The coordination store:clawproof_langgraph.errors.ClawproofWarning")
def test_a_call_whose_doubt_could_not_be_recorded_is_not_made_again_by_a_model_that_asks_anew(
    coordinator: Coordinator, store: FaultyStore, mode: str
) -> None:
    """Its lease is the only trace of it: the next equal call waits for its end, though it is of the same process."""
    paid: list[int] = []

    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        raise ValueError("the reply cannot be read")

    guard = Guard(coordinator, tools={"pay": ToolPolicy(ttl=TTL)})
    node = guard.tool_node([as_tool(pay, "sync")], handle_tool_errors=True)
    graph = tools_only(node, checkpointer=InMemorySaver())
    store.before_settle = [down]

    for message_id in ("ai-1", "ai-2"):
        message = says(call("pay", "1", amount=1), message_id=message_id)
        found = play(graph, {"messages": [message]}, thread(), mode=mode)

    assert paid == [1]
    assert "must not be repeated" in found["messages"][-1].content
