"""What a coordinator does with its log: publish, subscribe, and read on from a cursor."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.durations import seconds
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.events import BUILT_IN, Event, EventFilter
from clawproof_langgraph.inspection.calls import calls_of
from clawproof_langgraph.inspection.contention import Contention, contention_of
from clawproof_langgraph.model import Note, Start, Subscribe, Unsubscribe
from clawproof_langgraph.reading import Beginning, Reading
from clawproof_langgraph.runtime.heartbeat import Heartbeat
from clawproof_langgraph.subscription import Subscription
from clawproof_langgraph.templates import agent_name, canonical

T = TypeVar("T")

_PAGE = 5000
"""Events that are read at once."""


class EventLog:
    """The part of a coordinator that writes domain events, and hands the log on."""

    _heartbeat: Heartbeat

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()

    def new_owner(self) -> str:
        """Make the id of whoever asks."""
        raise NotImplementedError

    def publish(self, type: str, *, resource: str = "", data: Mapping[str, Any] | None = None, agent: str = "") -> int:
        """Append a domain event to the log, and give its cursor.

        Args:
            type: its name, such as `PriceChanged`.
            resource: what it is about.
            data: the rest: JSON values.
            agent: whose doing it is.

        Raises:
            ConfigurationError: the type is one of the library's own, or something is no name or no JSON; nothing is
                written.
            BackendUnavailable: the store cannot be used.
        """
        cursor = self._backend.record(self._publication(type, resource, data, agent))
        self._heartbeat.sweep_later()
        return cursor

    async def apublish(
        self, type: str, *, resource: str = "", data: Mapping[str, Any] | None = None, agent: str = ""
    ) -> int:
        """Do what `publish` does, from an event loop."""
        cursor = await self._backend.arecord(self._publication(type, resource, data, agent))
        self._heartbeat.sweep_later()
        return cursor

    def _publication(self, type: str, resource: str, data: Mapping[str, Any] | None, agent: str) -> Note:
        resources = (canonical(resource),) if resource != "" else ()
        # Under an id of its own, so that it is told once though its reply was lost.
        return Note(_event_type(type), agent_name(agent), call=self.new_owner(), resources=resources, data=_json(data))

    def subscribe(
        self,
        name: str,
        *,
        types: Iterable[str] = (),
        resource: str = "",
        agent: str = "",
        start: Beginning = "now",
        timeout: str | float | None = None,
    ) -> Subscription:
        """Read the log under a name: durable, without gaps, each event at least once.

        The store keeps how far it was read. A name has one reader at a time. Each step of an iteration shows that the
        reader lives; five seconds after the last one, as after a crash, another may take the name.

        Args:
            name: the subscription.
            types: only events of these types.
            resource, agent: only events about these.
            start: where a new name begins: `now`, at the end of the log; `earliest`, with what it still has; or behind
                a cursor. A name that is known goes on where it was.
            timeout: seconds without an event after which an iteration ends; by default it waits for ever.

        Raises:
            ConfigurationError: somebody else reads under this name, or an argument does not fit.
            BackendUnavailable: the store cannot be used.
        """
        fact = Subscribe(_name(name), self.new_owner(), beginning(start))
        wanted, limit = filter_of(types, resource, agent), None if timeout is None else seconds(timeout, "timeout")
        return self._subscription(fact, wanted, self._backend.record(fact), limit)

    async def asubscribe(
        self,
        name: str,
        *,
        types: Iterable[str] = (),
        resource: str = "",
        agent: str = "",
        start: Beginning = "now",
        timeout: str | float | None = None,
    ) -> Subscription:
        """Do what `subscribe` does, from an event loop: `async with await coordinator.asubscribe(...) as events:`."""
        fact = Subscribe(_name(name), self.new_owner(), beginning(start))
        wanted, limit = filter_of(types, resource, agent), None if timeout is None else seconds(timeout, "timeout")
        return self._subscription(fact, wanted, await self._backend.arecord(fact), limit)

    def _subscription(self, fact: Subscribe, wanted: EventFilter, cursor: int, timeout: float | None) -> Subscription:
        made = Subscription(self._backend, fact.name, wanted, owner=fact.owner, cursor=cursor, timeout=timeout)
        self._subscriptions.add(made)
        return made

    def close_subscriptions(self) -> None:
        """Close the subscriptions that are still open."""
        for each in list(self._subscriptions):
            each.close()

    def contention(self, limit: int = 10) -> tuple[Contention, ...]:
        """Tell which resources were waited for longest, the worst first, by what the log still has.

        A call counts once it has had its turn, or has given up; for who waits now there is `snapshot()`.

        Args:
            limit: the most to give.

        Raises:
            BackendUnavailable: the store cannot be used.
        """
        log: list[Event] = []
        while page := self._backend.events(EventFilter(log[-1].cursor if log else 0, limit=_PAGE)):
            log += page
        return contention_of(calls_of(log), limit=limit)

    async def acontention(self, limit: int = 10) -> tuple[Contention, ...]:
        """Do what `contention` does, from an event loop."""
        log: list[Event] = []
        while page := await self._backend.aevents(EventFilter(log[-1].cursor if log else 0, limit=_PAGE)):
            log += page
        return await asyncio.to_thread(contention_of, await asyncio.to_thread(calls_of, log), limit=limit)

    def unsubscribe(self, name: str) -> None:
        """Forget a subscription, and how far it was read; one that is not known is no error."""
        self._backend.record(Unsubscribe(_name(name)))

    async def aunsubscribe(self, name: str) -> None:
        """Do what `unsubscribe` does, from an event loop."""
        await self._backend.arecord(Unsubscribe(_name(name)))

    def read_log(self, program: Reading[T]) -> T:
        """Give a program the pages that it asks for, and give what it gives.

        Raises:
            BackendUnavailable: the store cannot be used; nothing was changed.
        """
        try:
            wanted = next(program)
            while True:
                wanted = program.send(self._backend.page(wanted))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def aread_log(self, program: Reading[T]) -> T:
        """Do what `read_log` does, from an event loop."""
        try:
            wanted = next(program)
            while True:
                wanted = program.send(await self._backend.apage(wanted))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


# --- what users give --------------------------------------------------------------------------------------------


def _event_type(value: str) -> str:
    if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable():
        raise ConfigurationError(f'{value!r} does not name an event; write, for example, publish("PriceChanged").')
    if value in BUILT_IN:
        raise ConfigurationError(
            f'"{value}" is an event type of the library, which says that something has happened here; name the domain '
            f"event differently."
        )
    return value


def _name(value: str) -> str:
    if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable():
        raise ConfigurationError(f'{value!r} does not name a subscription; write, for example, "pricing-view".')
    return value


def beginning(value: Beginning) -> Start | int:
    """Read where a reader begins; raises ConfigurationError where it is no such place."""
    if isinstance(value, str) and value in list(Start):
        return Start(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ConfigurationError(f'start={value!r} is not known; write "now", "earliest", or the cursor of an event.')
    return value


def filter_of(types: Iterable[str], resource: str = "", agent: str = "") -> EventFilter:
    """Make a filter of what users give; raises ConfigurationError where something is no name."""
    kinds = (types,) if isinstance(types, str) else tuple(types)
    for kind in kinds:
        if not isinstance(kind, str) or not kind:
            raise ConfigurationError(f'{kind!r} does not name an event type; write types=["PriceChanged"].')
    return EventFilter(types=kinds, resource=canonical(resource) if resource != "" else "", agent=agent_name(agent))


def _json(data: Mapping[str, Any] | None) -> dict[str, Any]:
    """Copy data as a store gives it back: what the publisher changes later is no business of the log."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise ConfigurationError(f'data={data!r} is no object; write data={{"price": 3}}.')
    try:
        text = json.dumps(_plain(dict(data)), allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise ConfigurationError(
            f"data has something that is no JSON ({exc}); give texts, finite numbers, true, false, None, lists and "
            f"objects."
        ) from exc
    copied: dict[str, Any] = json.loads(text)
    return copied


def _plain(value: Any) -> Any:
    """Refuse keys that JSON would turn into texts without a word."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is no text")
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
