"""An operator in a process of its own, who stops an agent and lets it go on when he is told to."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from clawproof_langgraph import Coordinator

_READY_WITHIN = 60.0


class Operator:
    """Has a coordinator of the same store, elsewhere."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def kill(self, agent: str) -> float:
        """Stop an agent, and tell at which moment of the monotonic clock that was done."""
        return self._say("kill", agent)

    def revive(self, agent: str) -> float:
        """Let an agent go on, and tell when."""
        return self._say("revive", agent)

    def _say(self, *words: str) -> float:
        self._line.send(words)
        moment: float = self._line.recv()
        return moment


@contextmanager
def operator(url: str, namespace: str) -> Iterator[Operator]:
    """Have an operator until the end of the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_operate, args=(url, namespace, theirs), daemon=True)
    process.start()
    assert ours.poll(_READY_WITHIN) and ours.recv() == "ready"
    try:
        yield Operator(ours)
    finally:
        ours.send(None)
        process.join(10)


def _operate(url: str, namespace: str, line: Connection) -> None:
    with Coordinator.from_url(url, namespace=namespace) as coordinator:
        coordinator.killed()  # its connection is open
        line.send("ready")
        while words := line.recv():
            what, agent = words
            began = time.monotonic()
            getattr(coordinator, what)(agent)
            line.send(began)
