"""What the model and the operator are told when a call is not run."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from langchain_core.tools import tool

from clawproof_langgraph import (
    AgentKilled,
    CallInProgress,
    ConfigurationError,
    Coordinator,
    FingerprintMismatch,
    Guard,
    OutcomeUnknown,
    ToolPolicy,
    WaitTimeout,
)
from clawproof_langgraph import current_call as running
from tests.langgraph.scripted import asks, call, play, results, says, thread, tools_only
from tests.waiting import PATIENCE, wait_until

from .stage import as_tool, guarded, hooked, human, policies, turn, types_of, use


def reserve(sku: str) -> str:
    """Reserve."""
    return f"reserved {sku}"


@contextmanager
def held_elsewhere(coordinator: Coordinator, *resources: str, agent: str = "pricing") -> Iterator[None]:
    """Hold a lock in another thread."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with coordinator.lock(*resources, agent=agent):
            held.set()
            assert release.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        wait_until(held.is_set)
        try:
            yield
        finally:
            release.set()
            holding.result()


def test_a_turn_that_does_not_come_is_an_error_message_that_names_holder_and_resource(
    coordinator: Coordinator, face: str
) -> None:
    copy = guarded(coordinator, as_tool(reserve, face), ToolPolicy(locks=["inventory/{sku}"], wait=0.05))

    with held_elsewhere(coordinator, "inventory/a"):
        answer = use(copy, face, sku="a")

    assert (answer.status, answer.tool_call_id, answer.name) == ("error", "call-1", "reserve")
    assert '"inventory/a", held by agent "pricing"; nothing was run' in answer.content
    assert types_of(coordinator).count("lock.denied") == 1
    assert coordinator.snapshot().waiters == ()
    assert use(copy, face, sku="a").content == "reserved a"


def test_a_turn_that_does_not_come_raises_where_the_policy_says_so(coordinator: Coordinator, face: str) -> None:
    policy = ToolPolicy(locks=["inventory/{sku}"], wait=0.05, on_refusal="raise")
    copy = guarded(coordinator, as_tool(reserve, face), policy)

    with held_elsewhere(coordinator, "inventory/a"), pytest.raises(WaitTimeout) as caught:
        use(copy, face, sku="a")

    assert caught.value.resource == "inventory/a"
    assert "pricing" in caught.value.holder and caught.value.waited >= 0.05


def test_the_same_call_that_is_running_elsewhere_is_said_to_be_in_progress(coordinator: Coordinator) -> None:
    started, release = threading.Event(), threading.Event()

    def place(order: int) -> str:
        """Place an order, slowly."""
        started.set()
        assert release.wait(PATIENCE)
        return "placed"

    copies = [
        guarded(coordinator, as_tool(place, "sync"), ToolPolicy(key="order/{order}", wait=0.05, on_refusal=told))
        for told in ("tell_model", "raise")
    ]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(use, copies[0], order=7)
        wait_until(started.is_set)
        answer = use(copies[0], order=7)
        with pytest.raises(CallInProgress):
            use(copies[1], order=7)
        release.set()

        assert first.result().content == "placed"
    assert answer.status == "error" and "still running" in answer.content


def test_one_key_for_two_intents_is_refused(coordinator: Coordinator, face: str) -> None:
    copy = guarded(coordinator, as_tool(reserve, face), ToolPolicy(key="only-one"))
    strict = guarded(coordinator, as_tool(reserve, face), ToolPolicy(key="only-one", on_refusal="raise"))
    use(copy, face, sku="a")

    answer = use(copy, face, sku="b")

    assert answer.status == "error" and "other arguments" in answer.content
    with pytest.raises(FingerprintMismatch):
        use(strict, face, sku="b")


def test_key_fields_say_which_arguments_make_a_call_the_same(coordinator: Coordinator, face: str) -> None:
    def order(number: int, note: str) -> str:
        """Order."""
        return note

    copy = guarded(coordinator, as_tool(order, face), ToolPolicy(key="order/{number}", key_fields=["number"]))

    assert use(copy, face, number=1, note="first").content == "first"
    assert use(copy, face, number=1, note="second").content == "first"
    assert use(copy, face, number=2, note="third").content == "third"


def test_a_stopped_agent_runs_nothing_until_it_is_revived(coordinator: Coordinator, mode: str) -> None:
    ran: list[str] = []

    @tool
    def sell(sku: str) -> str:
        """Sell."""
        ran.append(sku)
        return "sold"

    guards = [Guard(coordinator, agent=agent, tools={"sell": ToolPolicy()}) for agent in ("orders", "other")]
    coordinator.kill("orders", reason="sells too much", by="ops")

    answers = [
        results(play(hooked(guard, turn(call("sell", sku=guard.agent)), [sell]), human(), thread(), mode=mode))[0]
        for guard in guards
    ]
    assert ran == ["other"]
    assert answers[0].status == "error"
    assert '"orders" was stopped by ops: sells too much' in answers[0].content

    coordinator.revive("orders", by="ops")
    play(hooked(guards[0], turn(call("sell", sku="again")), [sell]), human(), thread(), mode=mode)
    assert ran == ["other", "again"]


def test_a_kill_reaches_a_running_tool_at_its_next_check(coordinator: Coordinator, mode: str) -> None:
    def sell() -> str:
        """Sell until stopped."""
        mine = running()
        assert mine is not None
        coordinator.kill("orders", reason="stop", by="ops")
        wait_until(lambda: _stopped(mine))
        mine.check()
        return "sold on"

    policy = ToolPolicy(ttl=0.3, effect="idempotent")
    copy = guarded(coordinator, as_tool(sell, "sync"), policy, agent="orders")

    with pytest.raises(AgentKilled, match="ops: stop"):
        use(copy, mode)

    assert coordinator.snapshot().leases == ()


def _stopped(mine: Any) -> bool:
    try:
        mine.check()
    except AgentKilled:
        return True
    return False


def test_heartbeat_asks_the_store_now(coordinator: Coordinator, mode: str) -> None:
    def sell() -> str:
        """Sell until stopped."""
        mine = running()
        assert mine is not None
        coordinator.kill("orders", reason="stop", by="ops")
        mine.check()
        mine.heartbeat()
        return "sold on"

    policy = ToolPolicy(effect="idempotent")
    with pytest.raises(AgentKilled):
        use(guarded(coordinator, as_tool(sell, "sync"), policy, agent="orders"), mode)


@pytest.mark.parametrize("outcome", ["applied", "not_applied"])
def test_an_operator_resolves_a_call_in_doubt(coordinator: Coordinator, face: str, outcome: Any) -> None:
    ran: list[int] = []

    def place(order: int) -> str:
        """Place an order, of which the first reply is lost."""
        ran.append(order)
        if len(ran) == 1:
            raise ConnectionError("reply lost")
        return "placed"

    copy = guarded(coordinator, as_tool(place, face), ToolPolicy(key="order/{order}"))
    with pytest.raises(ConnectionError):
        use(copy, face, order=7)
    assert "clawproof resolve order/7" in use(copy, face, order=7).content

    coordinator.resolve("order/7", outcome, result="placed by hand" if outcome == "applied" else None, by="ops")

    expected = {"applied": ("placed by hand", 1), "not_applied": ("placed", 2)}[outcome]
    assert (use(copy, face, order=7).content, len(ran)) == expected
    assert coordinator.snapshot().in_doubt == ()


def test_what_is_resolved_without_a_result_is_told_to_have_succeeded(coordinator: Coordinator, face: str) -> None:
    def place(order: int) -> str:
        """Place an order, of which the reply is lost."""
        raise ConnectionError("reply lost")

    copy = guarded(coordinator, as_tool(place, face), ToolPolicy(key="order/{order}"))
    with pytest.raises(ConnectionError):
        use(copy, face, order=7)

    coordinator.resolve("order/7", "applied")

    told = use(copy, face, order=7)
    assert told.status == "success"
    assert "succeeded; what it returned cannot be shown" in told.content


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"outcome": "not_applied", "result": "x"}, "contradict each other"),
        ({"outcome": "applied", "by": 3}, "by=3 is no text"),
        ({"outcome": "applied", "key": None}, "key=None is no text"),
    ],
)
def test_a_resolution_that_makes_no_sense_changes_nothing(
    coordinator: Coordinator, wrong: dict[str, Any], told: str
) -> None:
    def place() -> str:
        """Place an order, of which the reply is lost."""
        raise ConnectionError("reply lost")

    with pytest.raises(ConnectionError):
        use(guarded(coordinator, as_tool(place, "sync"), ToolPolicy(key="order")))

    with pytest.raises(ConfigurationError, match=told):
        coordinator.resolve(**{"key": "order", **wrong})

    assert len(coordinator.snapshot().in_doubt) == 1


def test_a_policy_may_let_a_call_in_doubt_run_again(coordinator: Coordinator, face: str) -> None:
    ends: list[Any] = [ConnectionError("reply lost")]

    def place(order: int) -> str:
        """Place an order, of which the first reply is lost."""
        for end in [ends.pop()] if ends else []:
            raise end
        return "placed"

    copy = guarded(coordinator, as_tool(place, face), ToolPolicy(key="order/{order}", on_in_doubt="rerun"))
    with pytest.raises(ConnectionError):
        use(copy, face, order=7)

    assert use(copy, face, order=7).content == "placed"
    assert coordinator.snapshot().in_doubt == ()


def test_a_refusal_raised_in_a_graph_leaves_it(coordinator: Coordinator, mode: str) -> None:
    def place() -> str:
        """Lose the reply."""
        raise ConnectionError("reply lost")

    guard = Guard(coordinator, tools=policies(place=ToolPolicy(on_refusal="raise")))
    graph = tools_only(guard.tool_node([as_tool(place, "sync")]))
    with pytest.raises(ConnectionError):
        play(graph, asks(call("place")), thread(), mode=mode)

    with pytest.raises(OutcomeUnknown):
        play(graph, {"messages": [says(call("place", "call-2"), message_id="ai-2")]}, thread(), mode=mode)
