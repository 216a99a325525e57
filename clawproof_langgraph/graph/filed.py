"""What a guard takes from a configuration file."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from clawproof_langgraph.backends.forks import start_anew_in_children
from clawproof_langgraph.backends.urls import project_url
from clawproof_langgraph.config.configuration import Configuration
from clawproof_langgraph.config.document import NAME, PROJECT, located
from clawproof_langgraph.config.importing import imported_policies
from clawproof_langgraph.config.precedence import setting, unmapped_of
from clawproof_langgraph.config.reading import load
from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import ConfigurationError, meant
from clawproof_langgraph.graph.given import agents_of, checked_policies
from clawproof_langgraph.graph.policies import Policies

if TYPE_CHECKING:
    from clawproof_langgraph.observe.sinks import Sink

_OVERRIDES: Final = ("url", "namespace", "tools", "resources", "agents", "unmapped", "alerts")

_open: WeakValueDictionary[tuple[str, str], Coordinator] = WeakValueDictionary()
_alerting: WeakKeyDictionary[Coordinator, set[str]] = WeakKeyDictionary()


class _OneAtATime:
    """The lock under which stores are opened."""

    def __init__(self) -> None:
        self.start_anew()
        start_anew_in_children(self)

    def start_anew(self) -> None:
        """Own nothing, in a forked child, that a thread of its parent may have held."""
        self.lock = threading.Lock()


_opening: Final = _OneAtATime()


@dataclass(frozen=True, slots=True)
class Filed:
    """A file, and what Python says over it.

    Args:
        configuration: what the file says.
        overrides: what `Guard.from_file` was given.
        sinks: where alerts go.
    """

    configuration: Configuration
    overrides: Mapping[str, Any]
    sinks: tuple[Sink, ...]

    @property
    def url(self) -> str:
        """The store that counts."""
        said: str | None = setting("url", self.overrides.get("url"), self.configuration).value
        return said or project_url(self.configuration.folder)

    @property
    def namespace(self) -> str:
        """The namespace that counts."""
        return str(setting("namespace", self.overrides.get("namespace"), self.configuration).value)

    def options(self) -> dict[str, Any]:
        """Give the arguments of the guard; raises as `imported_policies` and `Guard` do."""
        file, over = self.configuration, self.overrides
        return {
            "tools": Policies(checked_policies(over.get("tools") or {}), imported_policies(file)),
            "resources": {**file.resources, **(over.get("resources") or {})},
            "agents": {**file.agents, **agents_of(over.get("agents"))},
            "unmapped": unmapped_of(over.get("unmapped"), file),
        }

    def coordinator(self) -> Coordinator:
        """Open the store. Guards of one process share it: a call inside a call nests only in one coordinator."""
        with _opening.lock:
            which = (self.url, self.namespace)
            found = _open.get(which)
            if found is None or found.closed:
                found = _open[which] = Coordinator.from_url(which[0], namespace=which[1])
            return found

    def alert(self, coordinator: Coordinator) -> None:
        """Have the sinks told of what happens, once for each coordinator."""
        with _opening.lock:
            known = _alerting.setdefault(coordinator, set())
            fresh = [sink for sink in self.sinks if sink.name not in known]
            known.update(sink.name for sink in fresh)
        if fresh:
            from clawproof_langgraph.observe.alerts import Alerts

            Alerts(coordinator, self.configuration.alerts.events, fresh, self.namespace).start()


def filed(path: str | os.PathLike[str] | None, overrides: Mapping[str, Any]) -> Filed:
    """Read the file of a guard.

    Raises:
        ConfigurationError: there is none, something in it is wrong, or an argument is not known.
    """
    for name in overrides:
        if name not in _OVERRIDES:
            raise ConfigurationError(f'from_file() has no argument "{name}"; {meant(name, _OVERRIDES)}')
    file = located(path)
    if file is None:
        raise ConfigurationError(
            f"There is no {NAME}, and no {PROJECT} with [tool.clawproof], in {Path.cwd()} or above it; "
            f"`clawproof init` writes a first one. Name another place with a path, or in CLAWPROOF_CONFIG."
        )
    configuration = load(file)
    return Filed(configuration, overrides, _sinks_of(configuration) if overrides.get("alerts", True) else ())


def _sinks_of(configuration: Configuration) -> tuple[Sink, ...]:
    if not configuration.alerts.sinks:
        return ()
    from clawproof_langgraph.observe.sinks import sinks_of  # who alerts nobody pays for no client of HTTP

    return sinks_of(configuration)
