"""A shelf whose units agents read and set in two steps, and a rival who changes them while a model thinks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatResult
from langchain_core.tools import BaseTool, tool

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from tests.langgraph.scripted import ScriptedModel, call, says

from .stage import policies

POLICIES = policies(
    read=ToolPolicy(effect="read", locks=["shelf/{sku}"]),
    put=ToolPolicy(locks=["shelf/{sku}"], requires_read=True),
)


class ThinkingModel(ScriptedModel):
    """Plays its replies; what `meanwhile` has for the n-th, counted from 0, happens while it thinks about that one."""

    meanwhile: dict[int, Any]

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        result = super()._generate(messages, *args, **kwargs)
        happen: Callable[[], None] | None = self.meanwhile.get(len(self.seen) - 1)
        if happen:
            happen()
        return result


def thinks(*replies: AIMessage | ToolCall, meanwhile: dict[int, Callable[[], None]] | None = None) -> BaseChatModel:
    """Make a model that emits these, one message each, and ends its turn."""
    messages = [reply if isinstance(reply, AIMessage) else says(reply) for reply in replies]
    return ThinkingModel(replies=[*messages, says(text="done")], meanwhile=meanwhile or {})


def read(call_id: str, sku: str = "1") -> ToolCall:
    """Emit a read."""
    return call("read", call_id, sku=sku)


def put(call_id: str, units: int, sku: str = "1") -> ToolCall:
    """Emit a write."""
    return call("put", call_id, sku=sku, units=units)


class Shelf:
    """Units by sku, the tools over them, and a guard."""

    def __init__(self, coordinator: Coordinator, **given: ToolPolicy) -> None:
        self.coordinator, self.units = coordinator, {"1": 5, "2": 5}
        self.guard = Guard(coordinator, agent="keeper", tools={**POLICIES, **given})

    def tools(self) -> list[BaseTool]:
        @tool("read")
        def read_units(sku: str) -> int:
            """Tell how many units there are."""
            return self.units[sku]

        @tool("put")
        def put_units(sku: str, units: int) -> str:
            """Set how many units there are."""
            self.units[sku] = units
            return f"now {units}"

        return [read_units, put_units]

    def taken_by_a_rival(self, sku: str = "1") -> None:
        """Take one unit, as hand-written code does."""
        with self.coordinator.lock(f"shelf/{sku}", agent="rival"):
            self.units[sku] -= 1

    def refusals(self) -> int:
        """Count the writes that were refused as stale."""
        return len(self.coordinator.events(types=["call.stale"]))


@contextmanager
def opened(store: str, folder: Path, redis_url: str, name: str) -> Iterator[Coordinator]:
    """Open a fresh store of a kind."""
    url = {"memory": "memory://", "sqlite": f"sqlite:///{folder / 'locks.db'}?synchronous=normal", "redis": redis_url}
    with Coordinator.from_url(url[store], namespace=name) as coordinator:
        yield coordinator
