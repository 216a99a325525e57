"""How a call settles, by how its tool ended, and what the caller sees: one test for each row of the table."""

from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException
from pydantic import ValidationError

from clawproof_langgraph import Coordinator, NotApplied, OutcomeUnknown, Rejected, Retry, ToolPolicy
from clawproof_langgraph import current_call as running

from .faults import FaultyStore
from .stage import as_tool, doubts, guarded, types_of, use

KEYED_BY_US = {"key": "order/{order}", "locks": ["inventory/1"]}
AT_ONCE = Retry(initial_delay=0, jitter=False)


class Orders:
    """A guarded tool whose every execution is counted, and goes as the test says."""

    def __init__(self, coordinator: Coordinator, face: str, *, options: Any = None, **policy: Any) -> None:
        self.coordinator, self.face = coordinator, face
        self.executions: list[tuple[int, str]] = []
        self.goes: list[Any] = []
        policy = {**KEYED_BY_US, "retry": AT_ONCE, **policy}
        self.tool = guarded(
            coordinator, as_tool(self.place, face, **{"name": "place", **(options or {})}), ToolPolicy(**policy)
        )

    def place(self, order: int) -> Any:
        """Place an order."""
        call = running()
        assert call is not None
        self.executions.append((call.attempt, call.idempotency_key))
        end = self.goes.pop(0) if len(self.goes) > 1 else self.goes[0]
        if isinstance(end, BaseException):
            raise end
        return end

    def use(self, order: int = 7, call_id: str = "call-1") -> Any:
        return use(self.tool, self.face, call_id, order=order)

    @property
    def times(self) -> int:
        return len(self.executions)

    def nothing_is_held(self) -> bool:
        return self.coordinator.snapshot().leases == ()


def test_a_result_is_stored_and_a_repetition_gets_it_readdressed_without_a_second_run(
    coordinator: Coordinator, face: str
) -> None:
    orders = Orders(coordinator, face)
    orders.goes = ["placed"]

    first, second = orders.use(call_id="a"), orders.use(call_id="b")

    assert (first.content, second.content) == ("placed", "placed")
    assert (first.tool_call_id, second.tool_call_id) == ("a", "b")
    assert orders.times == 1 and orders.nothing_is_held()
    assert types_of(coordinator)[-1] == "call.replayed"


def test_an_uncontended_call_takes_two_commands_and_settling_does_all_in_one(url: str, face: str) -> None:
    store = FaultyStore(url)
    with Coordinator(store) as coordinator:
        orders = Orders(coordinator, face, emits="OrderPlaced", locks=["inventory/1", "order/{order}"])
        orders.goes = ["placed"]
        store.before_settle = [lambda: None]

        orders.use()

        assert (len(store.begins), len(store.settles)) == (1, 1)
        assert types_of(coordinator) == ["lock.acquired", "call.started", "call.done", "OrderPlaced", "lock.released"]
        assert len({event.fence for event in coordinator.events()}) == 1


@pytest.mark.parametrize("result", ["x" * 300_000, object()], ids=["too large", "of no storable kind"])
def test_a_result_that_cannot_be_stored_is_given_now_and_a_repetition_is_told_so(
    coordinator: Coordinator, face: str, result: Any
) -> None:
    orders = Orders(coordinator, face)
    orders.goes = [result]

    first, second = orders.use(), orders.use()

    assert first.content == str(result)
    assert "already run" in second.content and "too large or" in second.content
    assert second.status == "success"
    assert orders.times == 1 and doubts(coordinator) == []


def test_arguments_that_fail_the_schema_ask_for_no_turn(url: str, face: str) -> None:
    store = FaultyStore(url)
    with Coordinator(store) as coordinator:
        orders = Orders(coordinator, face)
        orders.goes = ["placed"]

        with pytest.raises(ValidationError):
            use(orders.tool, face, order="many")

        assert store.begins == [] and orders.times == 0


def test_not_applied_is_retried_with_the_same_key_and_then_leaves_as_it_is(coordinator: Coordinator, face: str) -> None:
    orders = Orders(coordinator, face, effect="once")
    error = NotApplied("the queue was full")
    orders.goes = [error]

    with pytest.raises(NotApplied) as caught:
        orders.use()

    assert caught.value is error
    assert [attempt for attempt, _ in orders.executions] == [1, 2, 3]
    assert len({key for _, key in orders.executions}) == 1
    assert types_of(coordinator).count("call.retrying") == 2
    assert doubts(coordinator) == [] and orders.nothing_is_held()

    orders.goes = ["placed"]
    assert orders.use().content == "placed"


def test_a_type_that_the_policy_names_proves_that_nothing_was_applied(coordinator: Coordinator, face: str) -> None:
    orders = Orders(coordinator, face, not_applied_on=[ConnectionRefusedError])
    orders.goes = [ConnectionRefusedError("nobody listens"), "placed"]

    assert orders.use().content == "placed"
    assert orders.times == 2


@pytest.mark.parametrize("marked", [False, True])
def test_an_error_before_the_effect_mark_proves_that_nothing_happened_and_one_after_it_does_not(
    coordinator: Coordinator, mode: str, marked: bool
) -> None:
    executions = []

    def place(order: int) -> str:
        """Place an order."""
        executions.append(order)
        call = running()
        assert call is not None
        if marked:
            call.effect_begins()
        raise ValueError("broken")

    tool = guarded(coordinator, as_tool(place, "sync"), ToolPolicy(**KEYED_BY_US))

    with pytest.raises(ValueError, match="broken") as caught:
        use(tool, mode, order=7)

    assert doubts(coordinator) == (["place"] if marked else [])
    assert bool(getattr(caught.value, "__notes__", [])) == marked
    if not marked:
        with pytest.raises(ValueError, match="broken"):
            use(tool, mode, order=7)
        assert len(executions) == 2


def test_rejected_is_for_good_and_a_repetition_gets_it_again_without_a_run(coordinator: Coordinator, face: str) -> None:
    orders = Orders(coordinator, face)
    error = Rejected("the customer is blocked")
    orders.goes = [error, "placed"]

    with pytest.raises(Rejected) as caught:
        orders.use()
    with pytest.raises(Rejected, match="the customer is blocked"):
        orders.use()

    assert caught.value is error
    assert orders.times == 1 and doubts(coordinator) == []


def test_a_tool_exception_is_a_failure_that_may_run_again(coordinator: Coordinator, face: str) -> None:
    orders = Orders(coordinator, face)
    error = ToolException("sold out")
    orders.goes = [error, "placed"]

    with pytest.raises(ToolException) as caught:
        orders.use()

    assert caught.value is error and not getattr(error, "__notes__", [])
    assert doubts(coordinator) == []
    assert orders.use().content == "placed"


def test_a_message_of_an_error_is_never_stored_as_a_success(coordinator: Coordinator, face: str) -> None:
    orders = Orders(coordinator, face)
    orders.goes = [ToolMessage("sold out", tool_call_id="call-1", status="error"), "placed"]

    assert orders.use().status == "error"
    assert types_of(coordinator).count("call.failed") == 1
    assert orders.use().content == "placed"


@pytest.mark.parametrize(("effect", "doubtful"), [("once", ["place"]), ("idempotent", [])])
@pytest.mark.parametrize("end", ["exception", "message"])
def test_the_error_of_an_mcp_tool_may_come_from_behind_its_effect(
    coordinator: Coordinator, face: str, effect: str, doubtful: list[str], end: str
) -> None:
    orders = Orders(coordinator, face, options={"metadata": {"mcp": {}}}, effect=effect)
    message = ToolMessage("bad gateway", tool_call_id="call-1", status="error")
    orders.goes = [ToolException("bad gateway") if end == "exception" else message]

    if end == "exception":
        with pytest.raises(ToolException):
            orders.use()
    else:
        assert orders.use() == message

    assert doubts(coordinator) == doubtful


@pytest.mark.parametrize("error", [ConnectionRefusedError("no"), ValueError("broken"), TimeoutError("slow")])
def test_any_other_error_of_a_once_tool_leaves_it_in_doubt_and_the_error_as_it_was_with_a_note(
    coordinator: Coordinator, face: str, error: Exception
) -> None:
    orders = Orders(coordinator, face)
    orders.goes = [error]

    with pytest.raises(type(error)) as caught:
        orders.use()
    answer = orders.use()

    assert caught.value is error
    assert any("in doubt" in note for note in error.__notes__)
    assert orders.times == 1 and orders.nothing_is_held()
    assert answer.status == "error" and "unknown" in answer.content
    assert doubts(coordinator) == ["place"]


@pytest.mark.parametrize("effect", ["idempotent", "keyed", "transactional"])
def test_a_repeatable_tool_is_retried_with_its_key_on_transport_errors_only(
    coordinator: Coordinator, face: str, effect: str
) -> None:
    orders = Orders(coordinator, face, effect=effect)
    orders.goes = [ConnectionError("lost"), TimeoutError("slow"), "placed"]
    assert orders.use(order=1).content == "placed"
    assert [attempt for attempt, _ in orders.executions] == [1, 2, 3]
    assert len({key for _, key in orders.executions}) == 1

    orders.executions.clear()
    orders.goes = [ConnectionError("lost")]
    with pytest.raises(ConnectionError) as caught:
        orders.use(order=2)
    assert orders.times == 3 and not getattr(caught.value, "__notes__", [])

    orders.executions.clear()
    orders.goes = [ValueError("a mistake")]
    with pytest.raises(ValueError, match="a mistake"):
        orders.use(order=3)
    assert orders.times == 1
    assert doubts(coordinator) == [] and orders.nothing_is_held()


def test_a_refusal_is_raised_where_the_policy_says_so_or_there_is_no_tool_call_to_answer(
    coordinator: Coordinator,
) -> None:
    for policy, args in (({"on_refusal": "raise"}, None), ({}, {"order": 8})):
        orders = Orders(coordinator, "sync", **policy)
        orders.goes = [ValueError("broken")]
        again = orders.use if args is None else lambda orders=orders, args=args: orders.tool.invoke(args)
        with pytest.raises(ValueError, match="broken"):
            again()

        with pytest.raises(OutcomeUnknown) as caught:
            again()

        assert caught.value.key in [entry.key for entry in coordinator.snapshot().in_doubt]
        assert f"clawproof resolve {caught.value.key}" in str(caught.value)
