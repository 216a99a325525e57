"""A proxy between a client and a server that loses, delays and changes what a test tells it to."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

_RESET = struct.pack("ii", 1, 0)  # closing forgets what was not sent, and tells the other side at once


class Fate(Enum):
    """What becomes of a reply that is lost."""

    CUT = "cut"
    """The connection is closed in order."""
    RESET = "reset"
    """The connection is reset."""
    LATE = "late"
    """The connection stays open, and the reply comes when nobody waits for it any more."""


class Proxy:
    """Forwards connections to a port of this machine.

    Attributes:
        port: where it listens.
        target: where new connections lead.
        lost: how many replies were lost.
        change: changes each piece of a reply.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._fates: deque[Fate] = deque()
        self._open, self._over = threading.Event(), threading.Event()
        self._open.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._swallowing: set[tuple[socket.socket, socket.socket]] = set()
        self._resetting: set[socket.socket] = set()
        self.lost = 0
        self.change: Callable[[bytes], bytes] = lambda data: data
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def lose_replies(self, count: int = 1, fate: Fate = Fate.CUT) -> None:
        """Lose the next replies: the command is carried out, and nobody hears of it."""
        self._fates.extend([fate] * count)

    def black_hole(self) -> None:
        """Hold everything back until `flow`."""
        self._open.clear()

    def swallow(self) -> None:
        """Keep what is said from now on by connections that are open, as a firewall does that has forgotten them."""
        self._swallowing.update(self._pairs)

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
        self._over.set()
        self.flow()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                _close(client)
                continue
            self._pairs.append((client, server))
            for pump in (self._forward, self._return):
                threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                self._open.wait()
                if (client, server) not in self._swallowing:
                    server.sendall(data)
        if client in self._resetting:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
        _close(client, server)

    def _return(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                self._open.wait()
                try:
                    fate = self._fates.popleft()
                except IndexError:
                    client.sendall(self.change(data))
                    continue
                self.lost += 1
                if fate is Fate.RESET:
                    self._resetting.add(client)
                    client.shutdown(socket.SHUT_RD)  # the other pump hears of it, and is the last to let go
                    return
                if fate is Fate.CUT:
                    break
                self._over.wait()
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
