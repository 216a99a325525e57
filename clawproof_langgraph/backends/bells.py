"""Bells: datagram sockets on which waiters sleep, and to which whoever releases their resource writes.

A message carries the owner whose turn has come, and nothing that is not also in the store: one that is lost costs
latency, one that comes late or to the wrong sleeper is a false alarm. Where there are no such sockets, or no more of
them, a bell is a short sleep.

Whoever has leases listens on one more, named after its session, to hear at once which agents are stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sys
import tempfile
import threading
import time
import weakref
from typing import Final

from clawproof_langgraph.backends.base import AsyncBell, Bell, Deaf, Hear, Listening
from clawproof_langgraph.model import Begin

_NAP: Final = 0.05
"""Seconds between two looks where no bell can be had."""
_SPARE: Final = 64
"""The most idle bells that are kept open."""
_MISSED: Final = 1024
"""The most early rings that an event loop remembers."""
_LONGEST_WORD: Final = 65_536
_END_WITHIN: Final = 2.0
"""Seconds that closing waits for a thread."""


class _Nap:
    """A bell that cannot ring: it lets its owner look again after a moment."""

    address = ""

    def wait(self, owner: str, timeout: float, ask: Begin | None = None) -> bool:
        time.sleep(min(timeout, _NAP))
        return True


class _LoopNap:
    address = ""

    async def wait(self, owner: str, timeout: float, ask: Begin | None = None) -> bool:
        await asyncio.sleep(min(timeout, _NAP))
        return True


def _open_socket(name: str = "") -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.bind(_place_of(name or secrets.token_hex(8)))
    except OSError:
        sock.close()
        raise
    return sock


def _place_of(name: str) -> str:
    # A name in Linux's abstract space needs no file, and goes with the socket.
    return (
        f"\0clawproof-{name}" if sys.platform == "linux" else os.path.join(tempfile.gettempdir(), f"clawproof-{name}")
    )


def _address_of(sock: socket.socket) -> str:
    name = sock.getsockname()
    return "@" + name[1:].decode() if isinstance(name, bytes) else str(name)


def _close(sock: socket.socket) -> None:
    name = sock.getsockname()
    sock.close()
    if isinstance(name, str) and name:
        with contextlib.suppress(OSError):
            os.unlink(name)


class _SocketBell:
    """A bell for one thread at a time."""

    def __init__(self) -> None:
        self._socket = _open_socket()
        self.address = _address_of(self._socket)

    def wait(self, owner: str, timeout: float, ask: Begin | None = None) -> bool:
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                message = self._socket.recv(256)
            except TimeoutError:
                return False
            if message == owner.encode():  # anything else was meant for an earlier user of this bell
                return True
        return False

    def close(self) -> None:
        _close(self._socket)


class _LoopBell:
    """The bell of all waiters of an event loop: one socket, however many they are."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._socket = _open_socket()
        self._socket.setblocking(False)
        self.address = _address_of(self._socket)
        self._sleepers: dict[str, asyncio.Future[None]] = {}
        self._early: dict[str, None] = {}
        self._loop = weakref.ref(loop)
        loop.add_reader(self._socket, self._hear)

    def _hear(self) -> None:
        while True:
            try:
                owner = self._socket.recv(256).decode()
            except (BlockingIOError, OSError):
                return
            sleeper = self._sleepers.get(owner)
            if sleeper is not None and not sleeper.done():
                sleeper.set_result(None)
            else:  # it rang between the reply of begin and the wait
                self._early[owner] = None
                if len(self._early) > _MISSED:
                    del self._early[next(iter(self._early))]

    async def wait(self, owner: str, timeout: float, ask: Begin | None = None) -> bool:
        if owner in self._early:
            del self._early[owner]
            return True
        sleeper = self._sleepers[owner] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):  # wait_for of Python 3.11 may swallow a cancellation
                await sleeper
        except TimeoutError:
            return False
        else:
            return True
        finally:
            del self._sleepers[owner]

    def close(self) -> None:
        loop = self._loop()
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._detach, loop)
                return
        _close(self._socket)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # it could not even be opened
            self._socket.close()  # its loop has ended, and nobody else was there to close it

    def _detach(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._socket)
        _close(self._socket)


class _SessionListener:
    """Hears on a thread of its own what other processes say to a session."""

    def __init__(self, session: str, hear: Hear) -> None:
        self._socket, self._hear = _open_socket(session), hear
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clawproof-listener", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads
            _close(self._socket)
            raise

    def _run(self) -> None:
        while True:
            try:
                agent = self._socket.recv(_LONGEST_WORD).decode()
            except OSError:
                break
            if self._ended.is_set():
                break
            self._hear(agent)
        _close(self._socket)

    def close(self) -> None:
        """End the thread and its socket."""
        if self._ended.is_set():
            return
        self._ended.set()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(
                b"", self._socket.getsockname()
            )  # so that it looks up; where its buffer is full, it does so anyway
        if self._thread is not threading.current_thread():
            self._thread.join(_END_WITHIN)


class Bells:
    """The bells of a backend in this process."""

    def __init__(self) -> None:
        self._idle: list[_SocketBell] = []
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncBell] = weakref.WeakKeyDictionary()
        self._listeners: list[_SessionListener] = []
        self._sender: socket.socket | None = None
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> Bell:
        """Check out a bell for a thread."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return _SocketBell()
        except (OSError, AttributeError):  # no more descriptors, or no such sockets on this system
            return _Nap()

    def give(self, bell: Bell) -> None:
        """Take back a bell."""
        if not isinstance(bell, _SocketBell):
            return
        if self._closed or len(self._idle) >= _SPARE:
            bell.close()
        else:
            self._idle.append(bell)

    def of_loop(self) -> AsyncBell:
        """Give the bell of the running event loop."""
        loop = asyncio.get_running_loop()
        bell = self._loops.get(loop)
        if bell is None:
            bell = self._loops[loop] = self._new_loop_bell(loop)
        return bell

    @staticmethod
    def _new_loop_bell(loop: asyncio.AbstractEventLoop) -> AsyncBell:
        try:
            return _LoopBell(loop)
        except (OSError, AttributeError, NotImplementedError):
            return _LoopNap()

    def ring(self, address: str, owner: str) -> None:
        """Wake a sleeper, here or in another process; never waits and never fails."""
        if not address:  # a waiter without a bell looks by itself
            return
        with contextlib.suppress(OSError):  # gone, or its buffer is full: it will look by itself
            self._sending_socket().sendto(owner.encode(), "\0" + address[1:] if address[0] == "@" else address)

    def listen(self, session: str, hear: Hear) -> Listening:
        """Hear what is told to a session."""
        try:
            listener = _SessionListener(session, hear)
        except (OSError, AttributeError):
            return Deaf()
        self._listeners.append(listener)
        return listener

    def tell(self, session: str, agent: str) -> None:
        """Say to a session that an agent was stopped, or may go on; never waits and never fails."""
        with contextlib.suppress(OSError, AttributeError):  # nobody listens there
            self._sending_socket().sendto(agent.encode(), _place_of(session))

    def _sending_socket(self) -> socket.socket:
        if self._sender is None:
            with self._lock:
                if self._sender is None:
                    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                    sender.setblocking(False)
                    self._sender = sender
        return self._sender

    def close(self) -> None:
        """Close all sockets."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
        for bell in list(self._loops.values()):
            if isinstance(bell, _LoopBell):
                bell.close()
        self._loops.clear()
        while self._listeners:
            self._listeners.pop().close()
        if self._sender is not None:
            self._sender.close()
            self._sender = None
