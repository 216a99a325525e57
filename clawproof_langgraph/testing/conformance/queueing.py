"""First come, first served: who waits behind whom, and who may pass."""

from __future__ import annotations

from clawproof_langgraph.model import Withdraw
from clawproof_langgraph.testing.builders import again, ask, call, reading, released, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face


class Queueing(Suite):
    """The order of the queue."""

    def test_waiters_are_served_in_the_order_of_arrival(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        waiters = [ask(owner, "inventory/1") for owner in ("z", "y", "x")]
        for waiter in waiters:
            store.queued(waiter)

        for waiter in waiters:
            store.settle(released(lease))
            assert store.turns() == {waiter.owner}
            lease = store.granted(again(waiter))

    def test_asking_again_keeps_the_place(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        first, second = ask("b", "inventory/1"), ask("c", "inventory/1")
        store.queued(first)
        store.queued(second)

        store.queued(again(first))
        store.settle(released(lease))

        assert store.turns() == {"b"}

    def test_a_newcomer_does_not_pass_a_waiter(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1"))
        store.settle(released(lease))

        store.queued(ask("c", "inventory/1"))

        assert store.turns() == {"b"}

    def test_a_waiter_that_asks_too_early_does_not_pass_the_one_before_it(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        first, second = ask("b", "inventory/1"), ask("c", "inventory/1")
        store.queued(first)
        store.queued(second)
        store.settle(released(lease))

        store.queued(again(second))

        store.granted(again(first))

    def test_readers_do_not_pass_a_waiting_writer(self, store: Face) -> None:
        reader = store.granted(ask("r1", reading("inventory/1")))
        writer = ask("w", "inventory/1")
        store.queued(writer)
        late = ask("r2", reading("inventory/1"))

        reply = store.queued(late)
        assert reply.resource == "inventory/1"
        store.settle(released(reader))
        assert store.turns() == {"w"}
        store.settle(released(store.granted(again(writer))))
        assert store.turns() == {"r2"}

    def test_a_writer_does_not_pass_a_waiting_reader(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/2"))
        store.queued(ask("r", reading("inventory/1"), "inventory/2"))

        assert store.queued(ask("w", "inventory/1")).resource == "inventory/1"
        store.settle(released(lease))
        assert store.turns() == {"r"}

    def test_all_readers_at_the_head_of_the_queue_go_together(self, store: Face) -> None:
        lease = store.granted(ask("w1", "inventory/1"))
        for owner in ("r1", "r2", "r3"):
            store.queued(ask(owner, reading("inventory/1")))
        store.queued(ask("w2", "inventory/1"))
        store.queued(ask("r4", reading("inventory/1")))

        store.settle(released(lease))

        assert store.turns() == {"r1", "r2", "r3"}

    def test_a_waiter_blocks_later_ones_on_all_its_resources(self, store: Face) -> None:
        """Otherwise a request for many resources could starve behind a stream of small ones."""
        store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1", "inventory/2"))

        assert store.queued(ask("c", "inventory/2")).resource == "inventory/2"
        store.granted(ask("d", "inventory/3"))

    def test_a_waiter_gets_its_turn_when_the_last_of_its_resources_is_free(self, store: Face) -> None:
        first, second = store.granted(ask("a", "inventory/1")), store.granted(ask("b", "inventory/2"))
        store.queued(ask("c", "inventory/1", "inventory/2"))

        store.settle(released(second))
        assert store.turns() == set()
        store.settle(released(first))
        assert store.turns() == {"c"}

    def test_one_release_can_serve_several_waiters(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1", "inventory/2", "inventory/3"))
        store.queued(ask("b", "inventory/1"))
        store.queued(ask("c", "inventory/2", "inventory/3"))
        store.queued(ask("d", "inventory/3"))

        store.settle(released(lease))

        assert store.turns() == {"b", "c"}

    def test_a_great_crowd_of_readers_gets_in(self, store: Face) -> None:
        """A backend may wake them in steps, as long as those that are awake bring on the next ones."""
        lease = store.granted(ask("w", "inventory/1"))
        readers = {f"r{n}": ask(f"r{n}", reading("inventory/1")) for n in range(150)}
        for reader in readers.values():
            store.queued(reader)
        store.settle(released(lease))

        claimed = 0
        while turns := store.turns():
            for owner in turns:
                store.granted(again(readers[owner]))
            claimed += len(turns)

        assert claimed == 150

    def test_a_waiter_is_told_to_look_again_before_the_lease_ends_at_the_latest(self, store: Face) -> None:
        """Nobody rings when a holder dies."""
        store.granted(ask("a", "inventory/1", ttl=2))
        assert 0 < store.queued(ask("b", "inventory/1")).look_again <= 2

    def test_a_waiter_behind_a_crowd_that_waits_for_something_else_gets_its_turn(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        store.granted(ask("other", "inventory/2"))
        for number in range(80):
            store.queued(ask(f"w{number}", reading("inventory/1"), reading("inventory/2")))
        store.queued(ask("last", reading("inventory/1")))

        store.settle(released(lease))

        assert store.turns() == {"last"}

    def test_a_waiter_that_died_is_not_shown(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1", ttl=600))
        store.queued(ask("dead", "inventory/1", session="dead"))
        clock.advance(2)
        store.queued(ask("alive", "inventory/1"))
        clock.advance(2)

        assert [waiter.owner for waiter in store.snapshot().waiters] == ["alive"]

    def test_the_key_queues_like_a_resource(self, store: Face) -> None:
        lease = store.granted(call("a", "inventory/1", key="k"))

        reply = store.queued(call("b", "inventory/2", key="k"))
        assert reply.on_key
        assert "k" in reply.resource
        assert store.queued(ask("c", "inventory/2")).resource == "inventory/2"
        store.settle(settled(lease))
        assert "b" in store.turns(), "its turn has come, if only to hear what became of the call"

    def test_a_waiter_that_gives_up_lets_the_next_ones_pass(self, store: Face) -> None:
        store.granted(ask("r1", reading("inventory/1")))
        store.queued(ask("w", "inventory/1"))
        store.queued(ask("r2", reading("inventory/1")))

        store.withdraw(Withdraw("w"))

        assert store.turns() == {"r2"}
        assert store.snapshot().waiters == ()

    def test_a_waiter_that_gave_up_and_comes_back_is_the_last(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1"))
        store.queued(ask("c", "inventory/1"))

        store.withdraw(Withdraw("b"))
        store.queued(again(ask("b", "inventory/1")))
        store.settle(released(lease))

        assert store.turns() == {"c"}

    def test_withdrawing_what_nobody_asked_for_is_no_error(self, store: Face) -> None:
        store.withdraw(Withdraw("nobody"))
        store.withdraw(Withdraw("nobody"))

    def test_waiters_of_several_sessions_share_one_queue(self, store: Face) -> None:
        lease = store.granted(ask("a", "inventory/1", session="s1"))
        store.queued(ask("b", "inventory/1", session="s2"))
        store.queued(ask("c", "inventory/1", session="s1"))

        store.settle(released(lease))

        assert store.turns("s1") == set()
        assert store.turns("s2") == {"b"}


class Liveness(Suite):
    """How long a waiter keeps its place when nothing is heard of its session."""

    def test_a_waiter_whose_session_fell_silent_is_passed_over(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1", session="dead"))
        clock.advance(2.5)
        store.queued(ask("c", "inventory/1", session="alive"))
        clock.advance(1)

        store.settle(released(lease))

        assert store.turns("dead") == set()
        assert store.turns("alive") == {"c"}

    def test_a_dead_waiter_is_not_in_the_way_of_a_newcomer(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1", "inventory/2", session="dead"))
        clock.advance(3.5)

        store.granted(ask("c", "inventory/2"))
        store.settle(released(lease))
        store.granted(ask("d", "inventory/1"))

    def test_a_dead_waiter_is_not_in_the_way_of_one_that_asks_again(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1", "inventory/2", session="dead"))
        waiter = ask("c", "inventory/2", session="alive")
        store.queued(waiter)
        clock.advance(3.5)

        store.granted(again(waiter))

    def test_renewing_keeps_the_waiters_of_a_session(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        store.queued(ask("b", "inventory/1"))
        for _ in range(4):
            clock.advance(2)
            assert store.turns() == set()

        store.settle(released(lease))

        assert store.turns() == {"b"}

    def test_asking_again_keeps_a_waiter(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        waiter = ask("b", "inventory/1")
        store.queued(waiter)
        for _ in range(4):
            clock.advance(2)
            store.queued(again(waiter))

        store.settle(released(lease))

        assert store.turns() == {"b"}

    def test_a_sweep_drops_dead_waiters_and_serves_those_behind_them(self, store: Face, clock: ManualClock) -> None:
        store.granted(ask("r1", reading("inventory/1")))
        store.queued(ask("w", "inventory/1", session="dead"))
        clock.advance(2.5)
        store.queued(ask("r2", reading("inventory/1"), session="alive"))
        clock.advance(1)

        assert store.sweep().waiters == 1

        assert store.turns("alive") == {"r2"}
        assert store.snapshot().waiters == ()

    def test_a_crowd_of_dead_waiters_is_passed_over(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        for n in range(100):
            store.queued(ask(f"d{n}", "inventory/1", session="dead"))
        clock.advance(2)
        waiter = ask("b", "inventory/1", session="alive")
        store.queued(waiter)
        clock.advance(1.5)

        store.settle(released(lease))

        assert store.turns("alive") == {"b"}

    def test_a_waiter_that_was_dropped_can_ask_again(self, store: Face, clock: ManualClock) -> None:
        lease = store.granted(ask("a", "inventory/1"))
        waiter = ask("b", "inventory/1")
        store.queued(waiter)
        clock.advance(5)
        store.sweep()

        store.queued(again(waiter))
        store.settle(released(lease))

        assert store.turns() == {"b"}
