"""What a tool returns as stored bytes, and back, addressed to the call that gets it."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.errors import ParentCommand
from langgraph.types import Command, Overwrite, Send

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
    """Address a stored result to the present call, also inside a Command; message ids are left to be new."""
    match value:
        case ToolMessage():
            return value.model_copy(update={"tool_call_id": tool_call_id or value.tool_call_id, "id": None})
        case Command():
            return dataclasses.replace(value, update=_readdress_update(value.update, tool_call_id))
        case ParentCommand():
            return ParentCommand(readdress(value.args[0], tool_call_id))
        case list() | tuple():
            return type(value)(readdress(element, tool_call_id) for element in value)
        case _:
            return value


def _readdress_update(update: Any, tool_call_id: str | None) -> Any:
    if isinstance(update, dict):
        return {name: _readdress_update(value, tool_call_id) for name, value in update.items()}
    if isinstance(update, list | tuple):
        return type(update)(_readdress_update(element, tool_call_id) for element in update)
    return readdress(update, tool_call_id) if isinstance(update, ToolMessage) else update


def _fields_set(message: BaseMessage) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.model_fields_set | {"content"}}


def _register(kind: type[BaseMessage]) -> None:
    codec.register(kind, kind.__name__, _fields_set, lambda fields: kind(**fields))


for _kind in _MESSAGES:
    _register(_kind)
codec.register(Send, "Send", lambda send: [send.node, send.arg], lambda parts: Send(*parts))
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
