"""What a stress run is about: how its agents are made, what they are asked, and what must hold in the end."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import ConfigurationError, meant


@dataclass(frozen=True, slots=True)
class Seat:
    """What an agent is made for.

    Args:
        name: of the agent, such as `agent-3`.
        number: from 1 on.
        seed: of the run.
        coordinator: of the agent's process. Only what is guarded by it is in the report's log.
    """

    name: str
    number: int
    seed: int
    coordinator: Coordinator


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of an agent.

    Args:
        agent: its name.
        number: from 1 on.
        thread: the `thread_id` that it runs under, if it is a graph.
        random: chance that is the same for every run with the same seed, and when the turn is resumed.
    """

    agent: str
    number: int
    thread: str
    random: Random = field(compare=False)


class Broken(AssertionError):
    """Says that an invariant does not hold, and, if that is known, of which resources.

    Args:
        message: what is wrong.
        resources: names as the policies of the tools give them; the report shows the calls that held them.
    """

    def __init__(self, message: str, *, resources: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.resources = tuple(resources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How to make the agents of a stress run, and what must hold in the end.

    Args:
        make_agent: gives the agent for a seat: anything with `invoke` or `ainvoke`, or a function; may be async.
        input: gives what an agent gets in a turn. By default, a graph gets a message, and a function the turn.
        setup: brings the shared state into its first shape; called once, before any agent is made.
        invariant: is called when all agents have ended. It raises, or returns a text, if something is broken.
        expected: types of exceptions with which an agent may end a turn. What the library itself refuses may always
            come, and is counted.
        use_async: whether graphs are run on an event loop (`ainvoke`).
    """

    make_agent: Callable[[Seat], Any]
    input: Callable[[Turn], Any] | None = None
    setup: Callable[[], object] | None = None
    invariant: Callable[[], object] | None = None
    expected: tuple[type[Exception], ...] = ()
    use_async: bool = False

    def __post_init__(self) -> None:
        given = {"make_agent": self.make_agent, "input": self.input, "setup": self.setup, "invariant": self.invariant}
        for name, value in given.items():
            if not callable(value) and (value is not None or name == "make_agent"):
                raise ConfigurationError(f"Scenario.{name} is a function; got {value!r}.")


def load(target: str) -> Scenario:
    """Make the scenario that `module:factory` names; the module may be in the present folder.

    Raises:
        ConfigurationError: there is none.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise ConfigurationError(
            f'The target "{target}" is not of the form module:factory; write, say, shop.stress:scenario.'
        )
    factory = _member(_module(module, target), name, target)
    if isinstance(factory, Scenario):
        return factory
    if not callable(factory):
        raise ConfigurationError(f'"{target}" is a {type(factory).__name__}, and no function that gives a Scenario.')
    try:
        made = factory()
    except Exception as exc:
        raise ConfigurationError(f'"{target}" failed: {described(exc)}.') from exc
    if not isinstance(made, Scenario):
        raise ConfigurationError(f'"{target}" gave a {type(made).__name__}; it is to give a Scenario.')
    return made


def _module(name: str, target: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise ConfigurationError(
                f'The target "{target}" names the module "{name}", which is neither in {here} nor installed.'
            ) from exc
        raise ConfigurationError(f'The module of "{target}" cannot be imported: {exc}.') from exc
    except Exception as exc:
        raise ConfigurationError(f'The module of "{target}" cannot be imported: {described(exc)}.') from exc


def _member(module: Any, path: str, target: str) -> Any:
    found = module
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            own = [each for each, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
            raise ConfigurationError(f'The target "{target}": {module.__name__} has no "{path}"; {meant(path, own)}')
    return found


_LONGEST: Final = 2000
"""Letters of an error that are told: what a process sends must be one short message."""


def described(error: BaseException) -> str:
    """Word an exception; one that says nothing is told by its place."""
    if text := str(error)[:_LONGEST]:
        return f"{type(error).__name__}: {text}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno}" if frames else type(error).__name__
