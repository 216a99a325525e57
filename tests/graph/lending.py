"""A middleware that brings a tool which the agent does not have."""

from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain_core.tools import BaseTool


class Lending(AgentMiddleware):
    """Shows the model a tool that the agent does not have, and supplies it when it is called."""

    def __init__(self, tool: BaseTool) -> None:
        super().__init__()
        self._tool = tool

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        return handler(request.override(tools=[*request.tools, self._tool]))

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        return await handler(request.override(tools=[*request.tools, self._tool]))

    def wrap_tool_call(self, request: Any, handler: Any) -> Any:
        return handler(request.override(tool=self._tool) if request.tool is None else request)

    async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
        return await handler(request.override(tool=self._tool) if request.tool is None else request)
