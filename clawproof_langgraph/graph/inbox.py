"""The event inbox: a node that brings what is new in the log into the state of a graph.

How far was read is in the state and nowhere else. So whatever LangGraph makes of the state, a resume, a fork, a replay
from a checkpoint, the events go with it: each branch of the history gets what follows its own cursor, once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypedDict

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langgraph.channels import LastValue

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import ConfigurationError, meant
from clawproof_langgraph.event_log import beginning, filter_of
from clawproof_langgraph.events import Event, EventFilter
from clawproof_langgraph.graph.identity import site_of_config
from clawproof_langgraph.reading import Beginning, Reading, Stretch, place_of, stretch

SkipOwn = Literal["agent", "thread"]

_READ: Final = "__pregel_read"


class EventCursor(TypedDict):
    """What an inbox keeps in the state: between which cursors the events are that it has brought.

    Args:
        after: the lower cursor: the events follow it.
        upto: the upper cursor: the next run goes on behind it.
        more: whether there were more than one run may bring.
        node: the inbox.
        wanted: its filter, in words.
    """

    after: int
    upto: int
    more: bool
    node: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Inbox:
    """What an event inbox brings, and where it puts it.

    Args:
        coordinator: whose log it reads.
        wanted: which events, and how many of them in one run.
        skip_own: whose events it leaves out: those of this `agent`, or of this `thread`.
        agent: the agent's name; if empty, it is found in each run.
        start: where the first run begins.
        field: the field of the state for the events.
        cursor: the field of the state for the cursors.
        convert: what an event is in the state.
    """

    coordinator: Coordinator
    wanted: EventFilter
    skip_own: SkipOwn | None
    agent: str
    start: Beginning
    field: str
    cursor: str
    convert: Callable[[Event], Any]

    def node(self) -> Runnable[Any, dict[str, Any]]:
        """Make the node."""
        return RunnableLambda(self._bring, self._abring, name="event_inbox")

    def _bring(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        return self._update(self.coordinator.read_log(self._next(config)), config)

    async def _abring(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        return self._update(await self.coordinator.aread_log(self._next(config)), config)

    def _next(self, config: RunnableConfig) -> Reading[Stretch]:
        """Read what follows the cursor in the state."""
        self._check_fields(config)
        # Not from the state that the node is given: of a schema of its own, it may lack the cursor.
        known = _value_of(self.cursor, config)
        after = (yield from place_of(self.start)) if known is None else self._checked(known, config)
        return (yield from stretch(replace(self._own(config), after=after)))

    def _update(self, found: Stretch, config: RunnableConfig) -> dict[str, Any]:
        cursor: EventCursor = {
            "after": found.after, "upto": found.upto, "more": found.more,
            "node": _node_of(config), "wanted": self._in_words(),
        }  # fmt: skip
        return {self.field: [self.convert(event) for event in found.events], self.cursor: cursor}

    def _own(self, config: RunnableConfig) -> EventFilter:
        if self.skip_own is None:
            return self.wanted
        site = site_of_config(config, None)
        name = (self.agent or site.agent) if self.skip_own == "agent" else site.thread
        if not name:
            remedy = 'Guard(agent="...")' if self.skip_own == "agent" else "config={'configurable': {'thread_id': ...}}"
            raise ConfigurationError(
                f'An event inbox with skip_own="{self.skip_own}" runs without {_ARTICLE[self.skip_own]}, so it cannot '
                f"tell which events are its own. Give it one: {remedy}."
            )
        by_agent = self.skip_own == "agent"
        return replace(self.wanted, except_agent=name) if by_agent else replace(self.wanted, except_thread=name)

    def _in_words(self) -> str:
        words = [*sorted(self.wanted.types), self.wanted.resource, self.wanted.agent, self.skip_own]
        return " ".join(repr(word) for word in words if word)

    # --- what the graph must have -------------------------------------------------------------------------------

    def _check_fields(self, config: RunnableConfig) -> None:
        """Make sure that the state has both fields, and keeps the cursor as it is.

        Raises:
            ConfigurationError: it does not: LangGraph would drop what the node gives without a word.
        """
        channels = _channels_of(config)
        if missing := [name for name in (self.field, self.cursor) if name not in channels]:
            raise ConfigurationError(
                f"The state of the graph has no field {' and no field '.join(map(repr, missing))}, so node "
                f"{_node_of(config)!r} cannot keep its events. Declare both in the state: `{self.field}: list[dict]` "
                f"and `{self.cursor}: dict`, or name others: event_inbox(..., field=..., cursor=...)."
            )
        kind = type(channels[self.cursor])
        if not issubclass(kind, LastValue):
            raise ConfigurationError(
                f"The field {self.cursor!r} of the state holds a cursor, which each run replaces; as a {kind.__name__} "
                f"it would be merged with the one before, or lost. Declare it plainly, `{self.cursor}: dict`, without "
                f"Annotated[...]."
            )

    def _checked(self, known: Any, config: RunnableConfig) -> int:
        """Give the cursor to go on behind.

        Raises:
            ConfigurationError: it is none, or that of another inbox, which has passed over what this one wants.
        """
        upto = known.get("upto") if isinstance(known, Mapping) else None
        if not isinstance(upto, int) or isinstance(upto, bool):
            raise ConfigurationError(
                f"The field {self.cursor!r} of the state holds {known!r}, which is no cursor of an event inbox. Let "
                f"only the inbox write it, or name another field: event_inbox(..., cursor=...)."
            )
        other, node = known.get("node"), _node_of(config)
        if other != node and known.get("wanted") != self._in_words():
            raise ConfigurationError(
                f"The inboxes {other!r} and {node!r} keep their cursor in the same field, {self.cursor!r}, but bring "
                f"different events: each would pass over what the other one wants. Give each a field of its own: "
                f"event_inbox(..., cursor=...)."
            )
        return upto


_ARTICLE: Final = {"agent": "a named agent", "thread": "a thread_id"}


def make_inbox(
    coordinator: Coordinator,
    types: Any,
    *,
    resource: str,
    agent: str,
    own_name: str,
    skip_own: SkipOwn | None,
    start: Beginning,
    limit: int,
    field: str,
    cursor: str,
    convert: Callable[[Event], Any] | None,
) -> Runnable[Any, dict[str, Any]]:
    """Make an event inbox of what users give.

    Raises:
        ConfigurationError: something does not fit.
    """
    if skip_own not in (None, "agent", "thread"):
        raise ConfigurationError(f'skip_own="{skip_own}" is not known; {meant(skip_own, _ARTICLE)}')
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ConfigurationError(f"limit={limit!r} is no number of events; write, for example, 100.")
    for name, value in (("field", field), ("cursor", cursor)):
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f'{name}={value!r} names no field of the state; write, for example, "events".')
    if field == cursor:
        raise ConfigurationError(f"field and cursor are both {field!r}: the events and the cursor need a field each.")
    if convert is not None and not callable(convert):
        raise ConfigurationError(f"convert={convert!r} is no function; give one that takes an Event.")
    wanted = replace(filter_of(types, resource, agent), limit=limit)
    beginning(start)
    return Inbox(coordinator, wanted, skip_own, own_name, start, field, cursor, convert or plain).node()


def plain(event: Event) -> dict[str, Any]:
    """Give an event as JSON values, which any checkpointer stores and any client reads.

    What becomes of it in the state is no business of the log, so it shares nothing with that.
    """
    return {**event._asdict(), "resources": list(event.resources), "data": copy.deepcopy(dict(event.data))}


# --- what LangGraph says of a running node ----------------------------------------------------------------------


def _channels_of(config: RunnableConfig) -> Mapping[str, Any]:
    channels = getattr(_reader_of(config), "args", ())[1:2]  # as ToolNode reads them
    if not channels:
        raise ConfigurationError(
            'An event inbox is a node of a StateGraph: builder.add_node("inbox", guard.event_inbox([...])).'
        )
    found: Mapping[str, Any] = channels[0]
    return found


def _value_of(field: str, config: RunnableConfig) -> Any:
    """Read a field of the state as it was when the step began; None where nothing was written yet."""
    return _reader_of(config)([field], False).get(field)


def _reader_of(config: RunnableConfig) -> Any:
    return (config.get("configurable") or {}).get(_READ)


def _node_of(config: RunnableConfig) -> str:
    return str((config.get("metadata") or {}).get("langgraph_node") or "")
