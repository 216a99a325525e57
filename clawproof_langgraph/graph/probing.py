"""Running the function of a tool's author that looks what became of a call in doubt."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
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
    task = asyncio.ensure_future(_answer_of(probe, call))
    try:
        await asyncio.wait([task], timeout=limit)
        return _found(task, limit)
    finally:
        task.cancel()


async def _answer_of(probe: ProbeFunction, call: CallContext) -> Any:
    is_async = inspect.iscoroutinefunction(probe)
    answer = probe(call) if is_async else await asyncio.wrap_future(_start(probe, call))
    return await answer if inspect.isawaitable(answer) else answer


def _blocking(probe: ProbeFunction) -> ProbeFunction:
    def run(call: CallContext) -> Any:
        answer = probe(call)
        return asyncio.run(_awaited(answer)) if inspect.isawaitable(answer) else answer

    return run


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


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
    # A probe that fails has found nothing out, and the doubt stays; nor has one that cancels itself: nobody else did.
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
        return _unclear(f"the probe failed: {type(error).__name__}: {error}")
    return _read(answer)


def _read(answer: Any) -> Finding:
    if answer is None:
        return Finding(applied=None, why="the probe cannot tell")
    if answer is NotApplied or isinstance(answer, NotApplied):
        return Finding(applied=False, by=_BY)
    if isinstance(answer, BaseException) or (isinstance(answer, type) and issubclass(answer, BaseException)):
        return _unclear(f"the probe gave an error, {answer!r}")
    return Finding(applied=True, result=results.encode(answer), by=_BY)


def _unclear(why: str) -> Finding:
    _log.warning("a call stays in doubt: %s", why)
    return Finding(applied=None, why=why)
