"""What an operator does: the kill switch, the resolution of doubt, and looking at the namespace."""

from __future__ import annotations

import pytest

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.model import (
    Kill,
    Killed,
    Mode,
    Renew,
    Replay,
    Resolve,
    Revive,
    SettleReply,
    Snapshot,
    State,
    Want,
)
from clawproof_langgraph.testing.builders import again, ask, call, reading, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import MakeBackend, Suite
from clawproof_langgraph.testing.faces import Face, SyncFace


def doubt_first(store: Face) -> None:
    """Leave the call under key `k` in doubt."""
    store.settle(settled(store.granted(call("a", "inventory/1", key="k")), State.IN_DOUBT))


class KillSwitch(Suite):
    """Stopping an agent."""

    def test_a_stopped_agent_gets_nothing(self, store: Face, clock: ManualClock) -> None:
        store.record(Kill("orders", reason="runs wild", by="ops"))

        reply = store.begin(ask("a", "inventory/1", agent="orders"))

        assert isinstance(reply, Killed)
        assert (reply.agent, reply.reason, reply.by) == ("orders", "runs wild", "ops")
        assert store.snapshot().leases == ()
        assert store.snapshot().waiters == ()

    def test_other_agents_go_on(self, store: Face) -> None:
        store.record(Kill("orders"))
        store.granted(ask("a", "inventory/1", agent="stock"))
        store.granted(ask("b", "inventory/2", agent=""))

    def test_a_revived_agent_goes_on(self, store: Face) -> None:
        store.record(Kill("orders"))
        store.record(Revive("orders", by="ops"))
        store.granted(ask("a", "inventory/1", agent="orders"))
        assert store.snapshot().killed == ()

    def test_a_waiter_learns_that_its_agent_was_stopped(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1", agent="stock"))
        waiter = ask("b", "inventory/1", agent="orders")
        store.queued(waiter)
        store.record(Kill("orders"))

        assert isinstance(store.begin(again(waiter)), Killed)

        assert store.snapshot().waiters == ()
        store.settle(released(lease))
        store.granted(ask("c", "inventory/1", agent="stock"))

    def test_the_heartbeat_tells_who_was_stopped(self, store: Face) -> None:
        store.granted(ask("a", "inventory/1", agent="orders"))
        beat = Renew("s1", leases=(("a", 30.0),), agents=("orders", "stock"))
        assert store.renew(beat).killed == ()

        store.record(Kill("orders", reason="why", by="ops"))
        store.record(Kill("somebody else"))

        renewed = store.renew(beat)
        assert [(killed.agent, killed.reason, killed.by) for killed in renewed.killed] == [("orders", "why", "ops")]
        assert renewed.lost == frozenset(), "the call itself decides how it ends"

    def test_a_running_call_of_a_stopped_agent_can_settle(self, store: Face) -> None:
        lease = store.granted(call("a", "inventory/1", key="k", agent="orders"))
        store.record(Kill("orders"))

        assert store.settle(settled(lease, result=b"42")) is SettleReply.SETTLED

        assert store.begin(call("b", key="k", agent="stock")) == Replay("k", b"42")

    def test_the_snapshot_shows_who_was_stopped(self, store: Face, clock: ManualClock) -> None:
        store.record(Kill("orders", reason="why", by="ops"))

        (killed,) = store.snapshot().killed

        assert (killed.agent, killed.reason, killed.by) == ("orders", "why", "ops")
        assert killed.at == pytest.approx(clock.time(), abs=0.01)

    def test_stopping_twice_is_stopping(self, store: Face) -> None:
        store.record(Kill("orders", reason="first"))
        store.record(Kill("orders", reason="second"))
        assert [killed.agent for killed in store.snapshot().killed] == ["orders"]
        store.record(Revive("orders"))
        assert store.snapshot().killed == ()


class Resolving(Suite):
    """Saying what became of a call in doubt."""

    def test_what_was_applied_is_replayed(self, store: Face) -> None:
        doubt_first(store)
        store.record(Resolve("k", applied=True, result=b"by hand", by="ops"))

        assert store.begin(call("b", key="k")) == Replay("k", b"by hand")
        assert store.snapshot().in_doubt == ()

    def test_what_was_applied_needs_no_result(self, store: Face) -> None:
        doubt_first(store)
        store.record(Resolve("k", applied=True))
        assert store.begin(call("b", key="k")) == Replay("k", None)

    def test_what_was_not_applied_runs_again(self, store: Face) -> None:
        doubt_first(store)
        store.record(Resolve("k", applied=False))

        assert store.snapshot().in_doubt == ()
        lease = store.granted(call("b", "inventory/1", key="k"))
        store.settle(settled(lease, result=b"42"))
        assert store.begin(call("c", key="k")) == Replay("k", b"42")

    @pytest.mark.parametrize("applied", [True, False])
    def test_saying_the_same_twice_is_fine(self, store: Face, applied: bool) -> None:
        """An operator whose first command lost its reply says it again."""
        doubt_first(store)
        store.record(Resolve("k", applied=applied, result=b"r"))
        store.record(Resolve("k", applied=applied, result=b"r"))

    def test_to_say_so_again_with_another_result_is_refused(self, store: Face) -> None:
        """It is not the same, and whoever says it would take it to be stored."""
        doubt_first(store)
        store.record(Resolve("k", applied=True, result=b"r"))

        with pytest.raises(ConfigurationError, match="another result"):
            store.record(Resolve("k", applied=True, result=b"s"))
        store.record(Resolve("k", applied=True))  # and to say less is not to say something else

        assert store.begin(call("b", key="k")) == Replay("k", b"r")

    def test_an_unknown_key_is_refused(self, store: Face) -> None:
        with pytest.raises(ConfigurationError, match="nobody-knows"):
            store.record(Resolve("nobody-knows", applied=True))
        assert store.log() == []
        store.granted(call("a", key="nobody-knows"))

    @pytest.mark.parametrize("applied", [True, False])
    def test_a_settled_call_cannot_be_resolved(self, store: Face, applied: bool) -> None:
        store.settle(settled(store.granted(call("a", key="k")), State.REJECTED, result=b"no"))
        before = store.log()

        with pytest.raises(ConfigurationError):
            store.record(Resolve("k", applied=applied, result=b"other"))

        assert store.begin(call("b", key="k")) == Replay("k", b"no", rejected=True)
        assert store.log()[: len(before)] == before
        assert store.log("call.resolved") == []

    def test_a_running_call_cannot_be_resolved(self, store: Face) -> None:
        lease = store.granted(call("a", key="k"))
        with pytest.raises(ConfigurationError):
            store.record(Resolve("k", applied=False))
        assert store.settle(settled(lease)) is SettleReply.SETTLED

    def test_a_second_run_cannot_be_resolved_either(self, store: Face) -> None:
        doubt_first(store)
        lease = store.granted(call("b", key="k", rerun_within=float("inf")))
        with pytest.raises(ConfigurationError):
            store.record(Resolve("k", applied=True))
        assert store.settle(settled(lease)) is SettleReply.SETTLED


class Looking(Suite):
    """The snapshot."""

    def test_an_empty_namespace_has_nothing_to_show(self, store: Face) -> None:
        assert store.snapshot() == Snapshot()

    def test_leases_are_shown_in_full(self, store: Face, clock: ManualClock) -> None:
        request = call("a", "inventory/1", reading("price/1"), key="k", agent="stock", ttl=30)
        lease = store.granted(request)
        clock.advance(10)

        (view,) = store.snapshot().leases

        assert (view.owner, view.agent, view.thread, view.tool, view.key) == ("a", "stock", "t1", "reserve", "k")
        assert view.wants == (Want("inventory/1", Mode.EXCLUSIVE), Want("price/1", Mode.SHARED))
        assert view.fence == lease.fence
        assert view.held == pytest.approx(10, abs=0.01)
        assert view.remaining == pytest.approx(20, abs=0.01)

    def test_waiters_are_shown_in_their_order(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1"))
        store.queued(call("z", "inventory/1", key="k", agent="stock"))
        clock.advance(1)
        store.queued(call("b", reading("inventory/1"), agent="stock"))
        clock.advance(1)

        first, second = store.snapshot().waiters

        assert (first.owner, first.agent, first.thread, first.tool) == ("z", "stock", "t1", "reserve")
        assert first.wants == (Want("inventory/1", Mode.EXCLUSIVE),)
        assert second.wants == (Want("inventory/1", Mode.SHARED),)
        assert first.ticket < second.ticket
        assert first.waited == pytest.approx(2, abs=0.01)
        assert second.waited == pytest.approx(1, abs=0.01)

    def test_doubt_is_shown_with_its_beginning(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(call("a", key="k", agent="stock"))
        clock.advance(7)
        store.settle(settled(lease, State.IN_DOUBT))
        clock.advance(100)

        (doubt,) = store.snapshot().in_doubt

        assert (doubt.key, doubt.agent, doubt.thread, doubt.tool, doubt.attempt) == ("k", "stock", "t1", "reserve", 1)
        assert clock.time() - 107.01 <= doubt.since <= clock.time() - 99.99


class KilledAgain(Suite):
    """An agent that is stopped twice."""

    def test_what_was_said_first_holds_until_something_else_is_said(self, store: Face, clock: ManualClock) -> None:
        store.record(Kill("orders", "sells too cheap", "ops"))
        since = clock.time()
        clock.advance(10)
        store.record(Kill("orders"))
        (killed,) = store.snapshot().killed
        assert (killed.reason, killed.by) == ("sells too cheap", "ops")
        assert killed.at == pytest.approx(since, abs=0.01)

        store.record(Kill("orders", reason="and too often"))
        assert [killed.reason for killed in store.snapshot().killed] == ["and too often"]


class Peers(Suite):
    """The same namespace, opened twice, as by two processes."""

    def test_two_coordinators_share_everything(self, make_backend: MakeBackend, clock: ManualClock) -> None:
        here, there = SyncFace(make_backend(clock)), SyncFace(make_backend(clock))
        try:
            lease = here.granted(call("a", "inventory/1", key="k", session="here"))
            waiter = call("b", "inventory/1", session="there")
            there.queued(waiter)
            here.settle(settled(lease, result=b"42"))

            assert there.granted(again(waiter)).fence > lease.fence
            assert there.begin(call("c", key="k", session="there")) == Replay("k", b"42")
            there.record(Kill("orders"))
            assert isinstance(here.begin(ask("d", session="here", agent="orders")), Killed)
            assert here.log() == there.log()
            assert here.snapshot() == there.snapshot()
        finally:
            here.backend.close()
            there.backend.close()

    def test_what_one_leaves_behind_the_other_finds(self, make_backend: MakeBackend, clock: ManualClock) -> None:
        here, there = make_backend(clock), make_backend(clock)
        lease = SyncFace(here).granted(call("a", "inventory/1", key="k", ttl=5))
        if here is not there:
            here.close()
        clock.advance(6)

        try:
            assert SyncFace(there).granted(ask("b", "inventory/1")).fence > lease.fence
            assert [doubt.key for doubt in there.snapshot().in_doubt] == ["k"]
        finally:
            there.close()

    def test_the_secret_is_one_for_all_who_share_the_namespace(
        self, make_backend: MakeBackend, clock: ManualClock
    ) -> None:
        here, there = make_backend(clock), make_backend(clock)
        try:
            assert len(here.secret) >= 16
            assert there.secret == here.secret
        finally:
            here.close()
            there.close()

    def test_closing_twice_is_closing(self, make_backend: MakeBackend, clock: ManualClock) -> None:
        backend = make_backend(clock)
        SyncFace(backend).granted(ask("a", "inventory/1"))
        backend.close()
        backend.close()


class Admin(KillSwitch, KilledAgain, Resolving, Looking, Peers):
    """All of the above."""
