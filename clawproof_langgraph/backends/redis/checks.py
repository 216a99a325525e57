"""What a server must be before anything is entrusted to it."""

from __future__ import annotations

from typing import Any, Final

from redis.exceptions import NoPermissionError, ResponseError

from clawproof_langgraph.backends.redis.servers import Client
from clawproof_langgraph.errors import ConfigurationError

_OLDEST: Final = (6, 2)
_CLUSTER: Final = "redis+cluster:"
_KEEPS_ALL: Final = "noeviction"


def check(client: Client, store: str, *, eviction: str) -> None:
    """Refuse a server that is too old, or that may drop locks when it is short of memory.

    Args:
        client: of the server; of a Cluster, its first primary is looked at.
        store: the server for humans.
        eviction: `refuse`, or `allow` for a server that drops keys.

    Raises:
        ConfigurationError: with what to do.
    """
    info = _asked(client, "INFO", "server")
    _check_version(info, store)
    _check_kind(str(info.get("redis_mode") or info.get("server_mode")), store)  # Redis's name for it, and Valkey's
    if eviction != "allow":
        _check_eviction(client, store)


def _check_version(info: Any, store: str) -> None:
    # Valkey gives the version of Redis that it is compatible with under the same name.
    version = str(info.get("redis_version", "0"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST:
        raise ConfigurationError(f"The store {store} is Redis {version}; it takes Redis 6.2, or Valkey.")


def _check_kind(mode: str, store: str) -> None:
    if mode == "cluster" and not store.startswith(_CLUSTER):
        raise ConfigurationError(
            f"The store {store} is a node of a Cluster; write redis+cluster://host:port, with one of its nodes or more."
        )
    if mode == "sentinel":
        raise ConfigurationError(
            f"The store {store} is a Sentinel, which keeps nothing; write redis+sentinel://host:26379/service."
        )


def _check_eviction(client: Client, store: str) -> None:
    try:
        found = _asked(client, "CONFIG", "GET", "maxmemory-policy")
    except (NoPermissionError, ResponseError):  # managed servers often forbid CONFIG; INFO tells as well
        policy = str(_asked(client, "INFO", "memory").get("maxmemory_policy", ""))
    else:
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        policy = {str(_text(name)): str(_text(value)) for name, value in pairs}.get("maxmemory-policy", "")
    if policy != _KEEPS_ALL:
        raise ConfigurationError(
            f'The store {store} has maxmemory-policy "{policy}": short of memory, it would drop locks and records of '
            f'payments. Set it to "{_KEEPS_ALL}", or add ?eviction=allow to the URL if that cannot happen.'
        )


def _asked(client: Client, *command: str) -> Any:
    found = client.execute_command(*command)
    values = list(found.values()) if isinstance(found, dict) else []
    # A Cluster answers for each of its nodes.
    return values[0] if values and all(isinstance(value, dict) for value in values) else found


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
