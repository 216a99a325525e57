"""Where the coordination of act two lives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawproof_langgraph.events import Event

if TYPE_CHECKING:
    from clawproof_langgraph import Coordinator


@dataclass(frozen=True, slots=True)
class Store:
    """The address of a coordination store, which every process opens for itself.

    Args:
        url: as `Coordinator.from_url` takes it.
        namespace: keeps this run apart from others in a store that is shared; None for the default one.
    """

    url: str
    namespace: str | None = None

    def open(self) -> Coordinator:
        """Open the store in this process."""
        from clawproof_langgraph import Coordinator

        return Coordinator.from_url(self.url, namespace=self.namespace)

    def events(self) -> Iterator[Event]:
        """Read the whole event log, page by page."""
        cursor = 0
        with self.open() as coordinator:
            while page := list(coordinator.events(after=cursor)):
                yield from page
                cursor = page[-1].cursor
