"""The idempotency key: what a repeat of a call is answered, by how the call came out."""

from __future__ import annotations

import pytest

from clawproof_langgraph.model import Mismatch, Replay, SettleReply, State
from clawproof_langgraph.testing.builders import again, ask, call, released, settled
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face

FOREVER = float("inf")


def settle_first(store: Face, state: State, **fields: object) -> None:
    """Run the first call under key `k`."""
    lease = store.granted(call("a", "inventory/1", key="k"))
    assert store.settle(settled(lease, state, **fields)) is SettleReply.SETTLED


class Records(Suite):
    """Calls that have settled."""

    @pytest.mark.parametrize("result", [b"", b"{}", bytes(range(256)), b"x" * 262_144, None])
    def test_a_done_call_is_replayed(self, store: Face, result: bytes | None) -> None:
        settle_first(store, State.DONE, result=result)

        assert store.begin(call("b", "inventory/1", key="k")) == Replay("k", result)
        assert store.begin(call("c", "inventory/1", key="k")) == Replay("k", result)
        assert store.snapshot().leases == ()

    def test_a_done_call_is_replayed_though_others_wait(self, store: Face) -> None:
        settle_first(store, State.DONE, result=b"42")
        store.granted(ask("b", "inventory/1"))
        store.queued(ask("c", "inventory/1"))

        assert store.begin(call("d", "inventory/1", key="k")) == Replay("k", b"42")

    def test_a_replay_leaves_no_waiter(self, store: Face) -> None:
        lease = store.granted(call("a", "inventory/1", key="k"))
        waiter = call("b", "inventory/1", key="k")
        store.queued(waiter)
        store.settle(settled(lease, result=b"42"))

        assert store.begin(again(waiter)) == Replay("k", b"42")

        assert store.snapshot().waiters == ()
        assert store.snapshot().leases == ()

    def test_the_owner_of_a_done_call_is_answered_too(self, store: Face) -> None:
        settle_first(store, State.DONE, result=b"42")
        assert store.begin(again(call("a", "inventory/1", key="k"))) == Replay("k", b"42")

    def test_a_rejected_call_is_refused_again(self, store: Face) -> None:
        settle_first(store, State.REJECTED, result=b"no")
        assert store.begin(call("b", "inventory/1", key="k")) == Replay("k", b"no", rejected=True)

    def test_a_failed_call_is_free_to_run_again(self, store: Face) -> None:
        settle_first(store, State.FAILED, error="Timeout")
        store.granted(call("b", "inventory/1", key="k"))

    def test_a_suspended_call_is_free_to_run_again_and_counts_on(self, store: Face) -> None:
        settle_first(store, State.SUSPENDED)

        lease = store.granted(call("b", "inventory/1", key="k"))
        assert lease.attempt == 1
        store.settle(settled(lease, State.SUSPENDED))

        assert store.granted(call("c", "inventory/1", key="k")).attempt == 2

    def test_the_attempts_of_one_lease_are_counted(self, store: Face) -> None:
        settle_first(store, State.SUSPENDED, attempt=3)
        assert store.granted(call("b", key="k")).attempt == 3

    def test_a_call_without_a_key_leaves_no_record(self, store: Face) -> None:
        store.settle(settled(store.granted(call("a", "inventory/1")), result=b"42"))
        store.settle(settled(store.granted(call("b", "inventory/1")), State.IN_DOUBT))
        store.granted(call("c", "inventory/1"))

    def test_a_running_call_holds_up_its_repeat(self, store: Face) -> None:
        lease = store.granted(call("a", key="k"))
        repeat = call("b", key="k")
        assert store.queued(repeat).on_key

        store.settle(settled(lease, State.FAILED))

        store.granted(again(repeat))

    @pytest.mark.parametrize("state", [State.DONE, State.REJECTED, State.SUSPENDED, State.FAILED, State.IN_DOUBT])
    def test_every_outcome_releases_the_locks(self, store: Face, state: State) -> None:
        lease = store.granted(call("a", "inventory/1", key="k"))
        store.queued(ask("b", "inventory/1"))

        assert store.settle(settled(lease, state)) is SettleReply.SETTLED

        assert store.turns() == {"b"}

    @pytest.mark.parametrize("state", [State.DONE, State.REJECTED, State.IN_DOUBT])
    def test_a_key_is_for_one_fingerprint(self, store: Face, state: State) -> None:
        settle_first(store, state)

        reply = store.begin(call("b", "inventory/1", key="k", fingerprint="other", rerun_within=FOREVER))

        assert reply == Mismatch("k", "reserve")
        assert store.snapshot().leases == ()

    def test_a_mismatch_leaves_no_waiter(self, store: Face) -> None:
        settle_first(store, State.DONE)
        store.granted(ask("b", "inventory/1"))
        store.begin(call("c", "inventory/1", key="k", fingerprint="other"))

        assert store.snapshot().waiters == ()

    def test_records_are_kept_apart_by_key(self, store: Face) -> None:
        settle_first(store, State.DONE)
        store.granted(call("b", key="K"))
        store.granted(call("c", key="k "))

    def test_a_lock_under_a_key_can_be_released(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1", key="k"))
        assert store.settle(released(lease)) is SettleReply.SETTLED
