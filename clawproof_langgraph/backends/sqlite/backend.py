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

from clawproof_langgraph.backends import engine
from clawproof_langgraph.backends.base import Hear, Listening
from clawproof_langgraph.backends.bells import Bells
from clawproof_langgraph.backends.clocks import Clock, SystemClock
from clawproof_langgraph.backends.embedded import EmbeddedBackend
from clawproof_langgraph.backends.forks import start_anew_in_children
from clawproof_langgraph.backends.sqlite.connection import check_place, open_connection, open_namespace
from clawproof_langgraph.backends.sqlite.patience import PATIENCE, patiently
from clawproof_langgraph.backends.sqlite.transaction import SqliteTransaction
from clawproof_langgraph.backends.store import Transaction
from clawproof_langgraph.errors import BackendUnavailable, ConfigurationError
from clawproof_langgraph.model import Renew, Renewed, Sweep, Swept

T = TypeVar("T")

_COURTESY: Final = 300e-6
"""Seconds that somebody who was woken needs to claim its grant."""
_THREADS: Final = 4
"""Threads that run the commands of event loops."""

# Connections that a fork has copied. SQLite must not use them in the child, not even to close them.
_inherited: list[object] = []


class _Writer:
    """A connection that writes, for one thread at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None


class SqliteBackend(EmbeddedBackend):
    """Coordinates the processes of one machine over a file.

    Args:
        path: the file; it is made if it does not exist, in a folder that does.
        namespace: nothing is shared between namespaces of the same file.
        synchronous: `full`: what was acknowledged survives a power failure; `normal`: a crash of the process.
        clock: what the store goes by.

    Raises:
        ConfigurationError: the file cannot be used, is not ours, or is from a newer version.
    """

    reach = "the processes of this machine"

    def __init__(
        self,
        path: str | os.PathLike[str],
        namespace: str = "default",
        synchronous: str = "full",
        *,
        clock: Clock | None = None,
    ) -> None:
        if synchronous not in ("full", "normal"):
            raise ConfigurationError(f'synchronous="{synchronous}" is not known; use "full" or "normal".')
        self._path = os.path.abspath(path)
        super().__init__(f"sqlite:///{self._path}", Bells())
        check_place(self._path)
        self._synchronous, self._clock = synchronous, clock or SystemClock()
        self._closed = False
        self._start()
        try:  # a wrong file is refused now, not at the first tool call
            with self._commands.lock:
                self._namespace = open_namespace(self._writing(self._commands), namespace)
        except sqlite3.DatabaseError as exc:
            self.close()
            raise self._mapped(exc) from exc
        start_anew_in_children(self)

    def _start(self) -> None:
        self._commands, self._renewals = _Writer(), _Writer()
        self._readers: list[sqlite3.Connection] = []
        self._places: dict[str, Any] = {}
        self._rang_at = 0.0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="clawproof-store")

    def start_anew(self) -> None:
        """Open connections of its own in a forked child."""
        _inherited.append((self._commands, self._renewals, self._readers, self._threads, self._bells))
        self._bells = Bells()
        self._start()

    @property
    def secret(self) -> bytes:
        return self._namespace.secret

    def _check_open(self) -> None:
        if self._closed:
            raise BackendUnavailable.after_close(self.name)

    def _writing(self, writer: _Writer) -> sqlite3.Connection:
        self._check_open()
        if writer.connection is None:
            writer.connection = open_connection(self._path, self._synchronous)
        return writer.connection

    # The heartbeat has a connection of its own, so that it never queues up behind the commands of busy threads.

    def renew(self, beat: Renew) -> Renewed:
        return self._step(engine.renew, beat, self._renewals)

    def sweep(self, terms: Sweep) -> Swept:
        return self._step(engine.sweep, terms, self._renewals)

    def _step(self, command: Callable[[Transaction, Any], T], argument: Any, writer: _Writer | None = None) -> T:
        writer = writer or self._commands
        if command is engine.begin and not argument.repeated:
            self._make_way()
        if not writer.lock.acquire(timeout=PATIENCE):
            raise BackendUnavailable(self.name, "other threads of this process have kept it busy for too long")
        try:
            return self._transact(writer, command, argument)
        except sqlite3.DatabaseError as exc:
            raise self._mapped(exc) from exc
        finally:
            writer.lock.release()

    def _transact(self, writer: _Writer, command: Callable[[Transaction, Any], T], argument: Any) -> T:
        connection = self._writing(writer)
        try:
            patiently(connection, "BEGIN IMMEDIATE")
            tx = SqliteTransaction(connection, self._namespace.number, self._clock, self._places)
            answer = command(tx, argument)
            tx.flush()
            connection.execute("COMMIT")
        except BaseException as exc:  # also an interrupt: a write lock that is kept would stop every process
            _abandon(writer, broken=isinstance(exc, sqlite3.Error))
            raise
        for bell, owner in tx.rings:
            self.ring(bell, owner)
            self._rang_at = time.monotonic()
        for session, agent in tx.words:
            self._bells.tell(session, agent)
        return answer

    def _make_way(self) -> None:
        """Let those go first whom this process has just woken: a new request would get in the way of their claim."""
        if time.monotonic() - self._rang_at < _COURTESY:
            time.sleep(_COURTESY)

    def _read(self, query: Callable[[Transaction, Any], T], argument: Any) -> T:
        self._check_open()
        try:
            connection = self._reading()
            try:
                connection.execute("BEGIN")  # one snapshot for all that the query reads
                answer = query(SqliteTransaction(connection, self._namespace.number, self._clock, {}), argument)
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
        except sqlite3.DatabaseError as exc:
            raise self._mapped(exc) from exc
        if self._closed:
            connection.close()
        else:
            self._readers.append(connection)
        return answer

    def _reading(self) -> sqlite3.Connection:
        try:
            return self._readers.pop()
        except IndexError:  # all are in use
            return open_connection(self._path, self._synchronous)

    def _mapped(self, exc: sqlite3.DatabaseError) -> Exception:
        # A wrong statement is a defect of this package, and shall look like one.
        if isinstance(exc, sqlite3.ProgrammingError | sqlite3.IntegrityError):
            return exc
        return BackendUnavailable(self.name, str(exc))

    async def _astep(self, command: Callable[[Transaction, Any], T], argument: Any) -> T:
        return await self._in_thread(self._step, command, argument)

    async def _aread(self, query: Callable[[Transaction, Any], T], argument: Any) -> T:
        return await self._in_thread(self._read, query, argument)

    async def _in_thread(self, step: Callable[..., T], *arguments: Any) -> T:
        try:
            job = asyncio.wrap_future(self._threads.submit(step, *arguments))
        except RuntimeError:  # the threads were shut down
            self._check_open()
            raise
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            # What was sent is carried through, and before anything else of its caller: a withdrawal that overtook
            # its begin would leave a grant behind.
            await _finish(job)
            raise

    def listen(self, session: str, hear: Hear) -> Listening:
        return self._bells.listen(session, hear)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._threads.shutdown(wait=True)
        for writer in (self._commands, self._renewals):
            with writer.lock:
                if writer.connection is not None:
                    writer.connection.close()
        while self._readers:
            self._readers.pop().close()
        self._bells.close()


def _abandon(writer: _Writer, *, broken: bool) -> None:
    connection = writer.connection
    assert connection is not None
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        broken = True
    if broken:  # a file that was repaired or replaced is opened anew
        writer.connection = None
        connection.close()


async def _finish(job: asyncio.Future[Any]) -> None:
    while not job.done():
        try:
            await asyncio.wait([job])
        except asyncio.CancelledError:  # cancelled again: the job still takes but a moment
            continue
