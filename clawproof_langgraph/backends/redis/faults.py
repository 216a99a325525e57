"""What an error of redis-py means for a command: send it again, or say what is wrong."""

from __future__ import annotations

from typing import Final

import redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    TryAgainError,
)
from redis.sentinel import MasterNotFoundError

from clawproof_langgraph.errors import BackendUnavailable, ClawproofError, ConfigurationError


class TooFewReplicas(redis.RedisError):
    """Says that a write is on fewer replicas than were asked for.

    Args:
        found: how many have acknowledged it.
        wanted: how many should have.
        within: in how many seconds.
    """

    def __init__(self, found: int, wanted: int, within: float) -> None:
        super().__init__(f"{found} of {wanted} replicas acknowledged a write within {within:g} s")


_PASSING: Final = (
    redis.ConnectionError,  # also while a server loads its data, or a Sentinel looks for a new master
    redis.TimeoutError,
    BusyLoadingError,
    ReadOnlyError,  # a master that has become a replica
    MasterDownError,
    MasterNotFoundError,
    ClusterDownError,
    TryAgainError,
    TooFewReplicas,
    OSError,
)
_LASTING: Final = (AuthenticationError, AuthorizationError)
"""Kinds of ConnectionError that no repetition mends."""
_BUSY: Final = ("BUSY", "NOREPLICAS", "CLUSTERDOWN", "UNBLOCKED")
"""How errors begin that have no kind of their own; the last: a server that becomes a replica lets its waiters go."""


def is_passing(error: Exception) -> bool:
    """Tell whether the same command may well succeed in a moment."""
    busy = isinstance(error, redis.ResponseError) and str(error).startswith(_BUSY)
    if isinstance(error, RedisClusterException):
        return not _is_no_cluster(error)
    return busy or (isinstance(error, _PASSING) and not isinstance(error, _LASTING))


def _is_no_cluster(error: Exception) -> bool:
    return "not enabled" in str(error)


def mapped(error: Exception, store: str) -> ClawproofError:
    """Say what is wrong in the words of this package."""
    match error:
        case AuthenticationError() | AuthorizationError():
            return ConfigurationError(
                f"The store {store} refuses to let us in ({error}); check user and password in its URL."
            )
        case NoPermissionError():
            return ConfigurationError(
                f"The store {store} forbids a command ({error}); let its user run scripts, BLPOP, XREAD and INFO on "
                'the keys "clawproof:*".'
            )
        case RedisClusterException() if _is_no_cluster(error):
            return ConfigurationError(f"There is no Cluster at {store}; for one server write redis://host:port.")
        case TooFewReplicas():
            remedy = "bring its replicas back, or ask for fewer with replicas="
            return BackendUnavailable(store, str(error), remedy=remedy)
        case OutOfMemoryError():
            return BackendUnavailable(store, f"it is out of memory ({error})", remedy="give it more, then try again")
        case _:
            return BackendUnavailable(store, str(error) or type(error).__name__)
