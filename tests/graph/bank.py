"""A bank whose replies are lost, for tests of what becomes of a call in doubt."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.tools import BaseTool

from clawproof_langgraph import CallContext, Coordinator, ToolPolicy

from .stage import as_tool, guarded, use

KEYED_BY_US = {"key": "invoice/{number}", "locks": ["account/1"]}


class Bank:
    """A payment whose reply is lost as often as a test says; it keeps what was paid."""

    def __init__(self, coordinator: Coordinator, *, losing: int = 1) -> None:
        self.coordinator, self.losing = coordinator, losing
        self.paid: list[int] = []
        self.probed: list[CallContext] = []

    def pay(self, number: int) -> str:
        """Pay an invoice."""
        self.paid.append(number)
        if len(self.paid) <= self.losing:
            raise ConnectionError("reply lost")
        return f"paid {number}"

    def tool(self, face: str, **policy: Any) -> BaseTool:
        """Make the guarded tool, with one call in doubt behind it."""
        tool = guarded(self.coordinator, as_tool(self.pay, face), ToolPolicy(**{**KEYED_BY_US, **policy}))
        for _ in range(self.losing):
            with pytest.raises(ConnectionError):
                use(tool, face, "call-0", number=7)
        return tool

    def look_up(self, answer: Any, *, as_async: bool = False) -> Callable[[CallContext], Any]:
        """Make a probe that gives, or raises, an answer."""

        def probe(call: CallContext) -> Any:
            self.probed.append(call)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        async def aprobe(call: CallContext) -> Any:
            await asyncio.sleep(0)
            return probe(call)

        return aprobe if as_async else probe


def resolutions(coordinator: Coordinator) -> list[Any]:
    return [(event.data["applied"], event.data["by"]) for event in coordinator.events(types=["call.resolved"])]
