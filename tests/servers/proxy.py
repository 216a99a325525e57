"""A proxy between a client and a server that loses what a test tells it to lose."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Proxy:
    """Forwards connections to a port of this machine.

    Attributes:
        port: where it listens.
        lost: how many replies were lost.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._lose = threading.Semaphore(0)
        self._open = threading.Event()
        self._open.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.lost = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def lose_replies(self, count: int = 1) -> None:
        """Lose the next replies, and the connection of each: the command is carried out, and nobody hears of it."""
        self._lose.release(count)

    def black_hole(self) -> None:
        """Hold everything back until `flow`."""
        self._open.clear()

    def flow(self) -> None:
        """Let through what was held back."""
        self._open.set()

    def cut(self) -> None:
        """Cut all connections."""
        for pair in self._pairs:
            _close(*pair)
        self._pairs.clear()

    def close(self) -> None:
        """Cut all connections, and take no more."""
        self._listener.close()
        self.flow()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._pairs.append((client, server))
            for pump in (self._forward, self._return):
                threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                self._open.wait()
                server.sendall(data)
        _close(client, server)

    def _return(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                self._open.wait()
                if self._lose.acquire(blocking=False):
                    self.lost += 1
                    break
                client.sendall(data)
        _close(client, server)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextmanager
def proxy_to(target: int) -> Iterator[Proxy]:
    """Put a proxy before a port."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
