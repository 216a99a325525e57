"""What a team says besides the policies of tools: of resources, agents, alerts and the audit. Frozen models."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from clawproof_langgraph import events
from clawproof_langgraph.config.globs import glob
from clawproof_langgraph.errors import meant
from clawproof_langgraph.policy import Checked, Life, Seconds, SecondsOrNone

Unmapped = Literal["error", "allow", "serialize"]
Severity = Literal["none", "low", "medium", "high"]

ALERTED: Final = (
    events.DEADLOCK_SUSPECTED,
    events.DEADLOCK_PREVENTED,
    events.CALL_IN_DOUBT,
    events.LEASE_LOST,
    events.CALL_UNDECLARED,
    events.LOG_TRUNCATED,
)
"""What somebody should hear of, unless `[alerts]` says otherwise: each needs a human, or a change of the code."""

_OURS: Final = frozenset(kind.partition(".")[0] for kind in events.BUILT_IN)
REFERENCE: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
"""`module:name`, by which a file names what only Python has."""
_WEBHOOK: Final = re.compile(r"https?://[^\s/?#]+\S*")
_VARIABLE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise ValueError(f'it is a list: write ["{value}"].')
    if not isinstance(value, list | tuple):
        raise ValueError(f"it is a list of texts; got {value!r}.")
    for each in value:
        if not isinstance(each, str) or not each.strip():
            raise ValueError(f"{each!r} is no name.")
    return tuple(value)


def _tools(value: Any) -> tuple[str, ...]:
    patterns = _texts(value)
    for each in patterns:
        glob(each)
    return patterns


def _resources(value: Any) -> tuple[str, ...]:
    patterns = _texts(value)
    for each in patterns:
        glob(each, fields=True)
    return patterns


def _event_types(value: Any) -> tuple[str, ...]:
    kinds = _texts(value)
    for kind in kinds:
        if kind not in events.BUILT_IN and "." in kind and kind.partition(".")[0] in _OURS:
            raise ValueError(f'"{kind}" is no event type of the library; {meant(kind, sorted(events.BUILT_IN))}')
    return kinds


def is_webhook(text: str) -> bool:
    """Tell whether a text is a URL to which can be posted; any other would be told of, secret and all, in an error."""
    return text.isascii() and _WEBHOOK.fullmatch(text) is not None


def _sinks(value: Any) -> tuple[str, ...]:
    for sink in (sinks := _texts(value)):
        if not (sink == "log" or is_webhook(sink) or _VARIABLE.fullmatch(sink) or REFERENCE.fullmatch(sink)):
            raise ValueError(
                f'"{sink}" is no sink; write "log", the URL of a webhook, "env:VARIABLE" for one that is in the '
                f'environment, or "module:function".'
            )
    return sinks


def _at_most_four(value: float) -> float:
    # Who works on an event for longer than that may lose the subscription to a process that stands by.
    if not 0 < value <= 4:
        raise ValueError("the time-out of a webhook is more than zero, and at most 4 seconds.")
    return value


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts, json_schema_input_type=list[str])]
ToolPatterns = Annotated[tuple[str, ...], BeforeValidator(_tools, json_schema_input_type=list[str])]
ResourcePatterns = Annotated[tuple[str, ...], BeforeValidator(_resources, json_schema_input_type=list[str])]
EventTypes = Annotated[tuple[str, ...], BeforeValidator(_event_types, json_schema_input_type=list[str])]
Sinks = Annotated[tuple[str, ...], BeforeValidator(_sinks, json_schema_input_type=list[str])]


class ResourceTerms(Checked):
    """What is said of the resources that a pattern names.

    Args:
        ttl: the longest that a lease on one of them lives without renewal; a call uses the smallest of its resources.
        expected: how long one of them is usually held; an alert is raised at twice it.
    """

    ttl: Life | None = None
    expected: SecondsOrNone = None


class AgentTerms(Checked):
    """What an agent is there for.

    Args:
        tools: names or patterns of the tools that it has.
        reads: patterns of the resources that it reads.
        writes: patterns of the resources that it changes; a call of it that has another one alone is told of by an
            event `call.undeclared`. Without the key, nothing is checked; an empty list says that it changes nothing.
        subscriptions: the event types that it follows.
        enforce: whether such a call is refused before its tool runs.
    """

    tools: ToolPatterns = ()
    reads: ResourcePatterns = ()
    writes: ResourcePatterns = ()
    subscriptions: EventTypes = ()
    enforce: bool = False

    @property
    def says_what_it_writes(self) -> bool:
        """Whether its calls are compared with `writes`."""
        return "writes" in self.model_fields_set

    @model_validator(mode="after")
    def _check(self) -> AgentTerms:
        if self.enforce and not self.says_what_it_writes:
            raise ValueError('`enforce` refuses what is not in `writes`; add it, such as writes = ["inventory/*"].')
        return self


class AlertTerms(Checked):
    """What is told to whom.

    Args:
        events: the types of the events that are told.
        sinks: `log`, the URL of a webhook, `env:VARIABLE` for one that the environment names, or `module:function`.
        timeout: seconds that a webhook has to answer, 4 at most.
    """

    events: EventTypes = ALERTED
    sinks: Sinks = ()
    timeout: Annotated[Seconds, AfterValidator(_at_most_four)] = 3.0


def _rule(value: object) -> object:
    if isinstance(value, str) and value not in _RULES:
        raise ValueError(f'"{value}" is no rule; {meant(value.upper(), _RULES)}')
    return value


def _reason(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise ValueError("a waiver needs a `reason`: who reads the report has to know it.")
    return value


_RULES: Final = tuple(f"CP{number:03}" for number in range(1, 11))
"""The rules of the audit."""


class Waiver(Checked):
    """A finding of the audit that the team has looked at and accepts.

    Args:
        rule: the id of the rule, such as `CP008`.
        reason: why it is accepted.
        tool: only findings about tools that this pattern names.
        agent: only findings about this agent.
        path: only findings in files that this pattern names, from the folder of the file.
    """

    rule: Annotated[str, Field(pattern=r"^CP0(0[1-9]|10)$"), BeforeValidator(_rule)]
    reason: Annotated[str, Field(min_length=1), BeforeValidator(_reason)]
    tool: str = ""
    agent: str = ""
    path: str = ""

    @model_validator(mode="after")
    def _check(self) -> Waiver:
        glob(self.tool)
        glob(self.path)
        return self


class AuditTerms(Checked):
    """What `clawproof --check 10` goes by.

    Args:
        exclude: patterns of files that are not looked at, from the folder of the file.
        waive: findings that are accepted, each with a reason.
        fail_on: the severity from which on a finding ends the command with exit code 1.
        hot_wait: the 95th percentile of waiting, in seconds, from which on a resource is hot.
        baseline: a file with the findings that were there before, from the folder of the file.
    """

    exclude: Texts = ()
    waive: tuple[Waiver, ...] = ()
    fail_on: Severity = "low"
    hot_wait: Seconds = 1.0
    baseline: str | None = None


TOP: Final = (
    "url", "namespace", "unmapped", "defaults", "profiles", "tools", "resources", "agents", "alerts", "audit",
)  # fmt: skip
"""The keys of the file, in the order in which its page explains them."""
UNMAPPED: Final = get_args(Unmapped)
