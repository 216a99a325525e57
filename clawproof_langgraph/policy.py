"""Policies: what a user says of a tool, checked when it is said."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from clawproof_langgraph.durations import seconds
from clawproof_langgraph.errors import ConfigurationError, meant
from clawproof_langgraph.events import BUILT_IN
from clawproof_langgraph.failures import may_pass
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


class Checked(BaseModel):
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
            lines.append(f'{kind.__name__} has no field "{name}"; {meant(name, kind.model_fields)}')
        else:
            message = error["msg"].removeprefix("Value error, ")
            lines.append(f"{kind.__name__}{f'.{name}' if name else ''}: {message}")
    return "\n".join(lines)


# --- what users write, and what is kept -------------------------------------------------------------------------

DurationText = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)\s*$", examples=["30s"])]
ErrorText = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?$", examples=["ValueError"])]
TemplateText = Annotated[str, Field(min_length=1, examples=["inventory/{sku}"])]
ImportText = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$", examples=["module:name"])]


def _to_seconds(value: Any, field: ValidationInfo) -> float:
    return seconds(value, str(field.field_name))


def _to_ttl(value: Any) -> float:
    life = seconds(value, "ttl")
    if life <= 0:
        raise ValueError('ttl must be more than zero: a lease that ends at once protects nothing. Try "30s".')
    return life


def _to_seconds_or_none(value: Any, field: ValidationInfo) -> float | None:
    return None if value is None else _to_seconds(value, field)


# What an editor is told that it may write is said beside each of these: the JSON Schema of the file comes from here.
Seconds = Annotated[float, BeforeValidator(_to_seconds, json_schema_input_type=DurationText | float)]
SecondsOrNone = Annotated[
    float | None, BeforeValidator(_to_seconds_or_none, json_schema_input_type=DurationText | float)
]
Life = Annotated[float, BeforeValidator(_to_ttl, json_schema_input_type=DurationText | float)]


def _one_of(*known: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value is not None and value not in known:
            raise ValueError(f'"{value}" is not known; {meant(value, known)}')
        return value

    return BeforeValidator(check, json_schema_input_type=Literal[known])


def _listed(value: Any, field: ValidationInfo, *, of: str) -> tuple[Any, ...]:
    """Make a tuple of a list; a text by itself would else be taken for a list of letters."""
    if isinstance(value, str | Lock):
        written = f'"{value}"' if isinstance(value, str) else "Lock(...)"
        raise ValueError(f"{field.field_name} is a list: write {field.field_name}=[{written}].")
    if not isinstance(value, Sequence):
        raise ValueError(f"{field.field_name} is a list of {of}; got {value!r}.")
    return tuple(value)


def _to_locks(value: Any, field: ValidationInfo) -> tuple[Any, ...]:
    locks = _listed(value, field, of="templates")
    for lock in locks:
        if not isinstance(lock, str | Lock | Mapping):
            raise ValueError(f'{lock!r} is no lock; write "inventory/{{sku}}" or Lock("inventory/{{sku}}", "shared").')
        if isinstance(lock, str):
            parse(lock)
    return locks


def _to_names(value: Any, field: ValidationInfo) -> tuple[str, ...]:
    names = _listed(value, field, of="names of arguments")
    for name in names:
        if not isinstance(name, str) or not name:
            raise ValueError(f"{name!r} does not name an argument.")
    return names


def _to_names_or_none(value: Any, field: ValidationInfo) -> tuple[str, ...] | None:
    return None if value is None else _to_names(value, field)


def _to_exception_types(value: Any, field: ValidationInfo) -> tuple[type[BaseException], ...]:
    types = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    for each in types:
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            raise ValueError(f"{each!r} is no type of exception; write {field.field_name}=(ValueError, KeyError).")
    return types


def _to_retry_on(value: Any, field: ValidationInfo) -> Any:
    if callable(value) and not isinstance(value, type):
        return value
    return _to_exception_types(value, field)


def _to_retry(value: Any) -> Any:
    if value is False or isinstance(value, Retry | Mapping):
        return value
    if value is True:
        raise ValueError("retry=True does not say how often; write retry=Retry(max_retries=3).")
    if isinstance(value, int) and value > 0:
        raise ValueError(f"retry={value} is not a Retry; write retry=Retry(max_retries={value}).")
    raise ValueError(f"retry={value!r} is not a Retry; write retry=Retry(max_retries=3), or retry=False for none.")


def _to_key(value: Any) -> Any:
    if value is not None and not isinstance(value, str) and not callable(value):
        raise ValueError(f'{value!r} is no key; write a template such as "order/{{id}}", or a function.')
    if isinstance(value, str):
        parse(value)
    return value


def _to_probe(value: Any) -> Any:
    if value is not None and (not callable(value) or isinstance(value, type)):
        raise ValueError(f"{value!r} is no function; write, for example, probe=look_up_payment.")
    if value is not None and not _takes_one(value):  # else it would be found only when a call is in doubt
        raise ValueError(f"{value!r} must take one argument, the call: def look_up_payment(call): ...")
    return value


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # it tells of no signature
        return True
    return True


def _to_event_type(value: Any) -> Any:
    named = isinstance(value, str) and value and value == value.strip() and value.isprintable()
    if value is not None and not named:
        raise ValueError(f'{value!r} does not name an event; write, for example, emits="InventoryUpdated".')
    if value in BUILT_IN:
        raise ValueError(f'emits="{value}" is an event type of the library; name the domain event differently.')
    return value


EffectName = Literal["read", "idempotent", "keyed", "transactional", "delegate", "once"]
ModeName = Literal["exclusive", "shared", "advisory"]
InDoubt = Literal["hold", "rerun", "probe", "interrupt"]
OnRefusal = Literal["tell_model", "raise"]
ExceptionTypes = type[BaseException] | Sequence[type[BaseException]]
BusinessKey = str | Callable[[Mapping[str, Any]], str]
Probe = Callable[[Any], Any]


class Retry(Checked):
    """When a failed attempt is run again, inside the same lease; names and meanings of LangChain's ToolRetryMiddleware.

    Args:
        max_retries: attempts after the first.
        retry_on: exception types, or a callable that tells; only for tools of which a repetition is safe. By default
            errors of transport, time-outs, HTTP 408, 425, 429 and 5xx, and a database's serialisation failures and
            deadlocks; only the error that leaves the tool counts, not what it was raised from. What raises
            `NotApplied` is retried whatever it says.
        initial_delay: seconds before the first retry.
        backoff_factor: by what each further pause grows; 0 keeps it.
        max_delay: the longest pause in seconds, before jitter; a longer one that the service asks for by `Retry-After`
            is kept to.
        jitter: whether each pause is made up to a quarter shorter or longer, and so up to a quarter longer than
            `max_delay`.
        deadline: seconds after the first attempt after which no other begins.

    A pause over half the lease's ttl ends the retries. So does a tool's budget in one process: it allows 20 retries
    from the start, and successes refill it, so that an outage does not become a storm of retries.
    """

    max_retries: int = Field(default=2, ge=0)
    retry_on: Annotated[
        tuple[type[BaseException], ...] | Callable[[BaseException], bool],
        BeforeValidator(_to_retry_on, json_schema_input_type=ImportText | ErrorText | list[ErrorText]),
    ] = may_pass
    initial_delay: Seconds = 0.5
    backoff_factor: float = Field(default=2.0, ge=0)
    max_delay: Seconds = 8.0
    jitter: bool = True
    deadline: Seconds = 30.0

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            max_retries: int = ...,
            retry_on: ExceptionTypes | Callable[[BaseException], bool] = ...,
            initial_delay: str | float = ...,
            backoff_factor: float = ...,
            max_delay: str | float = ...,
            jitter: bool = ...,
            deadline: str | float = ...,
        ) -> None: ...

    def admits(self, error: BaseException) -> bool:
        """Tell whether an error may be retried."""
        if isinstance(self.retry_on, tuple):
            return isinstance(error, self.retry_on)
        return bool(self.retry_on(error))


class Lock(Checked):
    """One resource template of a policy, with its mode.

    Args:
        resource: a template such as `inventory/{sku}`.
        mode: `exclusive`, `shared` (readers together, writers apart), or `advisory` (no lock at all: it never waits and
            is in nobody's way, and `call.stale` tells afterwards whether somebody had it alone meanwhile).
    """

    resource: str
    mode: Annotated[Mode, _one_of(*Mode)] = Mode.EXCLUSIVE

    def __init__(self, resource: str, mode: Mode | ModeName = Mode.EXCLUSIVE) -> None:
        fields: dict[str, Any] = {"resource": resource, "mode": mode}
        super().__init__(**fields)

    @model_validator(mode="after")
    def _check(self) -> Lock:
        parse(self.resource)
        return self


class ToolPolicy(Checked):
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
        on_in_doubt: what becomes of a call in doubt when it is asked for again: `hold` refuses it, `rerun` runs it
            again, `probe` lets `probe` find out, `interrupt` asks a human through LangGraph's `interrupt()`, which
            needs a checkpointer (without one, it is held). None is `probe` where there is one, and else the default of
            the effect.
        probe: a function, sync or async, that gets the call (see `current_call`) and tells what became of it: it gives
            what the tool would have returned, `NotApplied` where nothing happened, or None where it cannot tell. It may
            take as long as the ttl. Where it cannot tell, or fails, the call is held, or a human is asked.
        not_applied_on: the type, or types, of exception that prove that nothing happened.
        requires_read: whether a call is refused with `StaleRead` unless its conversation has read each of its `locks`,
            by guarded tools, and none of them has changed since. It takes the hooks of a ToolNode, or the middleware.
        emits: the type of a domain event that a success appends.
        on_refusal: `tell_model` or `raise`.
        key_window: seconds in which the service behind a `keyed` tool recognises a key.
        log_fields: arguments that may appear in events.

    Raises:
        ConfigurationError: a field is unknown or has a value that does not fit.
    """

    locks: Annotated[
        tuple[str | Lock, ...], BeforeValidator(_to_locks, json_schema_input_type=list[TemplateText | Lock])
    ] = ()
    effect: Annotated[Effect, _one_of(*Effect)] = Effect.ONCE
    ttl: Life = 30.0
    wait: SecondsOrNone = None
    expected: SecondsOrNone = None
    key: Annotated[BusinessKey | None, BeforeValidator(_to_key, json_schema_input_type=TemplateText | ImportText)] = (
        None
    )
    key_fields: Annotated[
        tuple[str, ...] | None, BeforeValidator(_to_names_or_none, json_schema_input_type=list[str])
    ] = None
    retry: Annotated[
        Retry | Literal[False], BeforeValidator(_to_retry, json_schema_input_type=Retry | Literal[False])
    ] = Retry()
    on_in_doubt: Annotated[InDoubt | None, _one_of(*get_args(InDoubt))] = None
    probe: Annotated[Probe | None, BeforeValidator(_to_probe, json_schema_input_type=ImportText)] = None
    not_applied_on: Annotated[
        tuple[type[BaseException], ...],
        BeforeValidator(_to_exception_types, json_schema_input_type=ErrorText | list[ErrorText]),
    ] = ()
    requires_read: bool = False
    emits: Annotated[str | None, BeforeValidator(_to_event_type, json_schema_input_type=str)] = None
    on_refusal: Annotated[OnRefusal, _one_of("tell_model", "raise")] = "tell_model"
    key_window: Seconds = 86400.0
    log_fields: Annotated[tuple[str, ...], BeforeValidator(_to_names, json_schema_input_type=list[str])] = ()

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            locks: Sequence[str | Lock] = ...,
            effect: Effect | EffectName = ...,
            ttl: str | float = ...,
            wait: str | float | None = ...,
            expected: str | float | None = ...,
            key: BusinessKey | None = ...,
            key_fields: Sequence[str] | None = ...,
            retry: Retry | Literal[False] = ...,
            on_in_doubt: InDoubt | None = ...,
            probe: Probe | None = ...,
            not_applied_on: ExceptionTypes = ...,
            requires_read: bool = ...,
            emits: str | None = ...,
            on_refusal: OnRefusal = ...,
            key_window: str | float = ...,
            log_fields: Sequence[str] = ...,
        ) -> None: ...

    @model_validator(mode="after")
    def _check(self) -> ToolPolicy:
        if self.effect is Effect.READ and self.key is not None:
            raise ValueError('a tool with effect="read" changes nothing and needs no key; remove `key`.')
        if self.effect is Effect.READ and (self.on_in_doubt or self.probe):
            name = "probe" if self.probe else "on_in_doubt"
            raise ValueError(f'a tool with effect="read" changes nothing and is never in doubt; remove `{name}`.')
        if self.requires_read and self.effect is Effect.READ:
            raise ValueError('a tool with effect="read" changes nothing that could be stale; remove `requires_read`.')
        if self.requires_read and not any(lock.mode is not Mode.ADVISORY for lock in self.lock_list()):
            raise ValueError(
                "requires_read compares the versions of what a call locks, and this one locks nothing; name it in "
                '`locks`, such as locks=["inventory/{sku}"], under the name that the tool reading it locks.'
            )
        if self.on_in_doubt == "probe" and self.probe is None:
            raise ValueError('on_in_doubt="probe" needs a `probe`: a function that tells what became of a call.')
        if self.probe is not None and self.on_in_doubt in ("hold", "rerun"):
            raise ValueError(f'on_in_doubt="{self.on_in_doubt}" never asks the `probe`; remove one of the two.')
        return self

    def lock_list(self) -> tuple[Lock, ...]:
        """List the locks, each with its mode."""
        mode = Mode.SHARED if self.effect is Effect.READ else Mode.EXCLUSIVE
        return tuple(lock if isinstance(lock, Lock) else Lock(lock, mode) for lock in self.locks)

    def wait_limit(self) -> float:
        """Give the seconds to wait for the turn."""
        return 1.5 * self.ttl if self.wait is None else self.wait

    def when_in_doubt(self) -> InDoubt:
        """Tell what becomes of a call in doubt that is asked for again."""
        if self.on_in_doubt is not None:
            return self.on_in_doubt
        return "probe" if self.probe is not None else "rerun" if self.rerun_within() else "hold"

    def rerun_within(self) -> float:
        """Give the seconds since its first attempt in which a call in doubt runs again."""
        if self.probe is not None or self.on_in_doubt == "rerun":  # a probe comes first
            return float("inf")
        if self.on_in_doubt is not None:
            return 0.0
        return {Effect.ONCE: 0.0, Effect.KEYED: self.key_window}.get(self.effect, float("inf"))
