"""The same program takes the same steps however it is driven."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from clawproof_langgraph import AgentKilled, Coordinator, Lease, NotApplied, Retry, codec
from clawproof_langgraph.core.call import Terms, guarded_call
from clawproof_langgraph.core.steps import Raised, Returned
from clawproof_langgraph.errors import BackendUnavailable, ClawproofWarning, WaitTimeout
from clawproof_langgraph.model import Begin, Kill, Killed, Replay, Settle, Withdraw
from clawproof_langgraph.policy import Effect
from tests.runtime.stores import FlakyStore, held, perform, traced
from tests.waiting import wait_until

RETRY = Retry(initial_delay=0.01, jitter=False)


class Scene:
    """One call in one mode: what it did and how it ended."""

    def __init__(self, mode: str, store: FlakyStore, coordinator: Coordinator) -> None:
        self._mode, self.store, self.coordinator = mode, store, coordinator
        self.kinds: list[str] = []

    def call(self, function: Callable[..., Any], *, wait: float = 5.0, **fields: Any) -> Any:
        """Make a guarded call."""
        terms = Terms(Effect.ONCE, wait, RETRY)
        return perform(
            self._mode,
            self.coordinator,
            lambda ask: traced(guarded_call(ask, terms), self.kinds),
            function,
            **{"key": "k", **fields},
        )

    @property
    def effects(self) -> str:
        """The steps that do something."""
        return " ".join(kind for kind in self.kinds if kind not in ("Now", "Draw", "Afford"))

    @property
    def told(self) -> str:
        """The log."""
        return " ".join(event.type for event in self.coordinator.events())


@pytest.fixture
def scene(mode: str, store: FlakyStore, coordinator: Coordinator) -> Scene:
    """Give a scene in each mode."""
    return Scene(mode, store, coordinator)


def test_an_uncontended_call(scene: Scene) -> None:
    assert scene.call(lambda lease, attempt: f"{lease.resources} {attempt}").value == "('inventory/1',) 1"
    assert scene.effects == "Begin Run Settle"
    assert scene.told == "lock.acquired call.started call.done lock.released"


def test_a_retried_call(scene: Scene) -> None:
    def busy_at_first(lease: object, attempt: int) -> int:
        if attempt < 3:
            raise NotApplied("busy")
        return attempt

    assert scene.call(busy_at_first).value == 3
    assert scene.effects == "Begin Run Note Sleep Run Note Sleep Run Settle"
    assert scene.told == "lock.acquired call.started call.retrying call.retrying call.done lock.released"


@pytest.mark.parametrize("error", [ValueError("x"), OSError("x"), StopIteration("x"), BackendUnavailable("x", "y")])
def test_a_failing_call(scene: Scene, error: Exception) -> None:
    def fail(lease: object, attempt: int) -> None:
        raise error

    outcome = scene.call(fail)

    assert isinstance(outcome, Raised) and outcome.error is error
    assert scene.effects == "Begin Run Settle"
    assert scene.told == "lock.acquired call.started call.in_doubt lock.released"


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), RuntimeError("a defect")], ids=lambda error: type(error).__name__
)
def test_what_strikes_a_body_beside_its_code_does_not_pass_for_a_tool_that_was_never_started(
    scene: Scene, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Withdrawn, it would be free to run again, although its effect has happened."""

    def strike(value: object) -> bytes:
        raise error

    monkeypatch.setattr(codec, "dumps", strike)
    outcome = scene.call(lambda lease, attempt: "placed")

    assert isinstance(outcome, Raised) and outcome.error is error
    assert scene.effects == "Begin Run Settle"
    assert scene.told == "lock.acquired call.started call.in_doubt lock.released"


def test_a_tool_that_is_not_started_since_its_agent_was_stopped_meanwhile_gives_its_turn_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_the_agent(lease: Lease) -> None:
        lease.mark_killed(Killed("orders", "runaway", "ops"), time.monotonic())

    monkeypatch.setattr(scene.coordinator._heartbeat, "add", stop_the_agent)
    with pytest.raises(AgentKilled):
        scene.call(lambda lease, attempt: pytest.fail("it ran"))

    assert scene.effects == "Begin Run Withdraw"
    assert scene.told == "lock.acquired call.started lock.released"
    assert scene.coordinator.snapshot().in_doubt == ()


def test_a_queued_call(scene: Scene) -> None:
    def let_go_when_somebody_waits() -> None:
        with held(scene.store):
            holding.set()
            wait_until(lambda: scene.coordinator.snapshot().waiters)

    holding = threading.Event()
    holder = threading.Thread(target=let_go_when_somebody_waits)
    holder.start()
    holding.wait(5)

    outcome = scene.call(lambda lease, attempt: "mine")

    holder.join()
    assert isinstance(outcome, Returned)
    assert scene.effects == "Begin Wait Begin Run Settle"


def test_a_call_whose_turn_does_not_come(scene: Scene) -> None:
    with held(scene.store), pytest.raises(WaitTimeout, match='"inventory/1", held by agent "rival" running "reserve"'):
        scene.call(lambda lease, attempt: "mine", wait=0.03)

    assert scene.effects == "Begin Wait Begin Withdraw"
    assert not scene.coordinator.snapshot().waiters


def test_a_repeated_call(scene: Scene) -> None:
    scene.call(lambda lease, attempt: "first")
    scene.kinds.clear()

    outcome = scene.call(lambda lease, attempt: "second")

    assert isinstance(outcome, Replay) and outcome.result == b'1"first"'
    assert scene.effects == "Begin"


def test_a_call_of_a_stopped_agent(scene: Scene) -> None:
    scene.store.record(Kill("orders", "", "ops"))
    assert scene.call(lambda lease, attempt: "x").agent == "orders"
    assert scene.effects == "Begin"


def test_a_store_that_is_down_at_the_start_runs_nothing(scene: Scene) -> None:
    scene.store.failing[Begin] = 1
    with pytest.raises(BackendUnavailable):
        scene.call(lambda lease, attempt: pytest.fail("it ran"))
    assert scene.effects == "Begin Withdraw"


def test_a_store_that_is_down_for_a_moment_at_the_end(scene: Scene) -> None:
    scene.store.failing[Settle] = 1
    assert scene.call(lambda lease, attempt: "x").value == "x"
    assert scene.effects == "Begin Run Settle Sleep Settle"
    assert scene.told == "lock.acquired call.started call.done lock.released"


def test_a_store_that_is_down_and_a_withdrawal_that_fails_do_not_hide_the_first_error(scene: Scene) -> None:
    scene.store.down = True
    with pytest.raises(BackendUnavailable):
        scene.call(lambda lease, attempt: "x")
    assert scene.effects == "Begin Withdraw"


def test_a_lease_that_was_lost_while_running(scene: Scene) -> None:
    def lose_it(lease: Any, attempt: int) -> str:
        scene.store.withdraw(Withdraw(lease.owner))
        return "done"

    with pytest.warns(ClawproofWarning, match="ended before the call did"):
        outcome = scene.call(lose_it)

    assert outcome.value == "done"
    assert scene.effects == "Begin Run Settle Note Warn"
    assert scene.told.endswith("lease.lost")


def test_nothing_is_left_behind(scene: Scene) -> None:
    """Neither a lease, nor a bell, nor anything to renew."""
    scene.call(lambda lease, attempt: "x")

    assert scene.coordinator.snapshot().leases == ()
    assert scene.store.bells_out == 0
    assert not scene.coordinator._heartbeat._leases and not scene.coordinator._heartbeat._waiters
