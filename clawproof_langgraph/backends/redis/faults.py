"""What an error of redis-py means for a command: send it again, or say what is wrong."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from typing import Final, NamedTuple

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
    OutOfMemoryError,  # what ends frees some, and a settle that is sent again begins with that
    OSError,
)
_LASTING: Final = (AuthenticationError, AuthorizationError)
"""Kinds of ConnectionError that no repetition mends."""
_TROUBLES: Final = re.compile(r"network:(\w+)")
"""How redis-py says why a Sentinel could not be asked."""
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


class _Finding(NamedTuple):
    """What is wrong, what to do about it, and whether that is to be done to the URL or the server's settings."""

    why: str
    remedy: str = "repair the store, then try again"
    is_set_wrong: bool = False


def unavailable(error: Exception, store: str) -> ClawproofError:
    """Say what is wrong with a store that was opened: whatever it is, it cannot be used now."""
    found = _found(error)
    return BackendUnavailable(store, found.why, remedy=found.remedy)


def unusable(error: Exception, store: str) -> ClawproofError:
    """Say what is wrong with a store that cannot be opened."""
    found = _hint_at_tls(error, store) or _found(error)
    if not found.is_set_wrong:
        return BackendUnavailable(store, found.why, remedy=found.remedy)
    return ConfigurationError(f"The store {store} cannot be used: {found.why}. Remedy: {found.remedy}.")


def _hint_at_tls(error: Exception, store: str) -> _Finding | None:
    """Say what may be behind a silence, where nobody has ever had an answer."""
    if isinstance(error, redis.TimeoutError) and store.startswith("rediss:"):
        return _Finding(_plain(error), "repair the store, then try again; if it speaks no TLS, write redis://")
    if isinstance(error, redis.ConnectionError) and "closed by server" in str(error) and store.startswith("redis:"):
        return _Finding(_plain(error), "repair the store, then try again; if it takes TLS, write rediss://")
    return None


def _found(error: Exception) -> _Finding:
    if why := _tls_failure(error):
        return _Finding(
            f"the two sides do not agree on TLS ({why})",
            "name the certificate of its authority in the URL (?ssl_ca_certs=/path/ca.pem) and the host as its "
            "certificate does; write redis:// for a server without TLS, rediss:// for one with it",
            True,
        )
    match error:
        case AuthenticationError() if "HELLO must be called" in str(error) or "required" in str(error):
            return _Finding("it wants a password", "write redis://:password@host:port, or user:password", True)
        case MasterNotFoundError():
            # What redis-py says after that are its Sentinels, with all that they were made of.
            service, troubles = str(error).partition(" : ")[0], sorted(set(_TROUBLES.findall(str(error))))
            return _Finding(
                f"{service} at its Sentinels ({', '.join(troubles) or 'none of them knows it'})",
                "check their addresses and the name of the service in the URL, and ask them: SENTINEL masters",
            )
        case AuthenticationError() | AuthorizationError():
            return _Finding(f"it refuses to let us in ({error})", "check user and password in its URL", True)
        case redis.ResponseError() if _is_forbidden(error):
            return _Finding(
                f"it forbids a command ({error})",
                'let its user do what docs/redis.md lists, on the keys "clawproof:*"',
                True,
            )
        case RedisClusterException() if _is_no_cluster(error):
            return _Finding("there is no Cluster", "for one server write redis://host:port", True)
        case AskError():  # and MovedError
            return _Finding("it is a node of a Cluster", "write redis+cluster://host:port", True)
        case InvalidResponse():
            return _Finding(
                f"what answers there does not speak the protocol of Redis ({error})",
                "check host and port in the URL, and write rediss:// for a server with TLS",
                True,
            )
        case UnicodeError():
            return _Finding(f"it names a host that there cannot be ({error})", "check the URL", True)
        case redis.ResponseError() if "unknown command 'SENTINEL'" in str(error):
            return _Finding("what answers there is no Sentinel", "for one server write redis://host:port", True)
        case redis.ResponseError() if "DB index" in str(error) or "SELECT is not allowed" in str(error):
            return _Finding(f"it has no such database ({error})", "name another in the URL", True)
        case TooFewReplicas():
            return _Finding(str(error), "bring its replicas back, or ask for fewer with replicas=")
        case OutOfMemoryError():
            return _Finding(f"it is out of memory ({error})", "give it more, then try again")
        case ReadOnlyError():
            return _Finding(
                f"it is a replica ({error})",
                "name the primary in the URL, or the Sentinels: redis+sentinel://host:26379/service",
            )
        case _:
            return _Finding(_plain(error))


def _plain(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _is_forbidden(error: Exception) -> bool:
    if isinstance(error, NoPermissionError):
        return True
    return "ACL failure in script" in str(error) or "can't run this command" in str(error)
