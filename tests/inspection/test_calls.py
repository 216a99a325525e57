"""From events to calls: every outcome, told by the engine's own events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clawproof_langgraph import events as log
from clawproof_langgraph.backends.memory import MemoryBackend
from clawproof_langgraph.events import Event, EventFilter
from clawproof_langgraph.inspection.calls import Call, Outcome, brought_up_to_date, calls_of
from clawproof_langgraph.model import Begin, Granted, Kill, Note, Resolve, State, Sweep, Withdraw
from clawproof_langgraph.testing.builders import again, ask, call, released, settled
from clawproof_langgraph.testing.clock import ManualClock

START = 1_800_000_000.0


class Scene:
    """A namespace whose time the test moves, and what its log tells."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.backend = MemoryBackend(clock=self.clock)

    def grant(self, request: Begin) -> Granted:
        reply = self.backend.begin(request)
        assert isinstance(reply, Granted)
        return reply

    def settle(self, lease: Granted, state: State | None = State.DONE, *, after: float = 1.0, **fields: str) -> None:
        self.clock.advance(after)
        self.backend.settle(settled(lease, state, **fields))

    def events(self) -> list[Event]:
        return self.backend.events(EventFilter())

    def calls(self) -> tuple[Call, ...]:
        return calls_of(self.events())

    def calls_now(self) -> tuple[Call, ...]:
        return brought_up_to_date(self.calls(), self.backend.snapshot(), now=self.clock.time())


@pytest.fixture
def scene() -> Scene:
    return Scene()


def outcomes(calls: tuple[Call, ...]) -> dict[str, Outcome]:
    return {entry.id: entry.outcome for entry in calls}


# --- how a call comes out -----------------------------------------------------------------------------------------


def test_a_done_call_has_all_its_facts(scene: Scene) -> None:
    lease = scene.grant(call("1", "a", "b", key="k"))
    scene.settle(lease, after=2.0)

    assert scene.calls() == (
        Call(
            "1", START, "orders", "t1", "reserve", "k", ("a", "b"), lease.fence, waited=0.0, held=2.0, attempts=1,
            outcome=Outcome.DONE,
        ),
    )  # fmt: skip


def test_a_call_that_waited_asked_before_its_grant(scene: Scene) -> None:
    first, second = scene.grant(call("1", "a")), call("2", "a")
    scene.backend.begin(second)
    scene.settle(first, after=3.0)
    lease = scene.grant(again(second, waited=3.0))
    scene.settle(lease)

    [_, waited] = scene.calls()
    assert (waited.id, waited.asked, waited.waited, waited.held) == ("2", START, 3.0, 1.0)


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (State.FAILED, Outcome.FAILED),
        (State.REJECTED, Outcome.FAILED),
        (State.SUSPENDED, Outcome.SUSPENDED),
        (State.IN_DOUBT, Outcome.IN_DOUBT),
    ],
)
def test_a_call_comes_out_as_it_was_settled(scene: Scene, state: State, outcome: Outcome) -> None:
    scene.settle(scene.grant(call("1", "a", key="k")), state, error="OSError")
    [entry] = scene.calls()
    assert (entry.outcome, entry.error, entry.held) == (outcome, "OSError", 1.0)


def test_a_call_without_locks_is_a_call_too(scene: Scene) -> None:
    scene.settle(scene.grant(call("1", key="k")))
    [entry] = scene.calls()
    assert (entry.outcome, entry.resources, entry.held) == (Outcome.DONE, (), 1.0)


def test_a_repetition_is_replayed(scene: Scene) -> None:
    scene.settle(scene.grant(call("1", "a", key="k")))
    scene.backend.begin(call("2", "a", key="k"))
    [_, entry] = scene.calls()
    assert (entry.id, entry.outcome, entry.key, entry.attempts, entry.held) == ("2", Outcome.REPLAYED, "k", 0, None)


def test_retries_are_counted(scene: Scene) -> None:
    lease = scene.grant(call("1", "a", key="k"))
    scene.backend.record(Note(log.CALL_RETRYING, "orders", "t1", "1", "k", ("a",), lease.fence, {"attempt": 1}))
    running = scene.calls()[0]
    scene.backend.settle(replace(settled(lease), attempt=2))
    assert (running.attempts, running.outcome) == (2, Outcome.RUNNING)
    assert (scene.calls()[0].attempts, scene.calls()[0].outcome) == (2, Outcome.DONE)


@pytest.mark.parametrize("reason", ["timeout", "killed", "in doubt"])
def test_a_refusal_says_why(scene: Scene, reason: str) -> None:
    request = call("refused", "a", key="k")
    if reason == "timeout":
        scene.grant(call("1", "a"))
        scene.backend.begin(request)
        scene.backend.withdraw(Withdraw("refused", "timeout", request))
    elif reason == "killed":
        scene.backend.record(Kill("orders"))
        scene.backend.begin(request)
    else:
        scene.settle(scene.grant(call("1", "a", key="k")), State.IN_DOUBT)
        scene.backend.begin(request)
    refused = {entry.id: entry for entry in scene.calls()}["refused"]
    assert (refused.outcome, refused.reason, refused.tool) == (Outcome.REFUSED, reason, "reserve")


def test_a_lock_is_held_and_released(scene: Scene) -> None:
    lease = scene.grant(ask("1", "a"))
    held = outcomes(scene.calls())
    scene.clock.advance(4.0)
    scene.backend.settle(released(lease))
    [entry] = scene.calls()
    assert held == {"1": Outcome.RUNNING}
    assert (entry.outcome, entry.tool, entry.held) == (Outcome.RELEASED, "", 4.0)


def test_a_lock_that_expired_is_in_no_doubt(scene: Scene) -> None:
    scene.grant(ask("1", "a", ttl=5.0))
    scene.clock.advance(6.0)
    scene.backend.sweep(Sweep())
    assert outcomes(scene.calls()) == {"1": Outcome.EXPIRED}


# --- doubt, and its end -------------------------------------------------------------------------------------------


def doubtful(scene: Scene) -> None:
    """Let a call die with its process."""
    scene.grant(call("dead", "a", key="k", ttl=5.0))
    scene.clock.advance(6.0)
    scene.backend.sweep(Sweep())


def test_a_call_whose_lease_expired_is_in_doubt(scene: Scene) -> None:
    doubtful(scene)
    [entry] = scene.calls()
    assert (entry.outcome, entry.reason, entry.key, entry.held) == (Outcome.IN_DOUBT, "the lease expired", "k", 5.0)


@pytest.mark.parametrize(("applied", "said"), [(True, "applied"), (False, "not_applied")])
def test_a_resolved_call_says_how_and_by_whom(scene: Scene, applied: bool, said: str) -> None:
    doubtful(scene)
    scene.backend.record(Resolve("k", applied, by="ops"))
    [entry] = scene.calls()
    assert (entry.outcome, entry.reason, entry.by) == (Outcome.RESOLVED, said, "ops")


def test_a_resolved_call_stays_resolved_when_it_runs_again(scene: Scene) -> None:
    doubtful(scene)
    scene.backend.record(Resolve("k", applied=False, by="ops"))
    scene.settle(scene.grant(call("2", "a", key="k")))
    assert outcomes(scene.calls()) == {"dead": Outcome.RESOLVED, "2": Outcome.DONE}


def test_a_call_that_was_run_again_is_no_longer_in_doubt(scene: Scene) -> None:
    doubtful(scene)
    scene.settle(scene.grant(call("heir", "a", key="k", rerun_within=60.0)))
    entries = {entry.id: entry for entry in scene.calls()}
    assert outcomes(scene.calls()) == {"dead": Outcome.RERUN, "heir": Outcome.DONE}
    assert entries["heir"].attempts == 2


def looked_into(scene: Scene) -> Granted:
    doubtful(scene)
    return scene.grant(call("heir", "a", key="k", rerun_within=60.0))


def test_a_call_that_was_looked_into_in_vain_was_not_run_and_the_doubt_stays_as_it_was(scene: Scene) -> None:
    looked_into(scene)
    scene.backend.withdraw(Withdraw("heir"))

    entries = {entry.id: entry for entry in scene.calls_now()}

    assert outcomes(scene.calls_now()) == {"dead": Outcome.IN_DOUBT, "heir": Outcome.RELEASED}
    assert (entries["heir"].attempts, entries["dead"].attempts) == (1, 1)


def test_a_call_whose_effect_was_found_is_resolved_and_whoever_looked_was_answered(scene: Scene) -> None:
    lease = looked_into(scene)
    scene.backend.settle(replace(settled(lease), attempt=1, by="probe"))

    entries = {entry.id: entry for entry in scene.calls_now()}

    assert outcomes(scene.calls_now()) == {"dead": Outcome.RESOLVED, "heir": Outcome.REPLAYED}
    assert (entries["dead"].reason, entries["dead"].by, entries["heir"].attempts) == ("applied", "probe", 1)


def test_a_call_of_which_nothing_was_found_is_resolved_before_it_is_run_again(scene: Scene) -> None:
    lease = looked_into(scene)
    scene.backend.record(Resolve("k", applied=False, by="probe", owner="heir"))
    scene.settle(lease)
    assert outcomes(scene.calls_now()) == {"dead": Outcome.RESOLVED, "heir": Outcome.DONE}


def test_the_word_of_the_operator_is_for_the_last_call_in_doubt(scene: Scene) -> None:
    doubtful(scene)
    scene.settle(scene.grant(call("heir", "a", key="k", rerun_within=60.0)), State.IN_DOUBT)
    scene.backend.record(Resolve("k", applied=True))
    assert outcomes(scene.calls()) == {"dead": Outcome.RERUN, "heir": Outcome.RESOLVED}


def test_a_late_end_takes_the_doubt_away(scene: Scene) -> None:
    lease = scene.grant(call("1", "a", key="k", ttl=5.0))
    scene.clock.advance(6.0)
    scene.backend.sweep(Sweep())
    scene.settle(lease)
    scene.backend.record(Note(log.LEASE_LOST, "orders", "t1", "1", "k", ("a",), lease.fence))
    [entry] = scene.calls()
    assert (entry.outcome, entry.reason, entry.held, entry.alerts) == (Outcome.DONE, "", 5.0, ("lease.lost",))


# --- what the log does not tell -----------------------------------------------------------------------------------


def test_a_running_call_holds_so_far(scene: Scene) -> None:
    scene.grant(call("1", "a"))
    scene.clock.advance(2.5)
    [entry] = scene.calls_now()
    assert (entry.outcome, entry.held) == (Outcome.RUNNING, 2.5)


def test_a_waiter_is_a_call_that_has_no_event_yet(scene: Scene) -> None:
    scene.grant(call("1", "a"))
    scene.clock.advance(1.0)
    scene.backend.begin(call("2", "a", agent="pricing"))
    scene.clock.advance(2.0)
    [_, entry] = scene.calls_now()
    assert (entry.id, entry.agent, entry.outcome, entry.asked) == ("2", "pricing", Outcome.WAITING, START + 1.0)
    assert (entry.waited, entry.resources) == (2.0, ("a",))


def test_an_expired_lease_that_no_sweep_has_met_is_in_doubt(scene: Scene) -> None:
    scene.grant(call("1", "a", key="k", ttl=5.0))
    scene.clock.advance(6.0)
    assert outcomes(scene.calls()) == {"1": Outcome.RUNNING}
    assert outcomes(scene.calls_now()) == {"1": Outcome.IN_DOUBT}


def test_a_lock_that_expired_and_that_no_sweep_has_met_is_not_running(scene: Scene) -> None:
    scene.grant(ask("1", "a", ttl=5.0))
    held = outcomes(scene.calls_now())
    scene.clock.advance(6.0)
    assert (held, outcomes(scene.calls_now())) == ({"1": Outcome.RUNNING}, {"1": Outcome.EXPIRED})


def test_a_doubt_stays_while_nobody_ends_it(scene: Scene) -> None:
    doubtful(scene)
    assert outcomes(scene.calls_now()) == {"dead": Outcome.IN_DOUBT}


def test_a_doubt_that_was_ended_by_a_call_of_another_agent_is_none(scene: Scene) -> None:
    doubtful(scene)
    scene.settle(scene.grant(call("heir", "a", key="k", agent="other", rerun_within=60.0)))
    own = calls_of([event for event in scene.events() if event.agent == "orders"])
    now = brought_up_to_date(own, scene.backend.snapshot(), now=scene.clock.time())
    assert (outcomes(own), outcomes(now)) == ({"dead": Outcome.IN_DOUBT}, {"dead": Outcome.RERUN})


def test_a_call_whose_first_events_are_gone_is_still_one(scene: Scene) -> None:
    scene.settle(scene.grant(call("1", "a", key="k")), after=2.0)
    last = [event for event in scene.events() if event.type == log.CALL_DONE]
    [entry] = calls_of(last)
    assert (entry.asked, entry.tool, entry.held, entry.outcome) == (START, "reserve", 2.0, Outcome.DONE)


def test_events_that_belong_to_no_call_make_none(scene: Scene) -> None:
    scene.backend.record(Kill("orders"))
    scene.backend.record(Note("InventoryUpdated", "orders", call="x"))
    scene.backend.record(Note(log.DEADLOCK_PREVENTED, "orders", resources=("a", "b")))
    assert scene.calls() == ()
