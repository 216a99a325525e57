"""Opening the file: what is checked before it is used, and how a connection is set up."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from clawproof_langgraph.backends.sqlite.patience import patiently
from clawproof_langgraph.errors import BackendUnavailable, ConfigurationError

_APPLICATION_ID: Final = 0x434C4157  # "CLAW"
_SCHEMA_VERSION: Final = 4
_NETWORK_FILE_SYSTEMS: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "ncpfs"})


def open_connection(path: str, synchronous: str) -> sqlite3.Connection:
    """Open a connection in WAL mode, making the tables in a new file.

    Args:
        path: the file.
        synchronous: `full` (a commit survives a power failure) or `normal` (it survives a crash of the process).

    Raises:
        ConfigurationError: the file is not ours, or from a newer version.
        BackendUnavailable: SQLite cannot use it.
    """
    try:
        _make_private(path)
        connection = sqlite3.connect(
            path, timeout=5, isolation_level=None, check_same_thread=False, cached_statements=256
        )
    except (sqlite3.Error, OSError) as exc:
        raise BackendUnavailable(f"sqlite:///{path}", str(exc)) from exc
    try:
        _set_up(connection, path, synchronous)
    except sqlite3.DatabaseError as exc:
        connection.close()
        if getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise ConfigurationError(_not_ours(path)) from exc
        raise BackendUnavailable(f"sqlite:///{path}", str(exc)) from exc
    except BaseException:
        connection.close()
        raise
    return connection


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace of the file: its number, and the secret with which its fingerprints are keyed."""

    number: int
    secret: bytes


def open_namespace(connection: sqlite3.Connection, name: str) -> Namespace:
    """Find a namespace by its name, or make it."""
    find = "SELECT ns, secret FROM namespaces WHERE name = ?"
    row = connection.execute(find, (name,)).fetchone()
    if row is None:
        patiently(connection, "BEGIN IMMEDIATE")
        fresh = (name, secrets.token_bytes(32))
        connection.execute("INSERT OR IGNORE INTO namespaces (name, secret) VALUES (?, ?)", fresh)
        connection.execute("COMMIT")
        row = connection.execute(find, (name,)).fetchone()
    return Namespace(*row)


def check_place(path: str) -> None:
    """Refuse a place where SQLite's locks cannot be trusted or nothing can be written.

    Raises:
        ConfigurationError: a folder that does not exist or cannot be written, or a network file system.
    """
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder {folder} for the coordination file {path}; create it first.")
    if Path(path).is_dir():
        raise ConfigurationError(f"{path} is a folder; name a file, for example sqlite:///{path}/clawproof.db.")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK) or not os.access(folder, os.W_OK):
        raise ConfigurationError(f"Cannot write {path}: give this user the right to write the file and its folder.")
    if (kind := _file_system(folder)) in _NETWORK_FILE_SYSTEMS:
        raise ConfigurationError(
            f"{path} is on a network file system ({kind}), where SQLite's locks cannot be trusted. "
            f"Use a local disk, or redis:// for several machines."
        )


def _file_system(folder: Path) -> str:
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:  # not Linux: it cannot be told
        return ""
    kind, longest = "", -1
    for line in mounts:
        _, mount, found, *_ = line.split(" ")
        point = Path(mount.replace("\\040", " "))
        if (point == folder or point in folder.parents) and len(point.parts) >= longest:
            kind, longest = found, len(point.parts)
    return kind


def _make_private(path: str) -> None:
    """Make a new file that only its owner can read: results of tools are in it. SQLite gives its journal the same."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _set_up(connection: sqlite3.Connection, path: str, synchronous: str) -> None:
    connection.execute("PRAGMA temp_store = memory")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    _check_or_create(connection, path)
    # From here on our own retry waits for the write lock: SQLite's sleeps are too long and not interruptible.
    connection.execute("PRAGMA busy_timeout = 0")


def _check_or_create(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN")  # one view of the file: another process may be making the tables
    try:
        current = _is_current(connection, path)
    finally:
        connection.execute("ROLLBACK")
    if current:
        return
    patiently(connection, "PRAGMA journal_mode = wal")
    patiently(connection, "BEGIN IMMEDIATE")
    try:
        if not _is_current(connection, path):  # else another process was faster
            for statement in _schema():
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_current(connection: sqlite3.Connection, path: str) -> bool:
    application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    if application == 0 and version == 0 and not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return False
    if application != _APPLICATION_ID:
        raise ConfigurationError(_not_ours(path))
    if version > _SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path} was written by a newer version of clawproof-langgraph (schema {version}, this one knows "
            f"{_SCHEMA_VERSION}). Upgrade with `pip install -U clawproof-langgraph`, or use another file."
        )
    if version < _SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path} was written by a version of clawproof-langgraph before its first release (schema {version}, this "
            f"one writes {_SCHEMA_VERSION}). Use another file, or delete it if nothing in it is needed."
        )
    return True


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _not_ours(path: str) -> str:
    return f"{path} is not a coordination file of clawproof-langgraph. Name another file; this one was not changed."


def _schema() -> list[str]:
    text = resources.files(__package__).joinpath("schema.sql").read_text()
    lines = [line.split("--")[0] for line in text.splitlines()]
    return [statement for part in "\n".join(lines).split(";") if (statement := part.strip())]
