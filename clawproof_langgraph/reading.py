"""Reading the log from a cursor on, once: what subscriptions, inboxes and views have in common.

A program yields which page it wants and is sent it; whoever runs it is sync or async.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from clawproof_langgraph.events import LOG_TRUNCATED, Event, EventFilter, Page, truncated

Beginning = Literal["now", "earliest"] | int

T = TypeVar("T")
Reading = Generator[EventFilter, Page, T]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What the log has between two cursors.

    Args:
        after: the lower cursor: what it belongs to is not among the events.
        upto: the upper cursor: all up to it, and that, was looked at.
        events: those that pass the filter, in order; where others were deleted unread, `log.truncated` is in their
            place.
        more: whether the log had more of them when the reading began.
        gap: whether some were deleted unread.
        end: where the log ended when the reading began.
    """

    after: int
    upto: int
    events: tuple[Event, ...] = ()
    more: bool = False
    gap: bool = False
    end: int = 0


def place_of(start: Beginning) -> Reading[int]:
    """Find the cursor behind which a reader begins."""
    if isinstance(start, int):
        return start
    page = yield EventFilter(limit=1)
    return page.end if start == "now" else page.trimmed


def stretch(wanted: EventFilter) -> Reading[Stretch]:
    """Read what follows the cursor of a filter, at most as many events as it says.

    It goes no further than the log did when it began, so it ends however fast others write.
    """
    found: list[Event] = []
    reached, more, gap, end = wanted.after, True, False, 0
    while more and len(found) <= wanted.limit:
        # One more than is given tells for certain whether there are more.
        page = yield replace(wanted, after=reached, limit=wanted.limit + 1 - len(found))
        end = end or page.end
        if reached < page.trimmed:
            gap = True
            found.append(truncated(reached, page.trimmed))
        found.extend(admitted(page.events, wanted))
        reached = max(page.reached, page.trimmed)
        more = page.more and reached < end
    if len(found) > wanted.limit:
        given = tuple(found[: wanted.limit])
        return Stretch(wanted.after, given[-1].cursor, given, more=True, gap=gap, end=end)
    return Stretch(wanted.after, reached, tuple(found), gap=gap, end=end)


def admitted(events: list[Event], wanted: EventFilter) -> list[Event]:
    """Leave out what was not asked for: those in the log tell operators what others have missed, not this reader."""
    asked_for = LOG_TRUNCATED in wanted.types
    return [event for event in events if asked_for or event.type != LOG_TRUNCATED]
