"""From a URL to a backend, and where the default one is."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.backends.memory import MemoryBackend
from clawproof_langgraph.config.addresses import REDIS_SCHEMES, SCHEMES, no_file
from clawproof_langgraph.errors import ConfigurationError

_MARKS: Final = ("clawproof.toml", "langgraph.json", "pyproject.toml", ".git")
_FILES: Final = ("sqlite", "memory", "unix")
"""Schemes without a host, and so without credentials."""
_OWN: Final = ("eviction", "replicas")
"""Options of a Redis URL that are ours."""

_named: dict[tuple[str, str], MemoryBackend] = {}
_named_lock = threading.Lock()


def open_backend(url: str | None, namespace: str | None, replicas: int | None = None) -> Backend:
    """Open the backend that a URL names.

    Args:
        url: the URL; None for `CLAWPROOF_URL`, else what the configuration file says, else the project's own file.
        namespace: None for `CLAWPROOF_NAMESPACE`, else, without a URL, what the file says, else `default`.
        replicas: how many replicas of a Redis server must have a grant or an outcome before it counts; None for what
            the URL says.

    Raises:
        ConfigurationError: the URL is not known, its file cannot be used, or it has no replicas.
    """
    if url is not None and not isinstance(url, str):
        raise ConfigurationError(f"A store URL is a text, not {url!r}; there are {SCHEMES}.")
    if url == "":
        raise ConfigurationError(f"The store URL is empty; there are {SCHEMES}. Leave it out for the default.")
    if url is None:
        from clawproof_langgraph.config.store import store_terms  # who names a store need not look for a file

        terms = store_terms(namespace=namespace)
        url, namespace = terms.url or project_url(terms.start), terms.namespace
    namespace = namespace or os.environ.get("CLAWPROOF_NAMESPACE") or "default"
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise ConfigurationError(f"The store URL cannot be read ({exc}); there are {SCHEMES}.") from exc
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if _shows_credentials(parts):
        raise ConfigurationError(
            f'The store URL "{shown(parts)}" cannot be read: a user or a password with "@", ":", "/", "#" or "?" in it '
            "is percent-encoded, such as %2F for /."
        )
    if parts.scheme in ("memory", "sqlite"):
        _check_no_replicas(shown(parts), options.get("replicas") if replicas is None else replicas)
    match parts.scheme:
        case "memory":
            if options:
                raise ConfigurationError(f'The URL "{url}" has options; memory:// takes none.')
            return _open_memory(parts.netloc + parts.path, namespace)
        case "sqlite":
            return _open_sqlite(url, unquote(parts.path), parts.netloc, namespace, options)
        case scheme if scheme in REDIS_SCHEMES:
            return _open_redis(url, namespace, replicas)
        case _:
            raise ConfigurationError(f'The store URL "{shown(parts)}" is not known; there are {SCHEMES}.')


def _open_memory(name: str, namespace: str) -> Backend:
    if not name:
        return MemoryBackend()
    with _named_lock:
        return _named.setdefault((name, namespace), MemoryBackend(f"memory://{name}", shared=True))


def _open_sqlite(url: str, path: str, host: str, namespace: str, options: dict[str, str]) -> Backend:
    from clawproof_langgraph.backends.sqlite import SqliteBackend  # only who uses it pays for it

    if host or len(path) < 2:
        raise ConfigurationError(no_file(url))
    if path == "/:memory:":
        raise ConfigurationError(
            f'The URL "{url}" would be a file of that name; for a store in memory write memory://.'
        )
    if unknown := set(options) - {"synchronous"}:
        raise ConfigurationError(f'The URL "{url}" has the unknown option {", ".join(unknown)}; there is synchronous.')
    return SqliteBackend(path.removeprefix("/"), namespace, options.get("synchronous", "full"))


def _check_no_replicas(url: str, replicas: int | str | None) -> None:
    if replicas is not None and _number_of(replicas):
        raise ConfigurationError(
            f"replicas={replicas} asks for replicas of a Redis or Valkey server; {url} has none. Leave it out."
        )


def _number_of(replicas: int | str) -> int:
    if isinstance(replicas, str) and replicas.isascii() and replicas.isdigit():
        return int(replicas)
    if isinstance(replicas, int) and not isinstance(replicas, bool) and replicas >= 0:
        return replicas
    raise ConfigurationError(f"replicas={replicas!r} is no number of replicas; write, for example, replicas=1.")


def _open_redis(url: str, namespace: str, replicas: int | None) -> Backend:
    try:
        from clawproof_langgraph.backends.redis import RedisBackend, ReplicatedRedisBackend
    except ModuleNotFoundError as exc:
        if exc.name != "redis":
            raise
        raise ConfigurationError(
            'A store on Redis or Valkey takes redis-py: pip install "clawproof-langgraph[redis]".'
        ) from exc
    url, options = without_own_options(url)
    eviction = options.get("eviction", "refuse")
    if wanted := _number_of(options.get("replicas", 0) if replicas is None else replicas):
        return ReplicatedRedisBackend(url, namespace, eviction=eviction, replicas=wanted)
    return RedisBackend(url, namespace, eviction=eviction)


def without_own_options(url: str) -> tuple[str, dict[str, str]]:
    """Take our own options out of a URL; what is left is for redis-py."""
    base, _, query = url.partition("?")
    given = parse_qsl(query, keep_blank_values=True)
    own = {name: value for name, value in given if name in _OWN}
    left = urlencode([(name, value) for name, value in given if name not in _OWN])
    return f"{base}?{left}" if left else base, own


def default_file(start: Path | None = None) -> Path:
    """Find where the store of the project is, or would be, which a folder belongs to; the present one, if not said."""
    here = start or Path.cwd()
    root = next((folder for folder in (here, *here.parents) if any((folder / mark).exists() for mark in _MARKS)), here)
    return root / ".clawproof" / "state.db"


def make_project_folder(start: Path | None = None) -> Path:
    """Make the folder of the project in which the library keeps its files, and which no repository takes in.

    Raises:
        OSError: it cannot be made.
    """
    folder = default_file(start).parent
    folder.mkdir(mode=0o700, exist_ok=True)  # results of tools are in it
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return folder


def project_url(start: Path | None = None) -> str:
    """Give the URL of the project's own file, making a folder for it.

    Raises:
        ConfigurationError: the folder cannot be made.
    """
    file = default_file(start)
    try:
        make_project_folder(start)
    except OSError as exc:
        raise ConfigurationError(
            f"Cannot make {file.parent} for the coordination file: {exc}. Set CLAWPROOF_URL."
        ) from exc
    return f"sqlite:///{quote(str(file))}"


def shown(parts: SplitResult) -> str:
    """Give a URL without its credentials; a host that cannot be told from them is left out, too."""
    if _shows_credentials(parts):
        return f"{parts.scheme}://..."
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _shows_credentials(parts: SplitResult) -> bool:
    """Tell whether a user or a password seems to have ended early, at a character that is not percent-encoded."""
    if parts.scheme in _FILES:
        return False
    ended = "@" not in parts.netloc and "@" in parts.query + parts.fragment
    return ended or "@" in parts.path or bool(parts.fragment)
