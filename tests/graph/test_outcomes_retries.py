"""Which failures of a guarded tool are retried, after what pause, and how far."""

import asyncio
import threading
import time
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from langchain_core.tools import StructuredTool

from clawproof_langgraph import Coordinator, NotApplied, Retry, ToolPolicy
from clawproof_langgraph.graph import outcomes
from clawproof_langgraph.policy import Effect
from clawproof_langgraph.runtime.budget import CAPACITY, COST
from tests.langgraph.scripted import call

from .stage import as_tool, doubts, guarded, use
from .test_outcomes import AT_ONCE, Orders

ALLOWED = CAPACITY // COST


def answered(status: int, **headers: str) -> httpx.HTTPStatusError:
    """Make the error of an HTTP answer."""
    answer = httpx.Response(status, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return httpx.HTTPStatusError("no", request=httpx.Request("POST", "http://shop"), response=answer)


@pytest.mark.parametrize("effect", ["read", "idempotent", "keyed", "transactional"])
@pytest.mark.parametrize("error", [answered(503), answered(429), httpx.ConnectError("no")], ids=str)
def test_what_may_pass_is_retried_where_a_repetition_is_safe(
    coordinator: Coordinator, face: str, effect: str, error: Exception
) -> None:
    key = None if effect == "read" else "order/{order}"
    orders = Orders(coordinator, face, effect=effect, key=key)
    orders.goes = [error, "placed"]
    assert orders.use().content == "placed"


@pytest.mark.parametrize(
    "error", [answered(400), answered(404), answered(409), answered(422)], ids=["400", "404", "409", "422"]
)
def test_a_request_that_is_wrong_is_not_repeated(coordinator: Coordinator, face: str, error: Exception) -> None:
    orders = Orders(coordinator, face, effect="idempotent")
    orders.goes = [error, "placed"]
    with pytest.raises(httpx.HTTPStatusError):
        orders.use()
    assert orders.times == 1


@pytest.mark.parametrize(
    "error", [answered(503, Retry_After="0"), httpx.ConnectError("refused")], ids=["503", "refused"]
)
def test_a_once_tool_is_in_doubt_whatever_the_service_says_and_is_not_repeated(
    coordinator: Coordinator, face: str, error: Exception
) -> None:
    """A connection refused proves nothing: it may have been the second request of the body."""
    orders = Orders(coordinator, face, effect="once")
    orders.goes = [error, "placed"]
    with pytest.raises(type(error)):
        orders.use()
    assert orders.times == 1 and doubts(coordinator) == ["place"]


def test_types_that_the_policy_names_take_the_place_of_the_default(coordinator: Coordinator, face: str) -> None:
    orders = Orders(coordinator, face, effect="idempotent", retry=AT_ONCE.model_copy(update={"retry_on": (KeyError,)}))
    orders.goes = [answered(503)]
    with pytest.raises(httpx.HTTPStatusError):
        orders.use()
    assert orders.times == 1


# --- Retry-After ------------------------------------------------------------------------------------------------


def test_the_pause_that_the_service_asks_for_is_kept_and_the_event_says_so(coordinator: Coordinator, face: str) -> None:
    orders = Orders(coordinator, face, effect="idempotent", ttl=4)
    orders.goes = [answered(429, Retry_After="1"), "placed"]

    began = time.monotonic()
    assert orders.use().content == "placed"

    assert time.monotonic() - began >= 1
    (event,) = coordinator.events(types=["call.retrying"])
    assert event.data == {"attempt": 1, "pause": 1.0, "error": "HTTPStatusError", "retry_after": 1.0}


@pytest.mark.parametrize("ttl", [3.9, 30.0])
def test_a_pause_over_half_the_ttl_is_not_waited_for(coordinator: Coordinator, face: str, ttl: float) -> None:
    orders = Orders(coordinator, face, effect="idempotent", ttl=ttl)
    error = answered(503, Retry_After="2" if ttl < 30 else "16")
    orders.goes = [error, "placed"]

    with pytest.raises(httpx.HTTPStatusError) as caught:
        orders.use()

    assert caught.value is error
    assert orders.times == 1 and orders.nothing_is_held()


def test_a_date_is_turned_into_seconds_when_the_outcome_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes.time, "time", lambda: 1_000_000.0)
    error = answered(503, Retry_After=formatdate(1_000_012, usegmt=True))
    assert judged(error).retry_after == 12.0
    assert judged(error, effect=Effect.ONCE).retry_after is None, "it is not retried"


def test_an_error_whose_answer_cannot_be_read_is_still_the_tools_error() -> None:
    class Broken(httpx.HTTPStatusError):
        @property
        def response(self) -> Any:
            raise RuntimeError("no answer")

        @response.setter
        def response(self, answer: Any) -> None:
            pass

    error = Broken("no", request=httpx.Request("GET", "http://shop"), response=httpx.Response(503))
    assert (judged(error).error, judged(error).retryable) == (error, False)
    always = judged(error, retry=Retry(retry_on=lambda _: True))
    assert (always.error, always.retryable, always.retry_after) == (error, True, None)


def judged(error: BaseException, **policy: Any) -> Any:
    """Judge an error of an idempotent tool."""
    terms = ToolPolicy(**{"effect": Effect.IDEMPOTENT, **policy})
    return outcomes.raised(error, mcp=False, policy=terms, effect_begun=True)


async def test_a_pause_does_not_block_the_event_loop(coordinator: Coordinator) -> None:
    """The other task answers while the tool waits; a pause that blocked the loop would let it run only afterwards."""
    order: list[str] = []

    async def place(order_id: int) -> str:
        """Fail once, and then place an order."""
        order.append(f"attempt {1 + sum(entry.startswith('attempt') for entry in order)}")
        if len(order) == 1:
            asyncio.get_running_loop().call_later(0.05, order.append, "the loop is free")
            raise TimeoutError("slow")
        return "placed"

    tool = StructuredTool.from_function(coroutine=place, name="place")
    retry = Retry(initial_delay=0.4, jitter=False)
    policy = ToolPolicy(key="order/{order_id}", effect="idempotent", retry=retry)
    await guarded(coordinator, tool, policy).ainvoke(call("place", order_id=7))

    assert order == ["attempt 1", "the loop is free", "attempt 2"]


# --- the budget -------------------------------------------------------------------------------------------------


def test_an_outage_does_not_become_a_storm_of_retries(
    coordinator: Coordinator, face: str, caplog: pytest.LogCaptureFixture
) -> None:
    orders = Orders(coordinator, face, effect="idempotent")
    orders.goes = [TimeoutError("slow")]

    for order in range(ALLOWED):
        with pytest.raises(TimeoutError):
            orders.use(order)

    assert orders.times == ALLOWED + ALLOWED, "each call once, and as many retries as the budget had"
    assert [record.levelname for record in caplog.records if "suspended" in record.message] == ["WARNING"]
    assert orders.nothing_is_held()

    orders.goes = ["placed"]
    for order in range(100, 100 + COST):
        orders.use(order)
    orders.goes = [TimeoutError("slow"), "placed"]
    assert orders.use(200).content == "placed", "successes have brought the retries back"


def test_the_outage_of_one_tool_takes_no_retries_from_another(coordinator: Coordinator) -> None:
    ill = Orders(coordinator, "sync", effect="idempotent")
    well = Orders(coordinator, "sync", effect="idempotent", options={"name": "ship"})
    ill.goes = [TimeoutError("slow")]
    for order in range(ALLOWED):
        with pytest.raises(TimeoutError):
            ill.use(order)

    well.goes = [TimeoutError("slow"), "placed"]
    assert well.use(1000).content == "placed"


def test_a_guard_that_is_made_anew_has_no_new_budget(coordinator: Coordinator) -> None:
    """Many applications make their agents for each request."""
    for order in range(ALLOWED + 1):
        orders = Orders(coordinator, "sync", effect="idempotent")
        orders.goes = [TimeoutError("slow")]
        with pytest.raises(TimeoutError):
            orders.use(order)

    assert orders.times == 1
    [*_, failed] = coordinator.events(types=["call.failed"])
    assert "suspended" in failed.data["retries"]


def test_parallel_calls_of_a_tool_share_its_budget(coordinator: Coordinator) -> None:
    executions, lock = [], threading.Lock()

    def place(order: int) -> str:
        """Fail."""
        with lock:
            executions.append(order)
        raise NotApplied("busy")

    policy = ToolPolicy(key="order/{order}", retry=AT_ONCE.model_copy(update={"max_retries": 5}))
    tool = guarded(coordinator, as_tool(place, "sync"), policy)

    def agent(number: int) -> None:
        for order in range(4):
            with pytest.raises(NotApplied):
                use(tool, order=10 * number + order)

    threads = [threading.Thread(target=agent, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(executions) == 16 + ALLOWED
