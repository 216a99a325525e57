"""Running the function of a tool's author that looks what became of a call in doubt."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import Any, Final

from langgraph.errors import GraphBubbleUp

from clawproof_langgraph.core.steps import Finding
from clawproof_langgraph.errors import NotApplied
from clawproof_langgraph.graph import results
from clawproof_langgraph.runtime.context import CallContext

_log = logging.getLogger("clawproof_langgraph")

_BY: Final = "probe"
"""Who found out, for the log."""

ProbeFunction = Callable[[CallContext], Any]


def look(probe: ProbeFunction, call: CallContext, limit: float) -> Finding:
    """Run a probe, sync or async, on a thread of its own: one that hangs is left behind.

    Args:
        probe: gives what the tool would have returned, `NotApplied`, or None where it cannot tell.
        call: the call in doubt.
        limit: seconds that the probe may take.
    """
    future = _start(_blocking(probe), call)
    wait([future], timeout=limit)
    return _found(future, limit)


async def alook(probe: ProbeFunction, call: CallContext, limit: float) -> Finding:
    """Do what `look` does, from an event loop, on which an async probe runs."""
    future: asyncio.Future[Any]
    if inspect.iscoroutinefunction(probe):
        future = asyncio.ensure_future(probe(call))
    else:
        future = asyncio.wrap_future(_start(probe, call))
    try:
        await asyncio.wait([future], timeout=limit)
        return _found(future, limit)
    finally:
        future.cancel()


def _blocking(probe: ProbeFunction) -> ProbeFunction:
    return (lambda call: asyncio.run(probe(call))) if inspect.iscoroutinefunction(probe) else probe


def _start(probe: ProbeFunction, call: CallContext) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()  # whoever gives up does not stop it
    context = copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(probe, call))
        except BaseException as error:  # noqa: BLE001 - raised again, or judged, by whoever waits
            future.set_exception(error)

    threading.Thread(target=run, name="clawproof-probe", daemon=True).start()
    return future


def _found(future: Future[Any] | asyncio.Future[Any], limit: float) -> Finding:
    if not future.done():
        return _unclear(f"the probe did not answer within {limit:g} s")
    try:
        answer = future.result()
    except NotApplied:
        return Finding(applied=False, by=_BY)
    except GraphBubbleUp:
        raise
    except Exception as error:  # noqa: BLE001 - a probe that fails has found nothing out, and the doubt stays
        return _unclear(f"the probe failed: {type(error).__name__}: {error}")
    return _read(answer)


def _read(answer: Any) -> Finding:
    if answer is None:
        return Finding(applied=None, why="the probe cannot tell")
    if answer is NotApplied or isinstance(answer, NotApplied):
        return Finding(applied=False, by=_BY)
    return Finding(applied=True, result=results.encode(answer), by=_BY)


def _unclear(why: str) -> Finding:
    _log.warning("a call stays in doubt: %s", why)
    return Finding(applied=None, why=why)
