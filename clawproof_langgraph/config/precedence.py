"""Which value counts: what Python or a command is given, then `CLAWPROOF_*`, then the file, then the default."""

from __future__ import annotations

import os
from typing import Any, Final, NamedTuple, cast

from clawproof_langgraph.config.configuration import DEFAULT, Configuration, Origin
from clawproof_langgraph.config.models import UNMAPPED, Unmapped
from clawproof_langgraph.errors import ConfigurationError, meant

_VARIABLES: Final = {"url": "CLAWPROOF_URL", "namespace": "CLAWPROOF_NAMESPACE", "unmapped": "CLAWPROOF_UNMAPPED"}
_DEFAULTS: Final = {"url": None, "namespace": "default", "unmapped": "error"}


class Setting(NamedTuple):
    """A value, and where it comes from."""

    value: Any
    origin: Origin


def setting(name: str, given: Any, configuration: Configuration | None) -> Setting:
    """Find the value of `url`, `namespace` or `unmapped` that counts.

    Args:
        name: which.
        given: what Python or a command was given; None if nothing.
        configuration: the file, if there is one.
    """
    if given is not None:
        return Setting(given, Origin("argument"))
    if said := os.environ.get(_VARIABLES[name]):
        return Setting(said, Origin(f"environment, {_VARIABLES[name]}"))
    if configuration is not None and (value := getattr(configuration, name)) is not None:
        return Setting(value, configuration.origin(name))
    return Setting(_DEFAULTS[name], DEFAULT)


def unmapped_of(given: Any, configuration: Configuration | None) -> Unmapped:
    """Find what becomes of tools without a policy.

    Raises:
        ConfigurationError: the environment says something that is not known.
    """
    value, origin = setting("unmapped", given, configuration)
    if value not in UNMAPPED:
        raise ConfigurationError(f'unmapped="{value}" ({origin}) is not known; {meant(value, UNMAPPED)}')
    return cast(Unmapped, value)
