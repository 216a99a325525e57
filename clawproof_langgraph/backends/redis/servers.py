"""From a URL to clients of redis-py: one server, a service of Sentinels, or a Cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, parse_qsl, unquote, urlencode, urlsplit

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.cluster
import redis.connection
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

from clawproof_langgraph.backends.redis.wires import AsyncWire, Wires
from clawproof_langgraph.backends.urls import shown
from clawproof_langgraph.errors import ConfigurationError

SCHEMES: Final = (
    "redis://host:6379/0, rediss://host, unix:///path, redis+sentinel://host:26379,host:26379/service and "
    "redis+cluster://host:7000,host:7001"
)
_TIMEOUT: Final = 5.0
"""Seconds for a connection, and for a reply to a command that does not wait."""
_CONNECTED: Final = 5.0
"""The most seconds for a connection."""
_PLAIN: Final = ("redis", "rediss", "unix")
_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_UNKNOWN: Final = re.compile(r".*unexpected keyword argument '(\w+)'.*")
_OURS: Final = ("cache", "cache_config", "decode_responses", "encoding", "encoding_errors", "parser_class")
"""What replies are read as is not for the URL to say."""
Client = Any
"""redis-py's clients have no common type; all have `execute_command`."""


class Server:
    """Where a namespace lives, and how to talk to it.

    Args:
        url: as the user gave it.

    Raises:
        ConfigurationError: it cannot be read.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.name = shown(parts)
        self.is_cluster = parts.scheme == "redis+cluster"
        self._open, self._aopen = {
            "redis+sentinel": (self._sentinel, self._asentinel),
            "redis+cluster": (self._cluster, self._acluster),
        }.get(parts.scheme, (self._plain, self._aplain))
        try:
            self._url, self.timeout = _without_timeout(url)
            _check_files(parts)
            _check_replies(parts)
            if parts.scheme not in _PLAIN:
                self._addresses = _addresses_of(parts)
                self._options = _options_of(urlsplit(self._url))
                _check_options(self._options)
            else:
                _check_database(parts)
                redis.ConnectionPool.from_url(self._url).make_connection()
            if parts.scheme == "redis+sentinel":
                self._service, self._options["db"] = _service_of(parts)
        except (ValueError, TypeError, redis.RedisError) as exc:
            why = _UNKNOWN.sub(r"there is no option \1", str(exc))
            raise ConfigurationError(
                f'The store URL "{self.name}" cannot be read ({why}); there are {SCHEMES}.'
            ) from exc

    def client(self, timeout: float | None = None, *, block: float = 0.0) -> Client:
        """Open a client for threads.

        Args:
            timeout: how many seconds it waits for a reply.
            block: how many more its commands may wait at the server.
        """
        # redis-py's own retries would carry a command out twice; ours are known by their owner.
        return self._open({**_common((timeout or self.timeout) + block), "retry": Retry(NoBackoff(), 0)})

    def aclient(self, timeout: float | None = None, *, block: float = 0.0) -> Client:
        """Open a client for the running event loop; `block` is how many seconds its commands wait at the server."""
        retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
        return self._aopen({**_common((timeout or self.timeout) + block), "retry": retry})

    def anode(self, host: str, port: int) -> Client:
        """Open a client for the running event loop that leads to one server of a Cluster."""
        retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
        return redis.asyncio.Redis(host=host, port=port, **{**_common(self.timeout), **self._options, "retry": retry})

    def sender(self, timeout: float) -> Client:
        """Open what threads send commands with."""
        client = self.client(timeout)
        return client if self.is_cluster else Wires(client)

    def asender(self, timeout: float) -> Client:
        """Open what the calls of the running event loop send commands with."""
        if self.is_cluster:
            return self.aclient(timeout)
        retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
        return AsyncWire(self._aopen({**_common(None), "retry": retry}), timeout)

    # --- kinds --------------------------------------------------------------------------------------------------

    def _plain(self, common: dict[str, Any]) -> Client:
        return redis.Redis.from_url(self._url, **common)

    def _aplain(self, common: dict[str, Any]) -> Client:
        return redis.asyncio.Redis.from_url(self._url, **common)

    def _sentinel(self, common: dict[str, Any]) -> Client:
        kind: Any = redis.sentinel.Sentinel  # not typed
        options = {**common, **self._options}
        return kind(self._addresses, sentinel_kwargs=_for_sentinels(options)).master_for(self._service, **options)

    def _asentinel(self, common: dict[str, Any]) -> Client:
        kind: Any = redis.asyncio.sentinel.Sentinel
        options = {**common, **self._options}
        return kind(self._addresses, sentinel_kwargs=_for_sentinels(options)).master_for(self._service, **options)

    def _cluster(self, common: dict[str, Any]) -> Client:
        kind: Any = redis.cluster.ClusterNode
        nodes = [kind(host, port) for host, port in self._addresses]
        return redis.RedisCluster(startup_nodes=nodes, **{**common, **self._options})

    def _acluster(self, common: dict[str, Any]) -> Client:
        nodes = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in self._addresses]
        return redis.asyncio.RedisCluster(startup_nodes=nodes, **{**common, **self._options})


def _common(timeout: float | None) -> dict[str, Any]:
    return {"socket_timeout": timeout, "socket_connect_timeout": min(timeout or _CONNECTED, _CONNECTED)}


def _without_timeout(url: str) -> tuple[str, float]:
    """Take the time-out of replies out of a URL: those that wait for their turn have another."""
    base, _, query = url.partition("?")
    options = parse_qsl(query)
    others = urlencode([(name, value) for name, value in options if name != "socket_timeout"])
    timeout = float(dict(options).get("socket_timeout", _TIMEOUT))
    if not 0 < timeout < float("inf"):
        raise ValueError("socket_timeout is a number of seconds")
    return f"{base}?{others}" if others else base, timeout


def _addresses_of(parts: SplitResult) -> list[tuple[str, int]]:
    hosts = parts.netloc.rpartition("@")[2].split(",")
    default = 26379 if parts.scheme == "redis+sentinel" else 6379
    return [_address_of(host, default) for host in hosts]


def _address_of(text: str, default: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f'"{text}" names no host')
    return parts.hostname, parts.port or default


def _options_of(parts: SplitResult) -> dict[str, Any]:
    """Read what `from_url` would: who connects, and how."""
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    options: dict[str, Any] = redis.connection.parse_url(f"redis:///?{parts.query}")  # type: ignore[no-untyped-call]
    if user:
        options["username"] = unquote(user)
    if password:
        options["password"] = unquote(password)
    if options.get("ssl"):
        options["ssl"] = options["ssl"].lower() in ("1", "true", "yes")
    return options


def _check_options(options: dict[str, Any]) -> None:
    """Have redis-py make a connection that is never opened: it refuses what it does not know."""
    others = {name: value for name, value in options.items() if name != "ssl"}
    kind = redis.SSLConnection if options.get("ssl") else redis.Connection
    redis.ConnectionPool(connection_class=kind, **others).make_connection()


def _check_database(parts: SplitResult) -> None:
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdecimal():  # redis-py would take the first one
        raise ValueError(f'"{database}" is no number of a database')


def _check_files(parts: SplitResult) -> None:
    for name, values in parse_qs(parts.query).items():
        if name in _FILES and not Path(values[-1]).exists():
            raise ValueError(f'{name}: there is no file "{values[-1]}"')


def _check_replies(parts: SplitResult) -> None:
    for name in parse_qs(parts.query):
        if name in _OURS:
            raise ValueError(f"{name} has no place in it: this package reads the replies by itself")


def _for_sentinels(options: dict[str, Any]) -> dict[str, Any]:
    """Give what is true of the Sentinels, too; users and passwords are the servers' own."""
    return {name: value for name, value in options.items() if name.startswith(("socket_", "retry", "ssl"))}


def _service_of(parts: SplitResult) -> tuple[str, int]:
    service, _, number = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("it names no service, such as redis+sentinel://host:26379/mymaster")
    return unquote(service), int(number or 0)
