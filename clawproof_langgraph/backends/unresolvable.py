"""What an operator is told whose resolution does not fit."""

from __future__ import annotations

from typing import Final

from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.model import State

_TOLD: Final = {
    "": "running, or was run again",
    State.DONE: "done, which is final",
    State.REJECTED: "rejected, which is final",
    State.FAILED: "not applied, and a repetition runs",
    State.SUSPENDED: "suspended, and goes on when it is asked for again",
}


def unknown(key: str) -> ConfigurationError:
    """Say that no call has this key."""
    return ConfigurationError(
        f'No call is recorded under key "{key}"; `clawproof locks` lists the calls in doubt with their keys.'
    )


def in_no_doubt(key: str, state: str) -> ConfigurationError:
    """Say that the call of a key is in no doubt, and how it is with it; an empty state is one that runs."""
    return ConfigurationError(f'The call under key "{key}" is not in doubt: it is {_TOLD[state]}.')


def done_otherwise(key: str) -> ConfigurationError:
    """Say that the call of a key was done with another result."""
    return ConfigurationError(
        f'The call under key "{key}" is done already, with another result or none; nothing was changed.'
    )


def lease_ended(key: str) -> ConfigurationError:
    """Say that whoever looked into the call of a key has lost its lease."""
    return ConfigurationError(f'The lease under which the call of key "{key}" was looked into has ended.')
