"""Whether a store and a namespace in it exist, told without making either."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from clawproof_langgraph.backends.urls import default_file, without_own_options
from clawproof_langgraph.config.addresses import REDIS_SCHEMES, SCHEMES, no_file
from clawproof_langgraph.errors import BackendUnavailable, ConfigurationError


def missing(url: str | None, namespace: str) -> str:
    """Say what does not exist: the store, or the namespace in it; empty where both do.

    Args:
        url: the store; None for the default one.
        namespace: the namespace.

    Raises:
        ConfigurationError: the URL is not known, or what it names is no store.
        BackendUnavailable: the store cannot be looked into.
    """
    parts = urlsplit(url or "sqlite:")
    match parts.scheme:
        case "sqlite" if url and (parts.netloc or len(parts.path) < 2):
            raise ConfigurationError(no_file(url))
        case "sqlite":
            return _missing_in_file(sqlite_file(url), namespace)
        case "memory":
            return "it lives in the memory of one process, into which no other one can look"
        case scheme if scheme in REDIS_SCHEMES and url:
            return _missing_on_server(url, namespace)
        case _:
            raise ConfigurationError(
                f'The store URL begins with "{parts.scheme}:", which is not known; there are {SCHEMES}.'
            )


def sqlite_file(url: str | None) -> Path:
    """Give the file that a URL names, or the default one."""
    return Path(unquote(urlsplit(url).path).removeprefix("/")) if url else default_file()


def open_read_only(file: Path) -> sqlite3.Connection:
    """Open a file of a store without the right to write to it, for a short look.

    Raises:
        sqlite3.OperationalError: it cannot be read.
    """
    # Where nobody has the file open there is no journal, and SQLite would make one even to read.
    idle = not file.with_name(f"{file.name}-wal").exists()
    return sqlite3.connect(
        f"file:{quote(os.fsencode(file.absolute()))}?{'immutable=1' if idle else 'mode=ro'}", uri=True, timeout=5
    )


def _missing_in_file(file: Path, namespace: str) -> str:
    try:
        if not file.exists() or not file.stat().st_size:
            return f"there is no file {file.absolute()}"
        with closing(open_read_only(file)) as connection:
            found = connection.execute("SELECT 1 FROM namespaces WHERE name = ?", (namespace,)).fetchone()
    except (sqlite3.DatabaseError, OSError) as exc:
        if "no such table" in str(exc) or "not a database" in str(exc):
            raise ConfigurationError(f"{file} is not a coordination file of clawproof-langgraph.") from exc
        raise BackendUnavailable(f"sqlite:///{file.absolute()}", str(exc)) from exc
    return "" if found else f'it has no namespace "{namespace}"'


def _missing_on_server(url: str, namespace: str) -> str:
    try:
        import redis

        from clawproof_langgraph.backends.redis.faults import unusable
        from clawproof_langgraph.backends.redis.keys import keys_of
        from clawproof_langgraph.backends.redis.servers import Server
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            'A store on Redis or Valkey takes redis-py: pip install "clawproof-langgraph[redis]".'
        ) from exc
    server = Server(without_own_options(url)[0])
    try:
        with closing(server.client()) as client:
            there = client.execute_command("EXISTS", keys_of(namespace).secret)
    except (redis.RedisError, OSError) as exc:
        raise unusable(exc, server.name) from exc
    return "" if there else f'it has no namespace "{namespace}"'
