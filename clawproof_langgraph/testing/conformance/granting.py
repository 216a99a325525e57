"""Who gets what at once: modes, several resources, repetition of a request, and the fencing token."""

from __future__ import annotations

import pytest

from clawproof_langgraph.model import SettleReply, State
from clawproof_langgraph.testing.builders import again, ask, call, reading, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face

AWKWARD = {
    "blank": "a b",
    "other scripts": "ключ/№ 1",
    "beyond 16 bits": "📦/1",
    "braces": "x{y}z",
    "quotes": 'it\'s "so"',
    "wildcards": "50%_*?[a]",
    "separators": "a:b|c,d;e",
    "backslash": "back\\slash",
    "dash": "-",
    "long": "x" * 2000,
}
"""Names that stores trip over; a canonical name holds no control characters, though, and no blanks at an end."""


class Granting(Suite):
    """What a request gets that meets nobody, or meets a holder."""

    def test_a_free_resource_is_granted_at_once(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1", ttl=20))

        assert lease.owner == "a"
        assert lease.ttl == pytest.approx(20)
        assert lease.key == ""
        assert lease.attempt == 0

    def test_a_held_resource_is_not_granted_twice(self, store: Face) -> None:
        store.granted(ask("a", "inventory/1", agent="stock"))

        reply = store.queued(ask("b", "inventory/1"))

        assert reply.resource == "inventory/1"
        assert "stock" in reply.holder, "the one in the way is named for a human"
        assert reply.look_again > 0
        assert not reply.on_key

    def test_a_released_resource_is_free(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1"))

        assert store.settle(released(lease)) is SettleReply.SETTLED

        store.granted(ask("b", "inventory/1"))

    def test_readers_share(self, store: Face) -> None:
        store.granted(ask("a", reading("inventory/1")))
        store.granted(ask("b", reading("inventory/1")))

    def test_a_writer_waits_for_every_reader(self, store: Face) -> None:
        first = store.granted(ask("a", reading("inventory/1")))
        second = store.granted(ask("b", reading("inventory/1")))
        store.queued(ask("w", "inventory/1"))

        store.settle(released(first))
        assert store.turns() == set()
        store.settle(released(second))
        assert store.turns() == {"w"}

    def test_a_reader_waits_for_a_writer(self, store: Face) -> None:
        store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", reading("inventory/1")))

    def test_one_agent_is_its_own_rival(self, store: Face) -> None:
        store.granted(ask("a", "inventory/1", agent="orders"))
        store.queued(ask("b", "inventory/1", agent="orders"))

    def test_several_resources_are_granted_together_or_not_at_all(self, store: Face) -> None:
        store.granted(ask("a", "inventory/2"))

        reply = store.queued(ask("b", "inventory/1", "inventory/2", "inventory/3"))

        assert reply.resource == "inventory/2"
        assert [lease.owner for lease in store.snapshot().leases] == ["a"]

    def test_modes_are_judged_resource_by_resource(self, store: Face) -> None:
        store.granted(ask("a", "order/1", reading("price/1")))
        store.granted(ask("b", "order/2", reading("price/1")))
        assert store.queued(ask("c", reading("order/1"), reading("price/1"))).resource == "order/1"

    def test_different_resources_do_not_meet(self, store: Face) -> None:
        store.granted(ask("a", "inventory/1"))
        store.granted(ask("b", "inventory/10"))
        store.granted(ask("c", "inventory"))
        store.granted(ask("d", "Inventory/1"))

    @pytest.mark.parametrize("name", AWKWARD.values(), ids=AWKWARD.keys())
    def test_any_name_is_a_name(self, store: Face, name: str) -> None:
        lease = store.granted(call("a", name, key=name, agent=name))

        assert store.queued(ask("b", name)).resource == name
        assert store.snapshot().leases[0].wants[0].resource == name
        store.settle(settled(lease))
        assert store.turns() == {"b"}

    def test_a_key_is_not_the_resource_of_the_same_name(self, store: Face) -> None:
        store.granted(ask("a", "order/1"))
        store.granted(call("b", key="order/1"))
        assert store.queued(ask("c", "order/1")).on_key is False

    def test_a_request_for_nothing_is_granted(self, store: Face) -> None:
        lease = store.granted(call("a"))
        assert store.settle(settled(lease)) is SettleReply.SETTLED


class Repetition(Suite):
    """What happens when a reply is lost and the same command is sent again."""

    def test_a_repeated_begin_finds_the_same_lease(self, store: Face, clock: ManualClock) -> None:
        request = call("a", "inventory/1", key="k")
        lease = store.granted(request)
        clock.advance(1)

        repeated = store.granted(again(request))

        assert (repeated.fence, repeated.key, repeated.attempt) == (lease.fence, "k", 0)
        assert len(store.snapshot().leases) == 1

    def test_a_repeated_begin_promises_no_more_time_than_there_is(self, store: Face, clock: ManualClock) -> None:
        request = ask("a", "inventory/1", ttl=10)
        store.granted(request)
        clock.advance(6)

        repeated = store.granted(again(request))
        assert 0 < repeated.ttl <= 10
        clock.advance(repeated.ttl - 0.1)

        store.queued(ask("b", "inventory/1"))

    def test_a_begin_that_never_arrived_is_made_good_by_its_repetition(self, store: Face) -> None:
        store.granted(again(call("a", "inventory/1", key="k")))
        store.queued(ask("b", "inventory/1"))

    def test_a_repeated_begin_is_one_waiter(self, store: Face) -> None:
        store.granted(ask("a", "inventory/1"))
        request = ask("b", "inventory/1")

        store.queued(request)
        store.queued(again(request))

        assert [waiter.owner for waiter in store.snapshot().waiters] == ["b"]

    def test_a_repeated_settle_changes_nothing(self, store: Face) -> None:
        lease = store.granted(call("a", "inventory/1", key="k"))
        assert store.settle(settled(lease, result=b"1")) is SettleReply.SETTLED
        store.granted(ask("b", "inventory/1"))

        assert store.settle(settled(lease, result=b"1")) is SettleReply.SETTLED

        store.queued(ask("c", "inventory/1"))

    def test_a_repeated_settle_as_failed_does_not_stop_the_next_attempt(self, store: Face) -> None:
        lease = store.granted(call("a", "inventory/1", key="k"))
        store.settle(settled(lease, State.FAILED))
        store.granted(call("b", "inventory/1", key="k"))

        store.settle(settled(lease, State.FAILED))

        assert store.queued(call("c", key="k")).on_key

    def test_a_lock_that_is_released_twice_says_so(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        store.settle(released(lease))
        store.granted(ask("b", "inventory/1"))

        assert store.settle(released(lease)) is SettleReply.GONE

        store.queued(ask("c", "inventory/1"))


class Fencing(Suite):
    """The token by which a store refuses a holder that was overtaken."""

    def test_the_fence_grows_with_every_grant(self, store: Face) -> None:
        fences = []
        for owner in "abcde":
            lease = store.granted(ask(owner, "inventory/1"))
            fences.append(lease.fence)
            store.settle(released(lease))

        assert fences == sorted(set(fences))

    def test_the_fence_is_not_behind_the_clock(self, store: Face, clock: ManualClock) -> None:
        clock.advance(3600)
        assert store.granted(ask("a", "inventory/1")).fence >= int(clock.time() * 1_000_000)

    def test_the_fence_grows_though_the_clock_is_set_back(self, store: Face, clock: ManualClock) -> None:
        first = store.granted(ask("a", "inventory/1"))
        store.settle(released(first))
        clock.set_date(-3600)

        assert store.granted(ask("b", "inventory/1")).fence > first.fence

    def test_the_fence_of_a_claim_is_above_all_before_it(self, store: Face) -> None:
        first = store.granted(ask("a", "inventory/1"))
        waiter = ask("b", "inventory/1")
        store.queued(waiter)
        store.settle(released(first))
        between = store.granted(ask("c", "inventory/2"))

        claimed = store.granted(again(waiter))

        assert claimed.fence > between.fence > first.fence

    def test_the_fence_of_a_run_after_doubt_is_above_the_lost_one(self, store: Face, clock: ManualClock) -> None:
        lost = store.granted(ask("a", "inventory/1", ttl=5))
        clock.advance(6)
        assert store.granted(ask("b", "inventory/1")).fence > lost.fence
