"""What an operator is told whose resolution does not fit."""

from __future__ import annotations

from clawproof_langgraph.errors import ConfigurationError


def unknown(key: str) -> ConfigurationError:
    """Say that no call has this key."""
    return ConfigurationError(
        f'No call is recorded under key "{key}"; `clawproof locks` lists the calls in doubt with their keys.'
    )


def settled(key: str, state: str) -> ConfigurationError:
    """Say that the call of this key is in no doubt, and in which state it is."""
    return ConfigurationError(f'The call under key "{key}" is not in doubt: it is {state}.')
