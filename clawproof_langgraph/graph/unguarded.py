"""Tools that a guard lets through without a policy: copies of which the first call leaves an event."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from langchain_core.tools import BaseTool

from clawproof_langgraph import events
from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.graph.identity import CallSite
from clawproof_langgraph.graph.notices import Notices
from clawproof_langgraph.graph.tools import entry_site, subclass
from clawproof_langgraph.model import Note

_LET_THROUGH: Final = "_clawproof_let_through"


class LetThrough:
    """Tells once that a tool runs without coordination.

    Args:
        tool: the tool itself.
        coordinator: whose log tells of it.
        agent: the agent's name; empty to find it per call.
        notices: of the guard; the tool may be copied more than once.
    """

    def __init__(self, tool: BaseTool, coordinator: Coordinator, agent: str, notices: Notices) -> None:
        self.tool, self._coordinator, self._agent, self._notices = tool, coordinator, agent, notices

    def warn(self) -> None:
        """Warn of it when the tool is put under the guard."""
        name = self.tool.name
        self._notices.warn(
            ("unguarded tool", name),
            f'Tool "{name}" has no policy and runs without coordination (unmapped="allow"). Add it to the tools of '
            f'the guard (ToolPolicy(effect="read") if it changes nothing).',
        )

    def tell(self, site: CallSite) -> None:
        """Write the event, at the first call."""
        if self._notices.first(("unguarded call", self.tool.name)):
            self._coordinator.tell(self._note(site))

    async def atell(self, site: CallSite) -> None:
        """Do what `tell` does, from an event loop."""
        if self._notices.first(("unguarded call", self.tool.name)):
            await self._coordinator.atell(self._note(site))

    def _note(self, site: CallSite) -> Note:
        agent = self._agent or site.agent
        return Note(events.CALL_UNGUARDED, agent, site.thread, data={"tool": self.tool.name})


def let_through(terms: LetThrough) -> BaseTool:
    """Copy a tool so that its first call is told; nothing else about it changes."""
    copy = terms.tool.model_copy()
    copy.__dict__[_LET_THROUGH] = terms
    object.__setattr__(copy, "__class__", _telling_class(type(terms.tool)))
    return copy


def itself(tool: BaseTool) -> BaseTool:
    """Give the tool of which this may be such a copy."""
    terms: LetThrough | None = tool.__dict__.get(_LET_THROUGH)
    return terms.tool if terms else tool


@functools.lru_cache(maxsize=256)
def _telling_class(kind: type[BaseTool]) -> type[BaseTool]:
    return subclass(kind, {"run": _telling(kind.run), "arun": _atelling(kind.arun)})


def _telling(run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def telling(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        terms: LetThrough = self.__dict__[_LET_THROUGH]
        terms.tell(entry_site(self, kwargs))
        return run(self, *args, **kwargs)

    return telling


def _atelling(arun: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(arun)
    async def telling(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        terms: LetThrough = self.__dict__[_LET_THROUGH]
        await terms.atell(entry_site(self, kwargs))
        return await arun(self, *args, **kwargs)

    return telling
