"""What a probe finds out of a call in doubt that is asked for again."""

import asyncio
import threading
from typing import Any

import pytest

from clawproof_langgraph import CallContext, Coordinator, NotApplied, Rejected

from .bank import Bank, resolutions
from .stage import doubts, use


@pytest.fixture(params=[False, True], ids=["sync probe", "async probe"])
def as_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_what_a_probe_finds_is_the_result_and_stays_it(coordinator: Coordinator, face: str, as_async: bool) -> None:
    bank = Bank(coordinator)
    tool = bank.tool(face, probe=bank.look_up("paid 7", as_async=as_async))

    answers = [use(tool, face, call_id, number=7) for call_id in ("call-1", "call-2")]

    assert [(answer.content, answer.tool_call_id) for answer in answers] == [("paid 7", "call-1"), ("paid 7", "call-2")]
    assert (bank.paid, len(bank.probed)) == ([7], 1)
    assert resolutions(coordinator) == [(True, "probe")]
    assert (doubts(coordinator), coordinator.snapshot().leases) == ([], ())


@pytest.mark.parametrize("answer", [NotApplied, NotApplied("no such payment")])
def test_where_a_probe_finds_nothing_the_tool_runs(
    coordinator: Coordinator, face: str, as_async: bool, answer: Any
) -> None:
    bank = Bank(coordinator)
    tool = bank.tool(face, probe=bank.look_up(answer, as_async=as_async))

    assert use(tool, face, number=7).content == "paid 7"

    assert bank.paid == [7, 7]
    assert resolutions(coordinator) == [(False, "probe")]
    assert doubts(coordinator) == []


@pytest.mark.parametrize(
    ("answer", "told"), [(None, "the probe cannot tell"), (OSError("no route"), "the probe failed: OSError: no route")]
)
def test_where_a_probe_cannot_tell_the_call_is_held_and_the_doubt_stays_as_it_was(
    coordinator: Coordinator, face: str, as_async: bool, answer: Any, told: str
) -> None:
    bank = Bank(coordinator)
    tool = bank.tool(face, probe=bank.look_up(answer, as_async=as_async))
    before = coordinator.snapshot().in_doubt

    refusal = use(tool, face, number=7)

    assert refusal.status == "error"
    assert told in refusal.content and "clawproof resolve invoice/7 applied" in refusal.content
    assert coordinator.snapshot().in_doubt == before
    assert (bank.paid, resolutions(coordinator), coordinator.snapshot().leases) == ([7], [], ())


class LooksUp:
    """A probe that is an object, and whose call is a coroutine."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def __call__(self, call: CallContext) -> Any:
        return self._answer


@pytest.mark.parametrize("as_lambda", [False, True])
@pytest.mark.parametrize(("answer", "paid"), [(None, [7]), (NotApplied, [7, 7]), ("paid 7", [7])])
def test_what_a_probe_promises_is_awaited(
    coordinator: Coordinator, face: str, answer: Any, paid: list[int], as_lambda: bool
) -> None:
    bank, looks_up = Bank(coordinator), LooksUp(answer)
    tool = bank.tool(face, probe=(lambda call: looks_up(call)) if as_lambda else looks_up)

    told = use(tool, face, number=7)

    assert bank.paid == paid
    assert (told.status, doubts(coordinator)) == (("error", ["pay"]) if answer is None else ("success", []))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ValueError("no such account"), "the probe gave an error, ValueError('no such account')"),
        (Rejected, "the probe gave an error"),
    ],
)
def test_an_error_that_a_probe_gives_is_not_taken_for_a_result(
    coordinator: Coordinator, face: str, as_async: bool, answer: Any, told: str
) -> None:
    bank = Bank(coordinator)

    async def alook_up(call: CallContext) -> Any:
        return answer

    refusal = use(bank.tool(face, probe=alook_up if as_async else lambda call: answer), face, number=7)

    assert told in refusal.content
    assert (bank.paid, doubts(coordinator)) == ([7], ["pay"])


def test_a_probe_that_cancels_itself_has_failed(coordinator: Coordinator, face: str, as_async: bool) -> None:
    bank = Bank(coordinator)
    refusal = use(bank.tool(face, probe=bank.look_up(asyncio.CancelledError(), as_async=as_async)), face, number=7)
    assert "the probe failed: CancelledError" in refusal.content
    assert doubts(coordinator) == ["pay"]


def test_a_probe_that_hangs_is_left_behind_after_the_ttl(coordinator: Coordinator, face: str) -> None:
    let_go, bank = threading.Event(), Bank(coordinator)
    tool = bank.tool(face, probe=lambda call: let_go.wait(60), ttl=0.2)

    refusal = use(tool, face, number=7)

    let_go.set()
    assert "the probe did not answer within 0.2 s" in refusal.content
    assert (bank.paid, doubts(coordinator)) == ([7], ["pay"])


def test_an_async_probe_that_hangs_is_cancelled_and_blocks_no_loop(coordinator: Coordinator) -> None:
    cancelled, bank = [], Bank(coordinator)

    async def hang(call: CallContext) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    refusal = use(bank.tool("async", probe=hang, ttl=0.2), "async", number=7)

    assert "did not answer" in refusal.content
    assert cancelled == [True]


def test_a_probe_knows_the_call(coordinator: Coordinator, face: str) -> None:
    bank = Bank(coordinator)
    use(bank.tool(face, probe=bank.look_up("paid 7")), face, number=7)

    [probed] = bank.probed
    assert (probed.idempotency_key, probed.tool, probed.arguments) == ("invoice/7", "pay", {"number": 7})
    assert (probed.resources, probed.attempt) == (("account/1",), 1)


def test_a_probed_call_holds_its_locks(coordinator: Coordinator, face: str) -> None:
    held: list[Any] = []
    bank = Bank(coordinator)

    def probe(call: CallContext) -> str:
        held.extend(lease.key for lease in coordinator.snapshot().leases)
        call.check()
        return "paid 7"

    use(bank.tool(face, probe=probe), face, number=7)

    assert held == ["invoice/7"]


def test_what_a_probe_finds_and_cannot_be_stored_is_known_to_be_done(coordinator: Coordinator, face: str) -> None:
    bank = Bank(coordinator)
    answer = use(bank.tool(face, probe=bank.look_up(object())), face, number=7)
    assert "was already run for this call" in answer.content
    assert (bank.paid, doubts(coordinator)) == ([7], [])
