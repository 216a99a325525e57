"""Idempotency keys for MCP servers, in `_meta` of a tool call.

The protocol keeps `_meta` free for such facts but names none for this: the server has to look for `idempotencyKey`.

The tool interceptors of langchain-mcp-adapters cannot reach `_meta` (langchain-ai/langchain#40480), but its tools can
be loaded over a session that does: `await load_mcp_tools(keyed(session))`.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

from clawproof_langgraph.effects.attempts import Numbers, PerAttempt
from clawproof_langgraph.keys import fingerprint
from clawproof_langgraph.runtime.context import current_call

__all__ = ["KEY", "keyed"]

KEY: Final = "idempotencyKey"
"""The name of the key in `_meta`."""

S = TypeVar("S")

_numbers: Final[PerAttempt[Numbers]] = PerAttempt(Numbers)


def keyed(session: S) -> S:
    """Give a session that adds a key to each tool call that is made inside a guarded call.

    The key is derived from the call's, by the tool, its arguments, and a number that tells identical ones apart; it is
    the same in every attempt of the call. One that raised or answered with an error gives its key to its repetition.
    A key of the caller's own stays. Outside of a guarded call, and in a read, nothing is changed.

    Args:
        session: an `mcp.ClientSession`, or what has its `call_tool(name, arguments, ..., meta=...)`.
    """
    return cast(S, _Keyed(session))


class _Keyed:
    """A session, but for its tool calls."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *args: Any,
        meta: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        call = current_call()
        if call is None or not call.idempotency_key or KEY in (meta or {}):
            return await self._session.call_tool(name, arguments, *args, meta=meta, **kwargs)
        request = fingerprint({"tool": name, "arguments": arguments or {}})
        taken = _numbers.of(call).take(request)
        meta = {**(meta or {}), KEY: call.sub_key(f"mcp {taken.number} {request}")}
        with taken.sending():
            result = await self._session.call_tool(name, arguments, *args, meta=meta, **kwargs)
            taken.answered = not _tells_of_error(result)
        return result


def _tells_of_error(result: Any) -> bool:
    return bool(getattr(result, "is_error", False) or getattr(result, "isError", False))  # since version 2; before
