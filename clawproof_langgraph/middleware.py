"""The middleware for `create_agent`; needs the extra `langchain`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.guard import Guard


class CoordinationMiddleware(AgentMiddleware[Any, Any, Any]):
    """Coordinates the tool calls of an agent: `create_agent(model, tools, middleware=[CoordinationMiddleware(guard)])`.

    Put it after (inside) HumanInTheLoopMiddleware, so that it sees what the human approved, and before (outside)
    ToolRetryMiddleware.

    Args:
        guard: the policies and the coordinator.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        if not isinstance(guard, Guard):
            raise ConfigurationError(f"CoordinationMiddleware() takes a Guard, not {guard!r}.")
        self.guard = guard

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Coordinate a tool call."""
        return self.guard.wrap_tool_call(request, handler)

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Coordinate a tool call from an event loop."""
        return await self.guard.awrap_tool_call(request, handler)
