"""What an error of redis-py means for a command: send it again, or say what is wrong."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Final

import redis
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    InvalidResponse,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    TryAgainError,
)
from redis.sentinel import MasterNotFoundError

from clawproof_langgraph.errors import BackendUnavailable, ClawproofError, ConfigurationError

_PASSING: Final = (
    redis.ConnectionError,  # also while a server loads its data, or a Sentinel looks for a new master
    redis.TimeoutError,
    BusyLoadingError,
    ReadOnlyError,  # a master that has become a replica
    MasterDownError,
    MasterNotFoundError,
    ClusterDownError,
    TryAgainError,
    OutOfMemoryError,  # what ends frees some, and a settle that is sent again begins with that
    OSError,
)
_LASTING: Final = (AuthenticationError, AuthorizationError)
"""Kinds of ConnectionError that no repetition mends."""
_PASSING_CODES: Final = ("BUSY", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "UNBLOCKED", "LOADING")
"""How the server begins an error that passes, where redis-py has no class for it."""


def is_passing(error: Exception) -> bool:
    """Tell whether the same command may well succeed in a moment."""
    if isinstance(error, RedisClusterException):
        return not _is_no_cluster(error) and not _tls_failure(error)
    if isinstance(error, redis.ResponseError) and str(error).startswith(_PASSING_CODES):
        return True
    return isinstance(error, _PASSING) and not isinstance(error, _LASTING) and not _tls_failure(error)


def _is_no_cluster(error: Exception) -> bool:
    return "not enabled" in str(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _tls_failure(error: Exception) -> str:
    """Say why the two sides did not agree on TLS; empty if that is not what went wrong."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message or cause)
        # A connection that breaks off is an SSLError, too, and passes.
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return str(cause.reason or cause)
    return ""


def mapped(error: Exception, store: str) -> ClawproofError:
    """Say what is wrong in the words of this package."""
    if why := _tls_failure(error):
        return ConfigurationError(
            f"The store {store} and this client do not agree on TLS ({why}). Name the certificate of its authority in "
            "the URL (?ssl_ca_certs=/path/ca.pem) and the host as its certificate does; write redis:// for a server "
            "without TLS, rediss:// for one with it."
        )
    match error:
        case AuthenticationError() | AuthorizationError():
            return ConfigurationError(
                f"The store {store} refuses to let us in ({error}); check user and password in its URL."
            )
        case NoPermissionError():
            return _forbidden(str(error), store)
        case redis.ResponseError() if "ACL failure in script" in str(error) or "can't run this command" in str(error):
            return _forbidden(str(error), store)
        case RedisClusterException() if _is_no_cluster(error):
            return ConfigurationError(f"There is no Cluster at {store}; for one server write redis://host:port.")
        case AskError():  # and MovedError
            return node_of_a_cluster(store)
        case InvalidResponse():
            return ConfigurationError(
                f"What answers at {store} does not speak the protocol of Redis ({error}); check host and port in the "
                "URL, and write rediss:// for a server with TLS."
            )
        case UnicodeError():
            return ConfigurationError(f"The store {store} names a host that there cannot be ({error}).")
        case redis.ResponseError() if "DB index" in str(error) or "SELECT is not allowed" in str(error):
            return ConfigurationError(f"The store {store} has no such database ({error}); name another in the URL.")
        case OutOfMemoryError():
            return BackendUnavailable(store, f"it is out of memory ({error})", remedy="give it more, then try again")
        case ReadOnlyError():
            return BackendUnavailable(
                store,
                f"it is a replica ({error})",
                remedy="name the primary in the URL, or the Sentinels: redis+sentinel://host:26379/service",
            )
        case _:
            why = str(error) or type(error).__name__
            if store.startswith("rediss:") and isinstance(error, redis.TimeoutError):
                why += "; if it speaks no TLS, write redis://"
            return BackendUnavailable(store, why)


def _forbidden(why: str, store: str) -> ConfigurationError:
    return ConfigurationError(
        f"The store {store} forbids a command ({why}). Let its user do what docs/redis-servers.md lists, on the keys "
        '"clawproof:*".'
    )


def node_of_a_cluster(store: str) -> ConfigurationError:
    """Make the error for the URL of one server that is a node of a Cluster."""
    return ConfigurationError(
        f"The store {store} is a node of a Cluster; write redis+cluster://host:port, with one of its nodes or more."
    )
