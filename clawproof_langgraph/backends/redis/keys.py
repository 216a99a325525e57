"""The names of a namespace's keys, all in one hash slot."""

from __future__ import annotations

from dataclasses import dataclass

from clawproof_langgraph.errors import ConfigurationError

_KINDS = ("state", "index", "ends", "ages", "log")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a namespace.

    Args:
        scripts: those that each script gets, in its order.
        facts: those that a script gets which records a fact.
        log: the stream.
        stops: the stream that tells of agents that were stopped or let go on.
        secret: what its fingerprints are keyed with.
        mark: what is written so that a connection can wait for replicas.
        bells: what the names of bells begin with.
        said: what the names of the keys begin with that tell which facts were recorded already.
    """

    scripts: tuple[str, ...]
    facts: tuple[str, ...]
    log: str
    stops: str
    secret: str
    mark: str
    bells: str
    said: str


def keys_of(namespace: str) -> Keys:
    """Name the keys of a namespace.

    Raises:
        ConfigurationError: it holds braces, which say what decides about the hash slot of a key.
    """
    if "{" in namespace or "}" in namespace:
        raise ConfigurationError(
            f'The namespace "{namespace}" has braces, which Redis takes for a hash tag; name it without them.'
        )
    prefix = f"clawproof:{{{namespace}}}:"
    scripts = tuple([prefix + kind for kind in _KINDS])
    stops = prefix + "stops"
    return Keys(
        scripts, (*scripts, stops), prefix + "log", stops, prefix + "secret", prefix + "mark", prefix + "bell:",
        prefix + "said:",
    )  # fmt: skip
