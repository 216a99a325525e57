"""How a tool ended, read from what it raised or returned."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, ToolException
from langgraph.errors import GraphBubbleUp, ParentCommand

from clawproof_langgraph.core.steps import Ending, Raised, Returned
from clawproof_langgraph.errors import NotApplied, Rejected
from clawproof_langgraph.failures import retry_after, was_refused
from clawproof_langgraph.graph import results
from clawproof_langgraph.policy import Effect, Retry, ToolPolicy

try:
    from langgraph.errors import is_invalid_resume as is_invalid_resume
except ImportError:  # older versions never mark such errors

    def is_invalid_resume(error: BaseException) -> bool:
        return False


_log = logging.getLogger("clawproof_langgraph")

_MCP_MODULES = ("langchain_mcp_adapters", "langchain.mcp")


def is_mcp(tool: BaseTool) -> bool:
    """Tell whether a tool calls an MCP server: its errors may come from behind the effect."""
    function = getattr(tool, "coroutine", None) or getattr(tool, "func", None)
    module = getattr(function, "__module__", "") or ""
    return module.startswith(_MCP_MODULES) or "mcp" in (tool.metadata or {})


def uses_effect_mark(tool: BaseTool) -> bool:
    """Tell whether a tool's own code names `effect_begins`, so that an error before it proves something."""
    functions = [getattr(tool, "func", None), getattr(tool, "coroutine", None), type(tool)._run, type(tool)._arun]
    return any(names_effect_mark(function) for function in functions)


def names_effect_mark(function: Any) -> bool:
    """Tell whether the code of a function names `effect_begins`."""
    return _names_mark(getattr(function, "__code__", None))


def _names_mark(code: Any) -> bool:
    if code is None:
        return False
    return "effect_begins" in code.co_names or any(
        _names_mark(constant) for constant in code.co_consts if hasattr(constant, "co_names")
    )


def returned(value: Any, *, mcp: bool) -> Returned:
    """Judge what a tool returned; a message that tells of an error is never stored as a success."""
    if _tells_of_error(value):
        return Returned(value, None, Ending.UNKNOWN if mcp else Ending.REFUSED)
    return Returned(value, results.encode(value))


def _tells_of_error(value: Any) -> bool:
    first = value[0] if isinstance(value, tuple) and len(value) == 2 else value
    messages = first if isinstance(first, list) and first else [first]
    return all(isinstance(message, ToolMessage) and message.status == "error" for message in messages)


def raised(error: BaseException, *, mcp: bool, policy: ToolPolicy, effect_begun: bool, inside: bool = False) -> Raised:
    """Judge what a tool raised.

    Args:
        error: what it raised.
        mcp: whether the tool calls an MCP server.
        policy: the tool's.
        effect_begun: whether its effect may have begun.
        inside: whether it is the error of a guarded call inside this one. Before that, others may have taken effect.
    """
    ending = _ending_of(error, mcp=mcp, policy=policy, inside=inside)
    retryable = _retryable(error, ending, policy)
    asked = _retry_after(error) if retryable else None
    begun = effect_begun and (inside or not (ending is Ending.UNKNOWN and _has_done_nothing(error, policy)))
    return Raised(error, ending, retryable, begun, _stored(error, ending), asked)


def _has_done_nothing(error: BaseException, policy: ToolPolicy) -> bool:
    # The requests of one body before that which was refused have the call's key, or that of the same database, too. Of
    # a `once` tool, one of them may have been the effect.
    return policy.effect is not Effect.ONCE and _was_refused(error)


def _was_refused(error: BaseException) -> bool:
    try:
        return was_refused(error)
    except Exception:  # noqa: BLE001 - a faulty error must not hide what the tool raised
        _log.exception("the error cannot be read; it is taken to prove nothing")
        return False


def _ending_of(error: BaseException, *, mcp: bool, policy: ToolPolicy, inside: bool) -> Ending:
    match error:
        case ParentCommand():
            return Ending.HANDED_OFF
        case GraphBubbleUp():
            return Ending.SUSPENDED
        case NotApplied() if not inside:
            return Ending.NOT_APPLIED
        case Rejected() if not inside:
            return Ending.REJECTED
        case asyncio.CancelledError() | KeyboardInterrupt() | SystemExit() | GeneratorExit():
            return Ending.CANCELLED
        case _ if is_invalid_resume(error):
            return Ending.SUSPENDED
        case _ if policy.not_applied_on and isinstance(error, policy.not_applied_on):
            return Ending.NOT_APPLIED
        case ToolException():  # from behind a server or another call, it may have come after the effect
            return Ending.UNKNOWN if mcp or inside else Ending.REFUSED
        case _:
            return Ending.UNKNOWN


def _retryable(error: BaseException, ending: Ending, policy: ToolPolicy) -> bool:
    if policy.retry is False:
        return False
    if ending is Ending.NOT_APPLIED:
        return True
    repeatable = policy.effect in (Effect.READ, Effect.IDEMPOTENT, Effect.KEYED, Effect.TRANSACTIONAL)
    return ending is Ending.UNKNOWN and repeatable and _admits(policy.retry, error)


def _admits(retry: Retry, error: BaseException) -> bool:
    try:
        return retry.admits(error)
    except Exception:  # noqa: BLE001 - a faulty predicate must not hide what the tool raised
        _log.exception("retry_on failed; the call is not retried")
        return False


def _retry_after(error: BaseException) -> float | None:
    try:
        return retry_after(error, now=time.time())
    except Exception:  # noqa: BLE001 - as above, where the error itself is faulty
        _log.exception("the error's Retry-After cannot be read; the call is retried as without it")
        return None


def _stored(error: BaseException, ending: Ending) -> bytes | None:
    if ending is Ending.HANDED_OFF:
        return results.encode(error)
    if ending is Ending.REJECTED:
        return results.encode(str(error))
    return None
