"""The middleware for `create_agent`; needs the extra `langchain`."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

try:
    from langchain.agents.middleware import AgentMiddleware
except ModuleNotFoundError as exc:
    raise ModuleNotFoundError(
        "CoordinationMiddleware needs langchain: pip install 'clawproof-langgraph[langchain]'.", name=exc.name
    ) from exc
from langchain_core.tools import BaseTool

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.guard import Guard


class CoordinationMiddleware(AgentMiddleware[Any, Any, Any]):
    """Coordinates the tool calls of an agent: `create_agent(model, tools, middleware=[CoordinationMiddleware(guard)])`.

    Its place among other middleware changes nothing of what it promises: the guard is in the body of the tool, where
    the arguments are those that a human has approved or edited. It sees the tools of an agent, and what is around
    them, when the model is about to be asked: a tool without a policy is refused then, before it can be called, and
    one that an inner middleware brings when it is called. To know earlier, ask `guard.check(agent)`.

    Args:
        guard: the policies and the coordinator.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        if not isinstance(guard, Guard):
            raise ConfigurationError(f"CoordinationMiddleware() takes a Guard, not {guard!r}.")
        self.guard = guard

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        coordinator: Coordinator | None = None,
        agent: str | None = None,
        **overrides: Any,
    ) -> Self:
        """Make the middleware of what a configuration file says; arguments and errors are as of `Guard.from_file`."""
        return cls(Guard.from_file(path, coordinator=coordinator, agent=agent, **overrides))

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Check the tools that the model will be offered.

        Raises:
            UnmappedTool, ConfigurationError: as `guard.prepare` does; the model was not asked.
        """
        self._check(request.tools)
        return handler(request)

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Do what `wrap_model_call` does, from an event loop."""
        self._check(request.tools)
        return await handler(request)

    def _check(self, tools: Iterable[Any]) -> None:
        # A tool that is a dict is run by the model's provider.
        ours = [tool for tool in tools if isinstance(tool, BaseTool)]
        self.guard.prepare(ours)
        self.guard.look_ahead(ours)

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Coordinate a tool call."""
        return self.guard.wrap_tool_call(request, handler)

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Coordinate a tool call from an event loop."""
        return await self.guard.awrap_tool_call(request, handler)
