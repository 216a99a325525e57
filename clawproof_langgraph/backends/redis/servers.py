"""From a URL to clients of redis-py: one server, a service of Sentinels, or a Cluster."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.cluster
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

from clawproof_langgraph.backends.redis.wires import AsyncWire, Wires
from clawproof_langgraph.errors import ConfigurationError

SCHEMES: Final = (
    "redis://host:6379/0, rediss://host, unix:///path, redis+sentinel://host:26379,host:26379/service and "
    "redis+cluster://host:7000,host:7001"
)
_TIMEOUT: Final = 5.0
"""Seconds for a connection, and for a reply to a command that does not wait."""
_PLAIN: Final = ("redis", "rediss", "unix")
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
        self.name = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
        self.is_cluster = parts.scheme == "redis+cluster"
        self._open, self._aopen = {
            "redis+sentinel": (self._sentinel, self._asentinel),
            "redis+cluster": (self._cluster, self._acluster),
        }.get(parts.scheme, (self._plain, self._aplain))
        try:
            self._parts, self.timeout = _without_timeout(parts)
            if parts.scheme not in _PLAIN:
                self._addresses = _addresses_of(parts)
                self._options = _options_of(self._parts)
            else:
                redis.ConnectionPool.from_url(urlunsplit(self._parts))
            if parts.scheme == "redis+sentinel":
                self._service, self._options["db"] = _service_of(parts)
        except ValueError as exc:
            raise ConfigurationError(
                f'The store URL "{self.name}" cannot be read ({exc}); there are {SCHEMES}.'
            ) from exc

    def client(self, *, waits: bool = False, block: float = 0.0) -> Client:
        """Open a client for threads.

        Args:
            waits: whether it waits for replies as long as the server does.
            block: how many seconds its commands may wait at the server.
        """
        # redis-py's own retries would carry a command out twice; ours are known by their owner.
        return self._open({**self._common(waits=waits, block=block), "retry": Retry(NoBackoff(), 0)})

    def aclient(self, *, waits: bool = False, block: float = 0.0) -> Client:
        """Open a client for the running event loop; `block` is how many seconds its commands wait at the server."""
        retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
        return self._aopen({**self._common(waits=waits, block=block), "retry": retry})

    def anode(self, host: str, port: int) -> Client:
        """Open a client for the running event loop that leads to one server of a Cluster."""
        retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
        return redis.asyncio.Redis(host=host, port=port, retry=retry, **self._options, **self._common())

    def sender(self) -> Client:
        """Open what threads send commands with."""
        client = self.client()
        return client if self.is_cluster else Wires(client)

    def asender(self) -> Client:
        """Open what the calls of the running event loop send commands with."""
        return self.aclient() if self.is_cluster else AsyncWire(self.aclient(waits=True), self.timeout)

    def _common(self, *, waits: bool = False, block: float = 0.0) -> dict[str, Any]:
        return {"socket_timeout": None if waits else self.timeout + block, "socket_connect_timeout": self.timeout}

    # --- kinds --------------------------------------------------------------------------------------------------

    def _plain(self, common: dict[str, Any]) -> Client:
        return redis.Redis.from_url(urlunsplit(self._parts), **common)

    def _aplain(self, common: dict[str, Any]) -> Client:
        return redis.asyncio.Redis.from_url(urlunsplit(self._parts), **common)

    def _sentinel(self, common: dict[str, Any]) -> Client:
        kind: Any = redis.sentinel.Sentinel  # not typed
        return kind(self._addresses, sentinel_kwargs=common).master_for(self._service, **self._options, **common)

    def _asentinel(self, common: dict[str, Any]) -> Client:
        kind: Any = redis.asyncio.sentinel.Sentinel
        return kind(self._addresses, sentinel_kwargs=common).master_for(self._service, **self._options, **common)

    def _cluster(self, common: dict[str, Any]) -> Client:
        kind: Any = redis.cluster.ClusterNode
        nodes = [kind(host, port) for host, port in self._addresses]
        return redis.RedisCluster(startup_nodes=nodes, **self._options, **common)

    def _acluster(self, common: dict[str, Any]) -> Client:
        nodes = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in self._addresses]
        return redis.asyncio.RedisCluster(startup_nodes=nodes, **self._options, **common)


def _without_timeout(parts: SplitResult) -> tuple[SplitResult, float]:
    """Take the time-out of replies out of a URL: those that wait for their turn have none."""
    options = parse_qsl(parts.query)
    others = urlencode([(name, value) for name, value in options if name != "socket_timeout"])
    timeout = float(dict(options).get("socket_timeout", _TIMEOUT))
    if not 0 < timeout < float("inf"):
        raise ValueError("socket_timeout is a number of seconds")
    return parts._replace(query=others), timeout


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
    options: dict[str, Any] = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if user:
        options["username"] = unquote(user)
    if password:
        options["password"] = unquote(password)
    if options.get("ssl"):
        options["ssl"] = options["ssl"].lower() in ("1", "true", "yes")
    return options


def _service_of(parts: SplitResult) -> tuple[str, int]:
    service, _, number = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("it names no service, such as redis+sentinel://host:26379/mymaster")
    return unquote(service), int(number or 0)
