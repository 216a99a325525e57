"""The SQLite backend: one writing connection behind a lock, a few reading ones, threads for event loops."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from clawproof_langgraph.backends.base import AsyncBell, Bell
from clawproof_langgraph.backends.bells import Bells
from clawproof_langgraph.backends.embedded import EmbeddedBackend
from clawproof_langgraph.backends.sqlite.connection import check_place, open_connection
from clawproof_langgraph.backends.sqlite.patience import patiently
from clawproof_langgraph.backends.sqlite.transaction import SqliteTransaction
from clawproof_langgraph.backends.store import Transaction
from clawproof_langgraph.errors import BackendUnavailable, ConfigurationError

T = TypeVar("T")

_THREADS: Final = 4
"""Threads that run the commands of event loops."""

# Connections that a fork has copied. SQLite must not use them in the child, not even to close them.
_inherited: list[object] = []


class SqliteBackend(EmbeddedBackend):
    """Coordinates the processes of one machine over a file.

    Args:
        path: the file; it is made if it does not exist, in a folder that does.
        namespace: nothing is shared between namespaces of the same file.
        synchronous: `full`: what was acknowledged survives a power failure; `normal`: a crash of the process.
        clock: gives the time in seconds since the epoch.

    Raises:
        ConfigurationError: the file cannot be used, is not ours, or is from a newer version.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        namespace: str = "default",
        synchronous: str = "full",
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if synchronous not in ("full", "normal"):
            raise ConfigurationError(f'synchronous="{synchronous}" is not known; use "full" or "normal".')
        self._path = os.path.abspath(path)
        super().__init__(f"sqlite:///{self._path}", Bells())
        check_place(self._path)
        self._namespace, self._synchronous, self._clock = namespace, synchronous, clock
        self._closed = False
        self._start()
        try:
            self._writing()  # a wrong file is refused now, not at the first tool call
        except sqlite3.DatabaseError as exc:
            raise self._mapped(exc) from exc

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []
        self._places: dict[str, Any] = {}
        self._threads: ThreadPoolExecutor | None = None

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            _inherited.append((self._writer, self._readers, self._threads, self._bells))
            self._bells = Bells()
            self._start()
        if self._closed:
            raise BackendUnavailable.after_close(self.name)

    def _writing(self) -> sqlite3.Connection:
        if self._writer is None:
            connection = open_connection(self._path, self._synchronous)
            self._ns = self._namespace_number(connection)
            self._writer = connection
        return self._writer

    def _namespace_number(self, connection: sqlite3.Connection) -> int:
        find = "SELECT ns FROM namespaces WHERE name = ?"
        row = connection.execute(find, (self._namespace,)).fetchone()
        if row is None:
            patiently(connection, "BEGIN IMMEDIATE")
            connection.execute("INSERT OR IGNORE INTO namespaces (name) VALUES (?)", (self._namespace,))
            connection.execute("COMMIT")
            row = connection.execute(find, (self._namespace,)).fetchone()
        return int(row[0])

    def _step(self, command: Callable[[Transaction, Any], T], argument: Any) -> T:
        self._check_process()
        try:
            with self._lock:
                return self._transact(self._writing(), command, argument)
        except sqlite3.DatabaseError as exc:
            raise self._mapped(exc) from exc

    def _transact(self, connection: sqlite3.Connection, command: Callable[[Transaction, Any], T], argument: Any) -> T:
        try:
            patiently(connection, "BEGIN IMMEDIATE")
            tx = SqliteTransaction(connection, self._ns, self._clock(), self._places)
            answer = command(tx, argument)
            tx.flush()
            # Rung before the commit, so that waking up and committing go on at the same time: who is awake too early
            # waits for the write lock, and should the commit fail, it was a false alarm.
            for bell, owner in tx.rings:
                self.ring(bell, owner)
            connection.execute("COMMIT")
        except BaseException as exc:  # also an interrupt: a write lock that is kept would stop every process
            self._abandon(connection, broken=isinstance(exc, sqlite3.Error))
            raise
        return answer

    def _abandon(self, connection: sqlite3.Connection, *, broken: bool) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            broken = True
        if broken:  # a file that was repaired or replaced is opened anew
            self._writer = None
            connection.close()

    def _read(self, query: Callable[[Transaction, Any], T], argument: Any) -> T:
        self._check_process()
        try:
            connection = self._reading()
            try:
                connection.execute("BEGIN")  # one snapshot for all that the query reads
                answer = query(SqliteTransaction(connection, self._ns, self._clock(), {}), argument)
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
        except sqlite3.DatabaseError as exc:
            raise self._mapped(exc) from exc
        self._readers.append(connection)
        return answer

    def _mapped(self, exc: sqlite3.DatabaseError) -> Exception:
        # A wrong statement is a defect of this package, and shall look like one.
        if isinstance(exc, sqlite3.ProgrammingError | sqlite3.IntegrityError):
            return exc
        return BackendUnavailable(self.name, str(exc))

    def take_bell(self) -> Bell:
        self._check_process()
        return super().take_bell()

    def loop_bell(self) -> AsyncBell:
        self._check_process()
        return super().loop_bell()

    def _reading(self) -> sqlite3.Connection:
        try:
            return self._readers.pop()
        except IndexError:  # all are in use
            return open_connection(self._path, self._synchronous)

    async def _astep(self, command: Callable[[Transaction, Any], T], argument: Any) -> T:
        return await self._in_thread(self._step, command, argument)

    async def _aread(self, query: Callable[[Transaction, Any], T], argument: Any) -> T:
        return await self._in_thread(self._read, query, argument)

    async def _in_thread(self, step: Callable[..., T], *arguments: Any) -> T:
        self._check_process()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="clawproof-store")
        job = asyncio.wrap_future(self._threads.submit(step, *arguments))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            # What was sent is carried through, and before anything else of its caller: a withdrawal that overtook
            # its begin would leave a grant behind.
            await _finish(job)
            raise

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._pid != os.getpid():
            return
        if self._threads is not None:
            self._threads.shutdown(wait=True)
        with self._lock:
            for connection in (*self._readers, *([self._writer] if self._writer else [])):
                connection.close()
            self._readers, self._writer = [], None
        self._bells.close()


async def _finish(job: asyncio.Future[Any]) -> None:
    while not job.done():
        try:
            await asyncio.wait([job])
        except asyncio.CancelledError:  # cancelled again: the job still takes but a moment
            continue
