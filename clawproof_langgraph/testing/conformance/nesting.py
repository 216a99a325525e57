"""Calls inside calls: the outer one is not in the way of the inner one, and no chain can wait for itself."""

from __future__ import annotations

import pytest

from clawproof_langgraph.core.waits import wait_for
from clawproof_langgraph.model import Begin, Granted, Queued, Renew
from clawproof_langgraph.testing.builders import again, ask, call, reading, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face
from clawproof_langgraph.testing.nestings import Nestings


class Nesting(Suite):
    """Requests that name their ancestors."""

    def test_the_outer_lock_is_not_in_the_way_of_the_inner_one(self, store: Face) -> None:
        store.granted(ask("outer", "inventory/1"))
        store.granted(ask("inner", "inventory/1", ancestors=("outer",)))

    def test_siblings_exclude_each_other(self, store: Face) -> None:
        store.granted(ask("outer", "inventory/1"))
        first = store.granted(ask("one", "inventory/1", ancestors=("outer",)))
        second = ask("two", "inventory/1", ancestors=("outer",))

        store.queued(second)
        store.settle(released(first))

        assert store.turns() == {"two"}
        store.granted(again(second))

    def test_every_ancestor_is_out_of_the_way(self, store: Face) -> None:
        store.granted(ask("outer", "inventory/1"))
        store.granted(ask("middle", "inventory/2", ancestors=("outer",)))
        store.granted(ask("inner", "inventory/1", "inventory/2", ancestors=("outer", "middle")))

    def test_the_locks_of_a_chain_exclude_everybody_else(self, store: Face) -> None:
        outer = store.granted(ask("outer", "inventory/1"))
        inner = store.granted(ask("inner", "inventory/1", ancestors=("outer",)))
        outsider = ask("outsider", "inventory/1")
        store.queued(outsider)

        store.settle(released(inner))
        assert store.turns() == set(), "the outer call still holds it"
        store.settle(released(outer))
        assert store.turns() == {"outsider"}

    def test_an_inner_lock_outlives_the_outer_one(self, store: Face) -> None:
        outer = store.granted(ask("outer", "inventory/1"))
        inner = store.granted(ask("inner", "inventory/1", ancestors=("outer",)))
        store.queued(ask("outsider", "inventory/1"))

        store.settle(released(outer))
        assert store.turns() == set(), "the inner call still holds it"
        store.settle(released(inner))
        assert store.turns() == {"outsider"}

    def test_the_locks_of_another_chain_are_in_the_way(self, store: Face) -> None:
        store.granted(ask("outer-1", "inventory/1"))
        store.granted(ask("outer-2", "inventory/2"))
        store.queued(ask("inner-1", "inventory/2", ancestors=("outer-1",)))

    def test_a_nested_request_does_not_wait_for_waiters(self, store: Face) -> None:
        """The waiter waits for the chain of the nested request: behind it, both would wait for ever."""
        store.granted(ask("outer", "inventory/1"))
        store.queued(ask("waiter", "inventory/1", "inventory/2"))

        store.granted(ask("inner", "inventory/2", ancestors=("outer",)))

    def test_a_nested_request_is_served_before_a_waiter_that_needs_more(self, store: Face) -> None:
        store.granted(ask("outer", "inventory/1"))
        holder = store.granted(ask("holder", "inventory/2"))
        store.queued(ask("waiter", "inventory/1", "inventory/2"))
        store.queued(ask("inner", "inventory/2", ancestors=("outer",)))

        store.settle(released(holder))

        assert store.turns() == {"inner"}

    def test_a_top_level_request_yields_to_a_nested_waiter(self, store: Face) -> None:
        store.granted(ask("outer", "inventory/1"))
        reader = store.granted(ask("reader", reading("inventory/2")))
        store.queued(ask("inner", "inventory/2", ancestors=("outer",)))

        store.queued(ask("newcomer", reading("inventory/2")))
        store.settle(released(reader))

        assert store.turns() == {"inner"}

    def test_nested_waiters_are_served_in_the_order_of_arrival(self, store: Face) -> None:
        """Also those that came at the same moment, by the store's clock."""
        holder = store.granted(ask("holder", "inventory/9"))
        waiters = [ask(owner, "inventory/9", ancestors=("outer-" + owner,)) for owner in ("z", "y", "x")]
        for waiter in waiters:
            store.granted(ask("outer-" + waiter.owner, "inventory/" + waiter.owner))
            store.queued(waiter)

        lease = holder
        for waiter in waiters:
            store.settle(released(lease))
            assert store.turns() == {waiter.owner}
            lease = store.granted(again(waiter))

    def test_a_nested_call_is_told_whether_the_holder_of_its_key_lives(self, store: Face, clock: ManualClock) -> None:
        store.granted(call("outer", "inventory/1", key="o"))
        store.granted(call("rival", "inventory/2", key="k", session="s0"))
        clock.advance(1)
        nested = call("inner", "inventory/3", key="k", ancestors=("outer",))

        silent = store.queued(nested)
        clock.advance(0.1)
        store.renew(Renew("s0", leases=(("rival", 30.0),)))
        heard = store.queued(again(nested))

        assert (silent.on_key, silent.alive) == (True, False)
        assert (heard.on_key, heard.alive) == (True, True)

    def test_a_nested_call_has_a_key_of_its_own(self, store: Face) -> None:
        outer = store.granted(call("outer", "inventory/1", key="k"))
        inner = store.granted(call("inner", "inventory/1", key="k/1", ancestors=("outer",)))

        store.settle(settled(inner, result=b"inner"))
        store.settle(settled(outer, result=b"outer"))

        assert {event.key for event in store.log("call.done")} == {"k", "k/1"}

    def test_chains_that_take_locks_in_order_never_block_each_other_for_good(self, store: Face) -> None:
        """They wait with locks in hand, for one another and behind top-level waiters; all of them get through."""
        chains = [_Chain(store, path) for path in (("a", "c", "d"), ("b", "c", "d"), ("a", "d"), ("b", "d"), ("c",))]
        for _ in range(60):
            for chain in chains:
                chain.step()
        assert all(chain.finished for chain in chains)

    @pytest.mark.parametrize("seed", range(8))
    def test_random_nestings_in_order_close_no_circle_of_waits(self, store: Face, seed: int) -> None:
        nestings = Nestings(store, seed)
        for _ in range(80):
            nestings.step()
            assert nestings.cycle() == ()
        assert nestings.finish()

    def test_who_waits_for_whom_is_shown(self, store: Face) -> None:
        store.granted(ask("outer", "inventory/1"))
        store.granted(ask("rival", reading("inventory/2")))
        store.queued(ask("inner", "inventory/2", ancestors=("outer",)))
        store.queued(ask("first", "inventory/1"))
        store.queued(ask("second", "inventory/1", reading("inventory/9")))
        store.granted(call("holder", key="k"))
        store.queued(call("same", key="k"))

        found = wait_for(store.snapshot())

        assert {(wait.who, wait.on, wait.resource) for wait in found.waits} == {
            ("outer", "inner", ""), ("inner", "rival", "inventory/2"), ("first", "outer", "inventory/1"),
            ("second", "outer", "inventory/1"), ("second", "first", "inventory/1"), ("same", "holder", "k"),
        }  # fmt: skip
        assert found.waiters["inner"].ancestors == ("outer",)
        assert found.cycle() == ()

    def test_an_inner_lock_can_expire_under_a_living_outer_one(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("outer", "inventory/1", ttl=60))
        store.granted(ask("inner", "inventory/1", ttl=5, ancestors=("outer",)))
        clock.advance(6)

        store.granted(ask("sibling", "inventory/1", ancestors=("outer",)))
        store.queued(ask("outsider", "inventory/1"))


class _Chain:
    """A call that takes nested locks upwards, one step at a time, then lets go from the inside out."""

    def __init__(self, store: Face, path: tuple[str, ...]) -> None:
        self._store, self._path = store, path
        self._leases: list[Granted] = []
        self._asked = False
        self.finished = False

    def step(self) -> None:
        """Ask for the next lock, or let go of all of them once the last is held."""
        if self.finished:
            return
        if len(self._leases) == len(self._path):
            self._let_go()
            return
        reply = self._store.begin(self._next())
        self._asked = isinstance(reply, Queued)
        if isinstance(reply, Granted):
            self._leases.append(reply)

    def _next(self) -> Begin:
        depth = len(self._leases)
        ancestors = tuple(lease.owner for lease in self._leases)
        return ask(f"{'-'.join(self._path)}.{depth}", self._path[depth], ancestors=ancestors, repeated=self._asked)

    def _let_go(self) -> None:
        for lease in reversed(self._leases):
            self._store.settle(released(lease))
        self.finished = True
