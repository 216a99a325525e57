"""Requests of tool calls, as a guard passes them on."""

from __future__ import annotations

from typing import Any, Protocol

from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolCallRequest


class Supplier(Protocol):
    """Supplies guarded copies of tools: a guard."""

    def supplied(self, request: ToolCallRequest, tool: BaseTool) -> BaseTool:
        """Give the guarded copy of a tool for a request, and note which call the request is."""


class GuardingRequest(ToolCallRequest):
    """A request that guards whatever tool a wrapper puts into it, also one further in."""

    @classmethod
    def of(cls, request: ToolCallRequest, guard: Supplier) -> GuardingRequest:
        guarding = cls(request.tool_call, request.tool, request.state, request.runtime)
        guarding.__dict__["guard"] = guard
        return guarding

    def override(self, **overrides: Any) -> ToolCallRequest:
        guard: Supplier = self.__dict__["guard"]
        made = super().override(**overrides)
        made.__dict__["guard"] = guard
        if made.tool is not None and overrides.get("tool") is not None:
            made.__dict__["tool"] = guard.supplied(made, made.tool)
        return made
