"""What a program asks of its driver, and what the driver answers.

A program yields a step and is sent the answer. The commands of the model (`Begin`, `Settle`, `Withdraw`, `Note`) are
steps too. If a step fails, its error is thrown into the program at the `yield`; what the user's own code raises
travels as data (`Raised`), so that a tool's `OSError` is never taken for the store's.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from clawproof_langgraph.errors import ClawproofError
from clawproof_langgraph.model import Asked, Begin, Granted, Held, Note, Resolve, Settle, Versions, Withdraw

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Now:
    """Asks for the monotonic time in seconds."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Asks for a random number from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Afford:
    """Asks to take one more retry out of the tool's budget; the answer tells whether it was there."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Asks to sleep until the bell rings for the owner, or so many seconds."""

    owner: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Sleep:
    """Asks to sleep so many seconds."""

    seconds: float


@dataclass(slots=True)
class Run:
    """Asks to run the user's code once under a lease. It fails only if that code was never started.

    Args:
        lease: under which.
        attempt: which execution of the call this is, counted from 1.
        begun: set by the driver before the code is entered, for the case that its answer is lost to an interrupt.
    """

    lease: Granted
    attempt: int
    begun: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Unheld:
    """Asks for what the user's code runs under where the call holds nothing; the answer is a lease of nothing."""

    ask: Begin


@dataclass(frozen=True, slots=True)
class Notice:
    """Asks to note what was found of resources that were used without a lock.

    Args:
        stale: those that somebody had alone meanwhile.
        versions: those of which the result knows this version.
    """

    stale: tuple[str, ...]
    versions: Versions


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks to look, under a lease, what became of an earlier execution; the answer is a `Finding`."""

    lease: Granted


@dataclass(frozen=True, slots=True)
class AskHuman:
    """Asks a human what became of a call in doubt; the answer is a `Finding`.

    Raises whatever suspends the graph until the human has answered.

    Args:
        held: the call.
        counts: whether an answer that is there already can be meant: it was given to another question where this one
            was never asked before, or was asked about another execution.
    """

    held: Held
    counts: bool


@dataclass(frozen=True, slots=True)
class PassOver:
    """Asks to pass over answers of a human that are not needed any more, so that nobody takes them for his own."""

    answers: int


@dataclass(frozen=True, slots=True)
class Warn:
    """Asks to tell the operator of something that the caller is spared."""

    error: ClawproofError


@dataclass(frozen=True, slots=True)
class Finding:
    """What somebody found out of a call in doubt.

    Args:
        applied: whether the effect happened; None where that cannot be told.
        result: if it did, the encoded result that a repetition gets; None if it has none.
        by: who found out.
        why: why it cannot be told.
    """

    applied: bool | None
    result: bytes | None = None
    by: str = ""
    why: str = ""


class Ending(Enum):
    """How the user's code ended, as far as its exception tells."""

    RETURNED = "returned"
    HANDED_OFF = "handed off"  # an exception that carries a successful result, such as a handoff to another agent
    SUSPENDED = "suspended"  # it waits for a human and will run again
    NOT_APPLIED = "not applied"  # it says that nothing happened
    REJECTED = "rejected"  # it is refused for good
    REFUSED = "refused"  # the tool's own way to report a failure
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Returned:
    """The user's code returned `value`; `stored` is its encoding, None if it has none.

    The ending is REFUSED where the value itself tells of a failure.
    """

    value: Any
    stored: bytes | None = None
    ending: Ending = Ending.RETURNED


@dataclass(frozen=True, slots=True)
class Raised:
    """The user's code raised.

    Args:
        error: what it raised.
        ending: how it ended.
        retryable: whether the policy says that such an error may be retried.
        effect_begun: False if the code proves that its effect had not begun.
        stored: the encoding of the error, where a repeat is answered with it.
        retry_after: seconds after which the service asks for the next attempt; None if it does not say.
        unaffordable: whether it would be run again if the tool's budget of retries were not used up.
    """

    error: BaseException
    ending: Ending
    retryable: bool = False
    effect_begun: bool = True
    stored: bytes | None = None
    retry_after: float | None = None
    unaffordable: bool = False


Step = (
    Begin | Settle | Withdraw | Note | Resolve | Asked | Now | Draw | Afford | Wait | Sleep | Run | Probe | AskHuman
    | PassOver | Warn | Unheld | Notice
)  # fmt: skip
Program = Generator[Step, Any, T]
