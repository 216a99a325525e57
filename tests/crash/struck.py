"""How a run is ended in its tool by something else than SIGKILL: a signal, a cancellation, a time-out."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

from tests.crash.cells import Cell, End, Face
from tests.crash.fates import Doomed
from tests.waiting import PATIENCE, wait_until

T = TypeVar("T")

TIMEOUT = 1.0
"""Seconds that a step or a node may take, where a time-out is to end it."""

SEEN_BY_CALLER = {
    End.EXIT: "SystemExit",
    End.INTERRUPT: "KeyboardInterrupt",
    End.CANCEL: "CancelledError",
    End.STEP_TIMEOUT: "TimeoutError",
    End.NODE_TIMEOUT: "NodeTimeoutError",
}
"""What the caller of a run sees when it was ended so."""


class CutShort(Doomed):
    """Ends the run, once; a tool that nothing can stop goes on when its caller has seen the end."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self._seen = threading.Event()
        self.came_to_moment = False
        self._task: asyncio.Task[Any] | None = None
        self._install_handlers()

    async def watched(self, run: Coroutine[Any, Any, T]) -> T:
        """Await the run, for a caller who sees how it ends."""
        self._task = asyncio.create_task(run)
        try:
            return await self._task
        finally:
            self._seen.set()

    def end(self) -> None:
        if self._is_first():
            self._strike()
            if self._cell.end is End.STEP_TIMEOUT and self._cell.face is Face.SYNC:
                time.sleep(2 * TIMEOUT)  # LangGraph waits for the tool before it tells its caller: it is just too slow
            else:
                assert self._seen.wait(PATIENCE)

    async def aend(self) -> None:
        if self._is_first():
            self._strike()
            await asyncio.wait_for(asyncio.Event().wait(), PATIENCE)

    def _is_first(self) -> bool:
        first = not self.came_to_moment
        self.came_to_moment = True
        return first

    def _strike(self) -> None:
        match self._cell.end:
            case End.TERM | End.EXIT:
                _send(signal.SIGTERM)
            case End.INTERRUPT:
                _send(signal.SIGINT)
            case End.CANCEL:
                assert self._task is not None
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def _install_handlers(self) -> None:
        # Whatever was inherited: a test runner's processes may ignore what is typed at the keyboard.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._cell.end is End.EXIT:
            signal.signal(signal.SIGTERM, self._exit)
        if self._cell.end is End.INTERRUPT and self._cell.face is Face.SYNC:  # else it is the event loop's
            signal.signal(signal.SIGINT, self._interrupt)

    def _exit(self, number: int, frame: FrameType | None) -> None:
        self._seen.set()
        raise SystemExit

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._seen.set()
        signal.default_int_handler(number, frame)


def _send(number: int) -> None:
    def send() -> None:
        wait_until(_main_thread_waits)
        os.kill(os.getpid(), number)

    # From a thread, so that the main thread can come to where it waits: for the tool, or in its event loop.
    threading.Thread(target=send).start()


def _main_thread_waits() -> bool:
    names = [frame.name for frame in traceback.extract_stack(sys._current_frames()[threading.main_thread().ident or 0])]
    return names[-1] in ("wait", "select") and "submit" not in names
