"""The server that processes are forked from: it imports once what each of them needs, and runs no threads."""

from __future__ import annotations

import signal
from multiprocessing import forkserver, resource_tracker


def start_fork_server() -> None:
    """Start the fork server, if it is not running, where Ctrl-C cannot reach it, nor its children.

    It is the parent that ends them.

    Raises:
        OSError: it cannot be started; such as for a folder for temporary files whose name is too long for a socket.
    """
    resource_tracker.ensure_running()  # now, because it lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop_fork_server() -> None:
    """End the fork server now. It would end by itself after this process, but not before its imports are done."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
