"""Alerts: hands events of the log to sinks, each at least once, by one process of a namespace at a time.

Each sink reads the log under a name of its own, so that one which does not answer keeps nothing from the others, and a
crash loses nothing: whoever takes the name up goes on where it was. The processes that do not have the name stand by.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Final

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import BackendUnavailable, ConfigurationError, Rejected
from clawproof_langgraph.events import Event
from clawproof_langgraph.observe.sinks import Sink
from clawproof_langgraph.subscription import Subscription

_log = logging.getLogger("clawproof_langgraph")

_STAND_BY: Final = 2.0
"""Seconds between two tries to take a name up."""
_POLL: Final = 1.0
"""Seconds that are waited for an event before it is looked whether to end."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds between two tries to deliver, from the first to where they stop growing."""
_LAST_DELIVERY: Final = 5.0
"""Seconds that closing waits for deliveries that have begun."""


class Undelivered(Exception):
    """Says that a sink did not take an event."""


class Alerts:
    """Delivers events to sinks, on a daemon thread for each.

    Args:
        coordinator: whose log; closing it ends the threads.
        types: of the events that are told.
        sinks: where they go.
        namespace: of the coordinator, for whoever reads the alert.
    """

    def __init__(self, coordinator: Coordinator, types: Sequence[str], sinks: Sequence[Sink], namespace: str) -> None:
        self._coordinator, self._types, self.sinks, self._namespace = coordinator, tuple(types), tuple(sinks), namespace
        self._stopped, self._pid = threading.Event(), os.getpid()
        self._busy = {sink.name: threading.Lock() for sink in sinks}
        """Held while a sink's name is taken up, and while it is told of an event: closing waits for both."""

    def start(self) -> None:
        """Begin, with what happens from now on, or where it was left off."""
        self._coordinator.at_close(self.stop)
        for sink in self.sinks:
            self._take_note(sink)
            name = f"clawproof-alerts-{sink.name}"
            threading.Thread(target=self._run, args=(sink,), name=name, daemon=True).start()

    def stop(self) -> None:
        """End, after the deliveries that have begun."""
        self._stopped.set()
        if self._pid != os.getpid():  # a forked child has none of the threads
            return
        last = time.monotonic() + _LAST_DELIVERY
        for lock in self._busy.values():
            if lock.acquire(timeout=max(0.0, last - time.monotonic())):
                lock.release()

    def drain(self) -> int:
        """Deliver what there is, without waiting for more; give how many events that were.

        Raises:
            ConfigurationError: another process delivers to one of the sinks.
            Undelivered: a sink did not take an event.
        """
        delivered = 0
        for sink in self.sinks:
            with self._subscribe(sink) as events:
                while (event := events.poll(0)) is not None:
                    self._deliver(sink, event, events)
                    delivered += 1
        return delivered

    def _subscribe(self, sink: Sink) -> Subscription:
        return self._coordinator.subscribe(f"clawproof alerts: {sink.name}", types=self._types)

    def _take_note(self, sink: Sink) -> None:
        """Have the log know the reader before anything happens: a new name begins at the end of the log."""
        try:
            self._subscribe(sink).close()
        except ConfigurationError:  # somebody reads under it already
            pass
        except BackendUnavailable as exc:
            _log.warning("alerts to %s: %s", sink.title, exc)

    def _run(self, sink: Sink) -> None:
        pause = _FIRST_PAUSE
        while not self._stopped.is_set():
            try:
                if (subscription := self._take_up(sink)) is None:
                    return
                with subscription as events:
                    while not self._stopped.is_set():
                        if (event := events.poll(_POLL)) is not None:
                            self._deliver(sink, event, events)
                            pause = _FIRST_PAUSE
            except ConfigurationError as exc:  # another process has the name, or has taken it up meanwhile
                _log.debug("alerts to %s: %s", sink.title, exc)
                self._stopped.wait(_STAND_BY)
            except (Undelivered, BackendUnavailable) as exc:
                if self._stopped.is_set() or (isinstance(exc, BackendUnavailable) and exc.closed):
                    return
                _log.warning("alerts to %s: %s; trying again in %.0f s", sink.title, exc, pause)
                self._stopped.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _take_up(self, sink: Sink) -> Subscription | None:
        """Take up the name of a sink, unless it is over: after the store was closed, nobody could give it back."""
        with self._busy[sink.name]:
            return None if self._stopped.is_set() else self._subscribe(sink)

    def _deliver(self, sink: Sink, event: Event, events: Subscription) -> None:
        with self._busy[sink.name]:
            if self._stopped.is_set():
                return
            try:
                sink.deliver(event, self._namespace)
            except Rejected as exc:
                _log.error(
                    "alerts to %s: event %d (%s) is refused for good: %s", sink.title, event.cursor, event.type, exc
                )
            except (Exception, SystemExit) as exc:  # whatever a function of the user raises, its alert is not lost
                raise Undelivered(f"event {event.cursor} ({event.type}) was not taken: {exc!r}") from exc
            events.ack()
