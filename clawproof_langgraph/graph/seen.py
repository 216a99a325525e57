"""The versions that a conversation has seen: they are told in its ToolMessages, and read from those before a call.

So they live and die with what the model sees: trimmed, forked, handed over and checkpointed along with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, ToolMessage
from langgraph.types import Command

from clawproof_langgraph import keys
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.graph.identity import CallSite
from clawproof_langgraph.graph.results import answers, mapped
from clawproof_langgraph.model import Versions

FIELD: Final = "clawproof"
"""Where a ToolMessage tells of us, in its `response_metadata`."""


def space_of(secret: bytes) -> str:
    """Name a namespace, so that nobody takes the versions of another one for its own."""
    return keys.sealed(secret, "versions")[:12]


def seen_in(site: CallSite, space: str) -> Versions | None:
    """Read the version of each resource that the model of a call had seen last; None where no history is seen.

    What came after the message with the call was not known to the model that wrote it.
    """
    if site.history is None:
        return None
    seen: dict[str, int] = {}
    for messages, end in site.history:
        for resource, version in _last_told(messages[:end], space).items():
            seen[resource] = max(version, seen.get(resource, version))
    return tuple(seen.items())


def _last_told(messages: Sequence[Any], space: str) -> dict[str, int]:
    """Read the version of each resource that was told last, which need not be the newest.

    Calls of one message run side by side: a write may follow a read in time whose answer comes after its own. The model
    cannot tell, and may go by what was read; so the oldest version among them counts.
    """
    last: dict[str, int] = {}
    together: dict[str, int] = {}
    asked: set[str | None] = set()
    for message in messages:
        if isinstance(message, AIMessage):
            together, asked = {}, {call["id"] for call in message.tool_calls}
        elif isinstance(message, ToolMessage):
            for resource, version in _told(message, space).items():
                last[resource] = version
                if message.tool_call_id in asked:
                    last[resource] = together[resource] = min(version, together.get(resource, version))
    return last


def _told(message: ToolMessage, space: str) -> Mapping[str, int]:
    told = message.response_metadata.get(FIELD)
    if not isinstance(told, Mapping) or told.get("space") != space:
        return {}
    versions = told.get("versions")  # anybody may have written there, and a message may come from anywhere
    known = versions.items() if isinstance(versions, Mapping) else ()
    return {resource: version for resource, version in known if isinstance(version, int)}


def with_versions(output: Any, tool_call_id: str | None, versions: Versions, space: str) -> Any:
    """Tell versions in the answer to a call, whatever it is part of; all else about it stays as it was."""
    told = {FIELD: {"space": space, "versions": dict(versions)}}

    def is_ours(message: ToolMessage) -> bool:
        return message.tool_call_id == tool_call_id and message.status != "error"

    def tell(message: ToolMessage) -> ToolMessage:
        if not is_ours(message):
            return message
        return message.model_copy(update={"response_metadata": {**message.response_metadata, **told}})

    def tell_in(part: Any) -> Any:
        match part:
            case ToolMessage():
                return tell(part)
            case Command() if any(map(is_ours, answers(part.update))):
                return dataclasses.replace(part, update=mapped(part.update, tell))
            case list():
                return [tell_in(each) for each in part]
            case _:
                return part

    return tell_in(output)


def sees_no_history(tool: str) -> ConfigurationError:
    """Make the error of a tool that must know what its model has read, where no messages are seen."""
    return ConfigurationError(
        f'The policy of tool "{tool}" says requires_read, which compares what its model has read: that takes the '
        f"history of messages, and here there is none. Let the guard see it: guard.tool_node(tools), a ToolNode with "
        f"both hooks, or CoordinationMiddleware(guard); or remove requires_read."
    )
