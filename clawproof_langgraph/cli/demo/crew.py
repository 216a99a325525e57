"""The operating system processes of an act: started from a fork server, and none outlives the act."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait as wait_for_any
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from types import TracebackType
from typing import Any, Final, Self

from clawproof_langgraph.cli.demo.workers import PRELOAD, stand_by
from clawproof_langgraph.testing.fork_server import start_fork_server, stop_fork_server

PATIENCE: Final = 60.0
"""Seconds after which work that takes a few has failed, such as agents that wait for each other for ever."""


class WorkerFailed(Exception):
    """Says that a process of the demo ended with an error (its traceback is on stderr), or does not end."""


class Crew:
    """Starts processes, waits for them, and kills what is left of them in the end."""

    def __init__(self) -> None:
        # A fork server imports LangGraph once; a fork of this process would copy whatever threads it runs.
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._processes: list[BaseProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.join()
        if error is not None:
            stop_fork_server()

    def warm_up(self) -> None:
        """Wait until the fork server has done its imports, so that they do not count as the agents' work."""
        self.wait([self.start(stand_by)], lambda: None)

    def barrier(self, parties: int) -> Barrier:
        """Make a barrier that processes can meet at."""
        return self._context.Barrier(parties)

    def start(self, job: Callable[..., None], *arguments: object) -> BaseProcess:
        """Start a process."""
        try:
            start_fork_server()
        except OSError as exc:
            raise WorkerFailed(f"No process can be started: {exc}.") from exc
        process = self._context.Process(target=job, args=arguments, daemon=True)
        process.start()
        self._processes.append(process)
        return process

    def wait(self, processes: Sequence[BaseProcess], tick: Callable[[], None], *, patience: float = PATIENCE) -> None:
        """Wait until all of these have ended well, calling `tick` now and then.

        Args:
            processes: whose end is waited for.
            tick: is called several times in a second.
            patience: seconds.

        Raises:
            WorkerFailed: one of them did not end well, or in time.
        """
        at_work, deadline = list(processes), time.monotonic() + patience
        while at_work:
            tick()
            if time.monotonic() > deadline:
                raise WorkerFailed(f"{len(at_work)} processes of the demo are not done after {patience:.0f} s.")
            wait_for_any([process.sentinel for process in at_work], timeout=0.2)
            # Look at all of them: those that wait at the barrier for one that died would wait in vain.
            for process in at_work:
                if process.exitcode:
                    raise WorkerFailed(f"A process of the demo ended with exit code {process.exitcode}.")
            at_work = [process for process in at_work if process.is_alive()]

    def ask(self, job: Callable[..., None], *arguments: object) -> str:
        """Run a job in a process of its own and give back the answer that it sends."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self.start(job, *arguments, sender)
        sender.close()
        self.wait([process], lambda: None)
        answer: Any = receiver.recv()
        return str(answer)
