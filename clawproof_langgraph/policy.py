"""Policies: what a user says of a tool, checked when it is said."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from clawproof_langgraph.durations import seconds
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.events import BUILT_IN
from clawproof_langgraph.model import Mode
from clawproof_langgraph.templates import parse


class Effect(StrEnum):
    """What a tool does to the world, and so what can be promised of it."""

    READ = "read"
    IDEMPOTENT = "idempotent"
    KEYED = "keyed"
    TRANSACTIONAL = "transactional"
    DELEGATE = "delegate"
    ONCE = "once"


class _Checked(BaseModel):
    """A frozen model whose mistakes are ConfigurationErrors that name the field and the nearest known one."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    if not TYPE_CHECKING:  # a type checker shall see the fields

        def __init__(self, **data: Any) -> None:
            try:
                super().__init__(**data)
            except ValidationError as exc:
                raise ConfigurationError(_explain(type(self), exc)) from exc


def _explain(kind: type[BaseModel], exc: ValidationError) -> str:
    lines = []
    for error in exc.errors():
        name = str(error["loc"][0]) if error["loc"] else ""
        if error["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, kind.model_fields, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(kind.model_fields)}."
            lines.append(f'{kind.__name__} has no field "{name}"; {hint}')
        else:
            message = error["msg"].removeprefix("Value error, ")
            lines.append(f"{kind.__name__}{f'.{name}' if name else ''}: {message}")
    return "\n".join(lines)


def _duration(name: str) -> Any:
    return Annotated[float, BeforeValidator(lambda value: seconds(value, name))]


class Retry(_Checked):
    """When a failed attempt is run again, inside the same lease; names and meanings of LangChain's ToolRetryMiddleware.

    Args:
        max_retries: attempts after the first.
        retry_on: exception types, or a callable that tells; only for tools of which a repetition is safe. What
            raises `NotApplied` is retried whatever it says.
        initial_delay: seconds before the first retry.
        backoff_factor: by what each further pause grows; 0 keeps it.
        max_delay: the longest pause in seconds.
        jitter: whether pauses vary by a quarter.
        deadline: seconds after the first attempt after which no other begins.
    """

    max_retries: int = Field(default=2, ge=0)
    retry_on: Annotated[
        type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool],
        AfterValidator(lambda value: (value,) if isinstance(value, type) else value),
    ] = (ConnectionError, TimeoutError)
    initial_delay: _duration("initial_delay") = 0.5  # type: ignore[valid-type]
    backoff_factor: float = Field(default=2.0, ge=0)
    max_delay: _duration("max_delay") = 8.0  # type: ignore[valid-type]
    jitter: bool = True
    deadline: _duration("deadline") = 30.0  # type: ignore[valid-type]

    def admits(self, error: BaseException) -> bool:
        """Tell whether an error may be retried."""
        if isinstance(self.retry_on, tuple | type):
            return isinstance(error, self.retry_on)
        return bool(self.retry_on(error))


class Lock(_Checked):
    """One resource template of a policy, with its mode.

    Args:
        resource: a template such as `inventory/{sku}`.
        mode: `exclusive`, or `shared` (readers together, writers apart).
    """

    resource: str
    mode: Mode = Mode.EXCLUSIVE

    def __init__(self, resource: str, mode: Literal["exclusive", "shared"] | Mode = Mode.EXCLUSIVE) -> None:
        fields: dict[str, Any] = {"resource": resource, "mode": mode}
        super().__init__(**fields)

    @model_validator(mode="after")
    def _check(self) -> Lock:
        parse(self.resource)
        return self


def _locks(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f'locks is a list: write locks=["{value}"].')
    return tuple(value) if isinstance(value, list) else value


class ToolPolicy(_Checked):
    """How the calls of one tool are coordinated.

    Args:
        locks: templates of the resources that a call touches; a bare text is exclusive for a write and shared for a
            read.
        effect: `read`, `idempotent`, `keyed`, `transactional`, `delegate` or `once`.
        ttl: seconds that a lease lives without renewal; how long others wait after a crash.
        wait: seconds to wait for the turn; None is one and a half times the ttl.
        expected: the usual duration in seconds; an alert is raised at twice it.
        key: the business key of a call: a template, or a callable that gets the arguments; None derives one.
        key_fields: the arguments that make a call the same; None is all that the model gives.
        retry: when to run a failed attempt again; False for never.
        on_in_doubt: `hold` or `rerun` a call in doubt; None is the default of the effect.
        not_applied_on: exception types that prove that nothing happened.
        emits: the type of a domain event that a success appends.
        on_refusal: `tell_model` or `raise`.
        key_window: seconds in which the service behind a `keyed` tool recognises a key.
        log_fields: arguments that may appear in events.

    Raises:
        ConfigurationError: a field is unknown or has a value that does not fit.
    """

    locks: Annotated[Sequence[str | Lock], BeforeValidator(_locks)] = ()
    effect: Effect = Effect.ONCE
    ttl: _duration("ttl") = 30.0  # type: ignore[valid-type]
    wait: _duration("wait") | None = None  # type: ignore[valid-type]
    expected: _duration("expected") | None = None  # type: ignore[valid-type]
    key: str | Callable[[Mapping[str, Any]], str] | None = None
    key_fields: Sequence[str] | None = None
    retry: Retry | Literal[False] = Retry()
    on_in_doubt: Literal["hold", "rerun"] | None = None
    not_applied_on: Annotated[Sequence[type[BaseException]], AfterValidator(tuple)] = ()
    emits: str | None = None
    on_refusal: Literal["tell_model", "raise"] = "tell_model"
    key_window: _duration("key_window") = 86400.0  # type: ignore[valid-type]
    log_fields: Sequence[str] = ()

    @model_validator(mode="after")
    def _check(self) -> ToolPolicy:
        for lock in self.locks:
            parse(lock if isinstance(lock, str) else lock.resource)
        if isinstance(self.key, str):
            parse(self.key)
        if self.ttl <= 0:
            raise ValueError('ttl must be more than zero: a lease that ends at once protects nothing. Try "30s".')
        if self.emits in BUILT_IN:
            raise ValueError(
                f'emits="{self.emits}" is an event type of the library; name the domain event differently.'
            )
        if self.effect is Effect.READ and self.key is not None:
            raise ValueError('a tool with effect="read" changes nothing and needs no key; remove `key`.')
        return self

    def lock_list(self) -> tuple[Lock, ...]:
        """List the locks, each with its mode."""
        mode = Mode.SHARED if self.effect is Effect.READ else Mode.EXCLUSIVE
        return tuple(lock if isinstance(lock, Lock) else Lock(lock, mode) for lock in self.locks)

    def wait_limit(self) -> float:
        """Give the seconds to wait for the turn."""
        return 1.5 * self.ttl if self.wait is None else float(self.wait)

    def rerun_within(self) -> float:
        """Give the seconds since its first attempt in which a call in doubt runs again."""
        if self.on_in_doubt == "hold":
            return 0.0
        if self.on_in_doubt == "rerun" or self.effect in (Effect.IDEMPOTENT, Effect.DELEGATE):
            return float("inf")
        return float(self.key_window) if self.effect is Effect.KEYED else 0.0
