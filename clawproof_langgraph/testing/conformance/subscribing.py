"""Reading the log under a name: without gaps, from where one stopped, and never past what was lost in silence."""

from __future__ import annotations

import threading

import pytest

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.events import LOG_TRUNCATED, Event, EventFilter
from clawproof_langgraph.model import Advance, Note, Start, Subscribe, Sweep, Unsubscribe
from clawproof_langgraph.testing.builders import ask, released
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.conformance.suite import Suite
from clawproof_langgraph.testing.faces import Face

DAY = 86_400.0
A_LIFE = 5.0
"""Seconds that a name stays taken after the last sign of life of its reader."""
COUNTED_ANEW = 60.0
"""Seconds after which a backend counts its log again at the latest."""


def publish(store: Face, *names: str) -> list[int]:
    """Write domain events; give their cursors."""
    return [store.record(Note(name)) for name in names]


def types(events: list[Event]) -> list[str]:
    """Name the types of events in order."""
    return [event.type for event in events]


class Subscribing(Suite):
    """Who reads what."""

    def test_a_note_tells_its_cursor(self, store: Face) -> None:
        cursors = publish(store, "A", "B")
        assert [event.cursor for event in store.log()] == cursors

    def test_a_new_name_begins_at_the_end_of_the_log(self, store: Face) -> None:
        publish(store, "before")
        reader = store.subscribe("view")
        publish(store, "after")
        assert types(store.drain(reader)) == ["after"]

    def test_a_new_name_may_begin_with_what_the_log_has(self, store: Face) -> None:
        publish(store, "A", "B")
        assert types(store.drain(store.subscribe("view", start=Start.EARLIEST))) == ["A", "B"]

    def test_a_new_name_may_begin_behind_a_cursor(self, store: Face) -> None:
        first, *_ = publish(store, "A", "B", "C")
        assert types(store.drain(store.subscribe("view", start=first))) == ["B", "C"]

    def test_a_name_begins_where_it_was_left(self, store: Face) -> None:
        reader = store.subscribe("view")
        publish(store, "A", "B")
        store.drain(reader)
        store.leave(reader)
        publish(store, "C")

        again = store.subscribe("view", owner="another", start=Start.EARLIEST)

        assert types(store.drain(again)) == ["C"]

    def test_what_was_given_is_read_when_the_next_is_asked_for(self, store: Face) -> None:
        reader = store.subscribe("view")
        publish(store, "A", "B", "C")
        store.poll(reader)
        store.poll(reader)
        store.leave(reader)

        assert types(store.drain(store.subscribe("view", owner="another"))) == ["B", "C"]

    def test_a_reader_that_dies_is_given_again_what_it_had_not_told(self, store: Face, clock: ManualClock) -> None:
        reader = store.subscribe("view")
        publish(store, "A", "B")
        store.poll(reader)
        clock.advance(A_LIFE + 0.1)

        assert types(store.drain(store.subscribe("view", owner="another"))) == ["A", "B"]

    def test_names_go_their_own_ways(self, store: Face) -> None:
        one, other = store.subscribe("one"), store.subscribe("other", owner="another")
        publish(store, "A")
        assert types(store.drain(one)) == ["A"]
        publish(store, "B")
        assert types(store.drain(other)) == ["A", "B"]

    def test_a_filter_is_kept_to(self, store: Face) -> None:
        reader = store.subscribe("view", "B")
        publish(store, "A", "B", "C", "B", "A")
        assert types(store.drain(reader)) == ["B", "B"]

    def test_what_the_filter_keeps_out_is_read_as_well(self, store: Face) -> None:
        """Otherwise a subscription that nothing passes would hold the log for ever."""
        reader = store.subscribe("view", "B")
        *_, last = publish(store, "A", "A")
        store.drain(reader)
        store.leave(reader)
        assert store.record(Subscribe("view", "another")) == last

    def test_all_events_of_a_step_are_read(self, store: Face) -> None:
        reader = store.subscribe("view")
        store.record(Note("A"))
        store.backend.settle(released(store.granted(ask("a", "inventory/1"))))
        assert [event.cursor for event in store.drain(reader)] == [event.cursor for event in store.log()]

    def test_more_than_a_batch_is_read_in_order(self, store: Face) -> None:
        reader = store.subscribe("view")
        cursors = publish(store, *["A"] * 1201)
        assert [event.cursor for event in store.drain(reader)] == cursors

    def test_a_second_reader_is_refused_with_the_remedy(self, store: Face) -> None:
        store.subscribe("view")
        with pytest.raises(ConfigurationError, match=r'"view" is read by somebody else.*use another name'):
            store.subscribe("view", owner="another")

    def test_a_reader_that_asks_again_is_the_same(self, store: Face) -> None:
        """As after a reply that was lost."""
        assert store.record(Subscribe("view", "a")) == store.record(Subscribe("view", "a"))

    def test_a_name_is_free_when_its_reader_leaves(self, store: Face) -> None:
        store.leave(store.subscribe("view"))
        store.subscribe("view", owner="another")

    def test_a_name_is_free_when_its_reader_shows_no_life(self, store: Face, clock: ManualClock) -> None:
        store.subscribe("view")
        clock.advance(A_LIFE - 0.1)
        with pytest.raises(ConfigurationError):
            store.subscribe("view", owner="another")
        clock.advance(0.2)
        store.subscribe("view", owner="another")

    def test_a_reader_that_advances_lives(self, store: Face, clock: ManualClock) -> None:
        cursor = store.record(Subscribe("view", "a"))
        for _ in range(3):
            clock.advance(A_LIFE - 0.1)
            store.record(Advance("view", "a", cursor))
        with pytest.raises(ConfigurationError):
            store.subscribe("view", owner="another")

    def test_a_reader_that_was_replaced_is_told(self, store: Face, clock: ManualClock) -> None:
        store.record(Subscribe("view", "a"))
        clock.advance(A_LIFE + 0.1)
        stands_at = store.record(Subscribe("view", "b"))

        with pytest.raises(ConfigurationError, match="read by somebody else"):
            store.record(Advance("view", "a", stands_at + 1))
        assert store.record(Advance("view", "b", 0)) == stands_at

    def test_a_late_reader_goes_on_if_nobody_came(self, store: Face, clock: ManualClock) -> None:
        reader = store.subscribe("view")
        clock.advance(60)
        publish(store, "A")
        assert types(store.drain(reader)) == ["A"]

    def test_a_setting_of_the_date_frees_no_name(self, store: Face, clock: ManualClock) -> None:
        store.subscribe("view")
        clock.set_date(DAY)
        with pytest.raises(ConfigurationError):
            store.subscribe("view", owner="another")

    def test_a_clock_that_starts_anew_keeps_no_name(self, store: Face, clock: ManualClock) -> None:
        """As after a boot, or on a server whose date is set back."""
        store.subscribe("view")
        clock.advance(-DAY)
        store.subscribe("view", owner="another")

    def test_a_position_never_goes_back(self, store: Face) -> None:
        cursor = store.record(Subscribe("view", "a"))
        store.record(Advance("view", "a", cursor + 10))
        assert store.record(Advance("view", "a", cursor)) == cursor + 10

    def test_a_name_that_is_forgotten_begins_anew(self, store: Face) -> None:
        store.leave(store.subscribe("view"))
        publish(store, "A")
        store.record(Unsubscribe("view"))
        store.record(Unsubscribe("view"))
        assert store.drain(store.subscribe("view", owner="another")) == []

    def test_a_reader_whose_name_was_forgotten_is_told(self, store: Face) -> None:
        cursor = store.record(Subscribe("view", "a"))
        store.record(Unsubscribe("view"))
        with pytest.raises(ConfigurationError, match="forgotten by unsubscribe"):
            store.record(Advance("view", "a", cursor))

    def test_subscriptions_write_no_events(self, store: Face) -> None:
        store.leave(store.subscribe("view"))
        store.record(Unsubscribe("view"))
        assert store.log() == []

    def test_following_ends_with_its_time(self, store: Face) -> None:
        [cursor] = publish(store, "A")
        assert not store.follow(cursor, 0.05)
        assert not store.follow(cursor, 0)

    def test_following_ends_at_once_where_there_is_something(self, store: Face) -> None:
        [cursor] = publish(store, "A")
        assert store.follow(cursor - 1, 60)

    def test_who_follows_is_woken(self, store: Face) -> None:
        [cursor] = publish(store, "A")
        threading.Timer(0.1, lambda: store.backend.record(Note("B"))).start()
        while not store.follow(cursor, 5):
            pass
        assert types(store.events(EventFilter(after=cursor))) == ["B"]


class Trimming(Suite):
    """What retention keeps for whom."""

    def test_what_a_live_subscriber_has_not_read_is_kept(self, store: Face, clock: ManualClock) -> None:
        store.subscribe("slow")
        fast = store.subscribe("fast", owner="another")
        publish(store, "A", "B", "C")
        store.drain(fast)
        clock.advance(2 * DAY)
        terms = Sweep(keep_events=DAY, subscriber_life=3 * DAY)

        assert store.sweep(terms).events == 0
        assert types(store.log()) == ["A", "B", "C"]

    def test_what_the_slowest_has_read_is_trimmed(self, store: Face, clock: ManualClock) -> None:
        store.subscribe("slow")
        store.subscribe("fast", owner="another")
        first, second, third = publish(store, "A", "B", "C")
        store.record(Advance("slow", "reader", first))
        store.record(Advance("fast", "another", third))
        clock.advance(2 * DAY)
        publish(store, "new")
        terms = Sweep(keep_events=DAY, subscriber_life=3 * DAY)

        assert store.sweep(terms).events == 1
        assert types(store.log()) == ["B", "C", "new"]
        store.record(Advance("slow", "reader", second))
        store.sweep(terms)
        assert types(store.log()) == ["C", "new"]

    def test_an_abandoned_subscriber_does_not_hold_the_log(self, store: Face, clock: ManualClock) -> None:
        store.subscribe("gone")
        publish(store, "A")
        clock.advance(2 * DAY)
        publish(store, "B")

        assert store.sweep(Sweep(keep_events=DAY, subscriber_life=DAY)).events == 1
        assert types(store.log()) == ["B"], "nobody who lives has missed anything"

    def test_a_subscriber_that_left_a_moment_ago_is_no_less_live(self, store: Face, clock: ManualClock) -> None:
        """It may be restarting."""
        clock.advance(10 * DAY)
        reader = store.subscribe("view")
        publish(store, "A")
        clock.advance(2 * DAY)
        store.leave(reader)
        publish(store, "new")
        store.sweep(Sweep(keep_events=DAY, subscriber_life=DAY))
        assert types(store.log()) == ["A", "new"]

    def test_a_forgotten_subscriber_does_not_hold_the_log(self, store: Face, clock: ManualClock) -> None:
        store.subscribe("view")
        publish(store, "A")
        clock.advance(2 * DAY)
        publish(store, "B")
        store.record(Unsubscribe("view"))
        store.sweep(Sweep(keep_events=DAY, subscriber_life=3 * DAY))
        assert types(store.log()) == ["B"]

    def test_the_most_events_are_not_exceeded_for_anybody(self, store: Face) -> None:
        start = store.record(Subscribe("slow", "a"))
        cursors = publish(store, *[f"n{number}" for number in range(10)])

        store.sweep(Sweep(max_events=4))

        kept = store.log()
        assert len(kept) <= 5
        [told] = store.log(LOG_TRUNCATED)
        lost = [cursor for cursor in cursors if cursor < kept[0].cursor]
        assert told.data == {"subscribers": ["slow"], "from": start, "to": lost[-1]}

    def test_what_is_lost_is_told_once(self, store: Face, clock: ManualClock) -> None:
        """The event is one more that is too many."""
        for name in ("slow", "slower"):
            store.record(Subscribe(name, "a"))
        for _ in range(4):
            publish(store, *["A"] * 4)
            clock.advance(COUNTED_ANEW)
            store.sweep(Sweep(max_events=8))

        [told] = store.log(LOG_TRUNCATED)
        assert told.data["subscribers"] == ["slow", "slower"]
        assert len(store.log()) <= 9

    def test_only_those_who_missed_something_are_named(self, store: Face) -> None:
        store.record(Subscribe("slow", "a"))
        store.record(Subscribe("fast", "b"))
        cursors = publish(store, *["A"] * 10)
        store.record(Advance("fast", "b", cursors[7]))
        store.sweep(Sweep(max_events=4))
        assert store.log(LOG_TRUNCATED)[0].data["subscribers"] == ["slow"]


class Truncation(Suite):
    """Whoever has missed something is told."""

    def lose(self, store: Face) -> list[int]:
        """Write ten events and lose the first of them; give the cursors of those that are left."""
        publish(store, *[f"n{number}" for number in range(10)])
        store.sweep(Sweep(max_events=4))
        return [event.cursor for event in store.log() if event.type != LOG_TRUNCATED]

    @pytest.mark.parametrize("wanted", [(), ("n9",), ("n0",)])
    def test_a_subscriber_is_told_before_what_comes_next(self, store: Face, wanted: tuple[str, ...]) -> None:
        reader = store.subscribe("view", *wanted)
        start = reader.cursor
        left = self.lose(store)

        told, *others = store.drain(reader)

        assert told.type == LOG_TRUNCATED
        assert (told.data["from"], told.data["subscribers"]) == (start, ["view"])
        assert start < told.cursor == told.data["to"] < left[0]
        assert types(others) == [
            name for name in ("n6", "n7", "n8", "n9")[-len(left) :] if not wanted or name in wanted
        ]

    def test_what_others_have_missed_is_none_of_its_business(self, store: Face) -> None:
        slow, fast = store.subscribe("slow"), store.subscribe("fast", owner="another")
        publish(store, "early")
        store.drain(fast)
        store.record(Advance("fast", "another", store.log()[-1].cursor))
        self.lose(store)
        publish(store, "late")

        assert types(store.drain(slow)).count(LOG_TRUNCATED) == 1
        told = [event for event in store.drain(fast) if event.type == LOG_TRUNCATED]
        assert [event.data["subscribers"] for event in told] == [["fast"]], "it has missed something, too"

    def test_an_operator_may_subscribe_to_what_anybody_has_missed(self, store: Face) -> None:
        store.subscribe("slow")
        watcher = store.subscribe("watcher", LOG_TRUNCATED, owner="another")
        publish(store, "A")
        store.drain(watcher)
        publish(store, *["A"] * 9)
        store.record(Advance("watcher", "another", store.log()[8].cursor))
        store.sweep(Sweep(max_events=4))

        told = store.drain(watcher)

        assert ["slow"] in [event.data["subscribers"] for event in told]

    def test_it_is_told_again_until_it_was_read(self, store: Face) -> None:
        reader = store.subscribe("view")
        self.lose(store)
        store.poll(reader)
        store.leave(reader)

        told, *_ = store.drain(store.subscribe("view", owner="another"))

        assert told.type == LOG_TRUNCATED

    def test_once_read_it_is_told_no_more(self, store: Face) -> None:
        reader = store.subscribe("view")
        self.lose(store)
        store.drain(reader)
        store.leave(reader)
        publish(store, "B")
        assert types(store.drain(store.subscribe("view", owner="another"))) == ["B"]

    def test_an_abandoned_subscriber_that_comes_back_is_told(self, store: Face, clock: ManualClock) -> None:
        store.leave(store.subscribe("view"))
        publish(store, "A")
        clock.advance(30 * DAY)
        publish(store, "B")
        store.sweep(Sweep(keep_events=DAY))

        assert types(store.drain(store.subscribe("view", owner="another"))) == [LOG_TRUNCATED, "B"]

    def test_who_begins_with_what_there_is_has_missed_nothing(self, store: Face) -> None:
        left = self.lose(store)
        reader = store.subscribe("view", start=Start.EARLIEST)
        assert [event.cursor for event in store.drain(reader)] == left

    def test_who_begins_behind_a_cursor_that_is_gone_is_told(self, store: Face) -> None:
        self.lose(store)
        reader = store.subscribe("view", start=1)
        assert types(store.drain(reader))[0] == LOG_TRUNCATED

    def test_reading_on_from_a_cursor_that_is_gone_is_told(self, store: Face) -> None:
        [cursor] = publish(store, "early")
        left = self.lose(store)

        told, *others = store.events(EventFilter(after=cursor, types=("n9",)))

        assert (told.type, told.data["from"]) == (LOG_TRUNCATED, cursor)
        assert "from its source anew" in told.data["remedy"]
        assert types(others) == ["n9"]
        assert [event.cursor for event in store.events(EventFilter(after=told.cursor))] == left

    def test_a_page_tells_where_the_log_ends(self, store: Face, clock: ManualClock) -> None:
        assert store.page(EventFilter()).end == 0
        *_, last = publish(store, "A", "B", "C")
        assert store.page(EventFilter(limit=1)).end == last
        assert store.page(EventFilter(after=last, types=("A",))).end == last
        clock.advance(2 * DAY)
        store.sweep(Sweep(keep_events=DAY))
        assert store.page(EventFilter(limit=1)).end == last

    def test_a_cursor_up_to_which_all_was_trimmed_has_missed_nothing(self, store: Face) -> None:
        cursors = publish(store, *["A"] * 10)
        store.sweep(Sweep(max_events=4))
        trimmed = store.page(EventFilter()).trimmed
        assert trimmed in cursors
        assert LOG_TRUNCATED not in types(store.events(EventFilter(after=trimmed)))

    def test_reading_what_there_is_has_missed_nothing(self, store: Face) -> None:
        left = self.lose(store)
        assert [event.cursor for event in store.log()] == left

    def test_a_limit_counts_what_tells_of_a_gap(self, store: Face) -> None:
        [cursor] = publish(store, "early")
        self.lose(store)
        [told] = store.events(EventFilter(after=cursor, limit=1))
        assert told.type == LOG_TRUNCATED
