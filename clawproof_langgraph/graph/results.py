"""What a tool returns as stored bytes, and back, addressed to the call that gets it."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.base import TextAccessor
from langgraph.errors import ParentCommand
from langgraph.types import Command, Overwrite, Send, TimeoutPolicy

from clawproof_langgraph import codec

_log = logging.getLogger("clawproof_langgraph")

_MESSAGES = (ToolMessage, AIMessage, HumanMessage, SystemMessage, RemoveMessage)


def encode(value: Any) -> bytes | None:
    """Encode a result; None if it has no stored form, and then a replay can only say so."""
    try:
        return codec.dumps(value)
    except Exception as exc:  # noqa: BLE001 - what cannot be stored, for whatever reason, is still a result
        _log.warning("a result is not stored, so a repetition of its call cannot be answered with it: %s", exc)
        return None


def readdress(value: Any, tool_call_id: str | None) -> Any:
    """Address a stored result to the present call, also inside a Command; the ids of its messages are left to be new.

    A Command may carry the history on, as handoffs do: the messages in it that answer other calls stay as they are.
    """
    match value:
        case ToolMessage():
            return _readdressed(value, tool_call_id)
        case Command():
            return dataclasses.replace(value, update=_readdress_update(value.update, tool_call_id))
        case ParentCommand():
            return ParentCommand(readdress(value.args[0], tool_call_id))
        case list() | tuple():
            return type(value)(readdress(element, tool_call_id) for element in value)
        case _:
            return value


def _readdressed(message: ToolMessage, tool_call_id: str | None) -> ToolMessage:
    return message.model_copy(update={"tool_call_id": tool_call_id or message.tool_call_id, "id": None})


def _readdress_update(update: Any, tool_call_id: str | None) -> Any:
    found = list(answers(update))
    if not found:
        return update
    # Mostly it is the same call that asks again; else it was stored for that of the last, for the history comes first.
    own = next((each for each in reversed(found) if each.tool_call_id == tool_call_id), found[-1])
    return mapped(update, lambda answer: _readdressed(answer, tool_call_id) if answer == own else answer)


def answers(update: Any) -> Iterator[ToolMessage]:
    """List the messages of tools in an update."""
    match update:
        case ToolMessage():
            yield update
        case Overwrite():
            yield from answers(update.value)
        case dict():
            yield from itertools.chain.from_iterable(map(answers, update.values()))
        case list() | tuple():
            yield from itertools.chain.from_iterable(map(answers, update))


def mapped(update: Any, change: Callable[[ToolMessage], ToolMessage]) -> Any:
    """Change the messages of tools in an update."""
    match update:
        case ToolMessage():
            return change(update)
        case Overwrite():
            return Overwrite(mapped(update.value, change))
        case dict():
            return {name: mapped(value, change) for name, value in update.items()}
        case list() | tuple():
            return type(update)(mapped(element, change) for element in update)
        case _:
            return update


def _fields_set(message: BaseMessage) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.model_fields_set | {"content"}}


def _register(kind: type[BaseMessage]) -> None:
    codec.register(kind, kind.__name__, _fields_set, lambda fields: kind(**fields))


for _kind in _MESSAGES:
    _register(_kind)
codec.register(TextAccessor, "TextAccessor", str, TextAccessor)  # what `message.text` is
codec.register(TimeoutPolicy, "TimeoutPolicy", dataclasses.asdict, lambda fields: TimeoutPolicy(**fields))
codec.register(
    Send,
    "Send",
    lambda send: [send.node, send.arg, send.timeout],
    lambda parts: Send(parts[0], parts[1], timeout=parts[2]),
)
codec.register(Overwrite, "Overwrite", lambda over: over.value, Overwrite)
codec.register(
    Command,
    "Command",
    lambda command: {field.name: getattr(command, field.name) for field in dataclasses.fields(command)},
    # LangGraph asks whether the graph *is* its constant, not whether it equals it.
    lambda fields: Command(
        **fields | {"graph": Command.PARENT if fields["graph"] == Command.PARENT else fields["graph"]}
    ),
)
codec.register(ParentCommand, "ParentCommand", lambda error: error.args[0], ParentCommand)
