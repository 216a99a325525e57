"""Runs the same calls with and without the guard, and tells what LangGraph made of them."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import ToolNode
from langgraph.store.memory import InMemoryStore
from langgraph.types import Interrupt

from clawproof_langgraph import Coordinator, Guard, ToolPolicy
from tests.langgraph.scripted import asks, both_hooks, call, play, thread, tools_only

_GENERATED = re.compile(r"\b[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\b")
"""Ids that LangGraph makes anew in each run."""


@dataclass(frozen=True)
class Ground:
    """One of the two ways to guard a ToolNode, `hooks` or `copies` of its tools, over a store.

    LangGraph itself treats errors that leave a hook in its own way, so a guard with hooks is compared with hooks that
    do nothing.
    """

    surface: str
    coordinator: Coordinator

    def plain(self, tools: Iterable[BaseTool], **options: Any) -> ToolNode:
        """Make the ToolNode without a guard."""
        hooks = both_hooks(lambda request: request) if self.surface == "hooks" else {}
        return ToolNode(list(tools), **hooks, **options)

    def guarded(self, tools: Iterable[BaseTool], **options: Any) -> ToolNode:
        """Make a ToolNode of which every tool has a policy for writes that may happen once only."""
        listed = list(tools)
        guard = Guard(self.coordinator, tools={each.name: ToolPolicy(locks=["thing/1"]) for each in listed})
        if self.surface == "hooks":
            return guard.tool_node(listed, **options)
        return ToolNode(guard.wrap_tools(listed), **options)


Make = Callable[[], list[BaseTool]]


class Heard(BaseCallbackHandler):
    """Keeps what the callbacks of tools tell, in order."""

    raise_error = True

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def on_tool_start(self, serialized: Any, input_str: str, **kwargs: Any) -> None:
        self.told.append(("start", (serialized["name"], input_str, kwargs.get("tool_call_id"))))

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        self.told.append(("end", _shown(output)))

    def on_tool_error(self, error: BaseException, **kwargs: Any) -> None:
        self.told.append(("error", _shown(error)))


def both_outcomes(ground: Ground, make: Make, face: str, *inputs: Any, **options: Any) -> tuple[Any, Any]:
    """Run the first tool without and with the guard.

    Args:
        make: makes the tools anew for each run.
        inputs: what the graph is given, one after another; by default one call of the first tool.
        options: for ToolNode.

    Returns:
        What came of each run: messages and interrupts, or the exception, and what the callbacks were told.
    """
    unguarded, guarded = ground.plain(make(), **options), ground.guarded(make(), **options)
    return outcome(unguarded, face, *inputs), outcome(guarded, face, *inputs)


def outcome(node: ToolNode, face: str, *inputs: Any) -> Any:
    """Run a ToolNode in the smallest graph and tell what came of it."""
    heard, store = Heard(), InMemoryStore()
    store.put(("shop",), "tax", {"rate": 7})
    # Only what is interrupted needs a checkpointer, and that could not save every artifact.
    graph = tools_only(node, checkpointer=InMemorySaver() if len(inputs) > 1 else None, store=store)
    config = {**thread(), "callbacks": [heard]}
    ends = []
    for value in inputs or (asks(call(next(iter(node.tools_by_name)))),):
        try:
            state = play(graph, value, config, mode="sync" if face == "sync" else "async")
        except BaseException as error:  # noqa: BLE001 - what is raised is what is compared
            ends.append(_shown(error))
        else:
            ends.append(_shown(state))
    return ends, heard.told


def _shown(value: Any) -> Any:
    match value:
        case BaseException():
            return type(value), _shown(str(value)), [_shown(each) for each in (value.__cause__, *value.args) if each]
        case BaseMessage():
            return type(value), {name: _shown(each) for name, each in value.model_dump().items()}
        case dict():
            return {name: _shown(each) for name, each in value.items()}
        case list() | tuple():
            return [type(value), *(_shown(each) for each in value)]
        case Interrupt():
            return Interrupt, value.value
        case str():
            return _GENERATED.sub("generated", value)
        case _:
            return value
