"""Commands, replies and facts that travel between the programs and the backends: frozen data, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from types import MappingProxyType
from typing import Any, NamedTuple


class Mode(StrEnum):
    """How a call uses a resource: alone, together with others of its kind, or without a lock.

    A request wants resources in one of the first two modes; what is advisory is in nobody's way.
    """

    EXCLUSIVE = "exclusive"
    SHARED = "shared"
    ADVISORY = "advisory"


class Want(NamedTuple):
    """One resource of a request, canonical, with its mode."""

    resource: str
    mode: Mode


Versions = tuple[tuple[str, int], ...]
"""Resources with the version of each."""


class State(StrEnum):
    """How a call settles, and what its record says afterwards."""

    DONE = "done"
    FAILED = "failed"  # nothing happened: free to run again
    REJECTED = "rejected"  # failed for good: a repeat gets the error again
    SUSPENDED = "suspended"
    IN_DOUBT = "in_doubt"


# --- commands ---------------------------------------------------------------------------------------------------


class Look(NamedTuple):
    """Asks, after a call, whether somebody had a resource alone while the call went on without a lock on it.

    Args:
        resources: which.
        elapsed: seconds since the call began, counted by whoever asks until the request was sent.
        state: how the call came out, where nothing else will tell; None where it settles.
        attempt, error: as in `Settle`.
    """

    resources: tuple[str, ...]
    elapsed: float
    state: State | None = None
    attempt: int = 1
    error: str = ""


class Begin(NamedTuple):
    """Asks for a turn; asked again by the same owner it is a claim, a poll, or the repair of a lost reply.

    Args:
        owner: the id of the call; unique, and the same for every repetition of this request.
        session: the coordinator that asks; its waiters live as long as it is renewed.
        wants: resources and modes, canonical, without duplicates, sorted by code point.
        ttl: seconds from the grant to the end of the lease, unless renewed.
        agent, thread, tool: who asks, for what.
        key: the idempotency key; empty for none.
        scope: the hash of thread, tool and fingerprint by which an unsettled call is adopted; empty for none.
        fingerprint: the hash of the arguments that make the call the same.
        rerun_within: seconds since its first attempt in which a call in doubt runs again; 0 holds it.
        ancestors: owners of the calls around this one, innermost last; their locks are not in its way.
        bell: the address to wake when the turn comes; empty for none.
        expected: usual duration in seconds, 0 for unknown; an alert is raised at twice it.
        repeated: True when this owner has asked before.
        waited: seconds that the owner has waited so far.
        data: what the policy allows to be logged.
        task: the LangGraph task that asks, where a human may be asked in it; empty for none.
        lineage: what the call came out of, in words of the form `group:member`; different members of one group are
            different calls, whatever else is equal.
        versions: whether the versions of its resources are to be told with the grant.
        seen: the versions of resources that the caller has read: it gets no grant if one of those that it wants has
            another one by now, or was not read. None: that is not asked.
        look: asks for no turn, but this.
        patience: seconds that its caller is ready to wait, from the first time on; the store is not tried for longer.
    """

    owner: str
    session: str
    wants: tuple[Want, ...] = ()
    ttl: float = 30.0
    agent: str = ""
    thread: str = ""
    tool: str = ""
    key: str = ""
    scope: str = ""
    fingerprint: str = ""
    rerun_within: float = 0.0
    ancestors: tuple[str, ...] = ()
    bell: str = ""
    expected: float = 0.0
    repeated: bool = False
    waited: float = 0.0
    data: Mapping[str, Any] = MappingProxyType({})
    task: str = ""
    lineage: str = ""
    versions: bool = False
    seen: Versions | None = None
    look: Look | None = None
    patience: float = inf


@dataclass(frozen=True, slots=True)
class Settle:
    """Ends a lease and records how the call came out, in one step.

    Args:
        owner, fence: the lease.
        state: how it came out; None for a plain lock, which has no outcome.
        key: the idempotency key of the lease; empty for none.
        result: the encoded result of a done or rejected call; None if it could not be stored.
        touched: whether the effect may have happened, in this execution or one before it under the same lease.
        is_open: whether a failed call is still the same call when the model asks for it again, since its effect may
            have happened and must not happen under another key, too.
        attempt: how many times the tool was executed.
        error: the type of the exception, for the log.
        emits: domain events, as (type, data).
        by: who found out that a call in doubt is done, where the tool was not run; empty where it was.
        facts: what else the log says of the end.
        patience: seconds for which the store may be tried.
    """

    owner: str
    fence: int
    state: State | None
    key: str = ""
    result: bytes | None = None
    touched: bool = True
    is_open: bool = False
    attempt: int = 1
    error: str = ""
    emits: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    by: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    patience: float = field(default=inf, compare=False)


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Gives up a place in the queue, or a grant of which the tool has not started.

    Args:
        owner: who asked.
        reason: what the log says; empty for no entry.
        call: the request that is given up, for the log.
        within: seconds for which it is worth being repeated: as long as the lease of a lost grant would live.
    """

    owner: str
    reason: str = ""
    call: Begin | None = None
    within: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Renew:
    """Extends leases and shows that a session's waiters are alive.

    Args:
        session: the coordinator.
        leases: (owner, ttl in seconds) of each live lease.
        waiting: whether the session has waiters.
        agents: the agents whose kill flag is asked for.
    """

    session: str
    leases: tuple[tuple[str, float], ...] = ()
    waiting: bool = False
    agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """Ends what has expired and deletes what is older than its retention.

    Args:
        limit: the most rows of a kind to work on in one step.
        keep_results: seconds that a settled record is kept.
        keep_events: seconds that an event is kept.
        max_events: the most events that are kept, whatever their age.
        subscriber_life: seconds since its last sign of life in which events that a subscriber has not read are kept,
            whatever their age.
    """

    limit: int = 500
    keep_results: float = 30 * 86400.0
    keep_events: float = 7 * 86400.0
    max_events: int = 100_000
    subscriber_life: float = 86400.0


@dataclass(frozen=True, slots=True)
class Kill:
    """Stops an agent."""

    agent: str
    reason: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Revive:
    """Lets a stopped agent go on."""

    agent: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Resolve:
    """Says what became of a call in doubt.

    Args:
        key: its idempotency key.
        applied: True: the effect happened; False: it did not, and the call may run again.
        result: the encoded result that a replay gives.
        by: who says so.
        owner: whose lease the call is under, where it is looked into before it is run again: without that lease,
            nothing is changed. Empty for none.
        fence: which execution the doubt is about; 0 for whichever was last.
    """

    key: str
    applied: bool
    result: bytes | None = None
    by: str = ""
    owner: str = ""
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """Says that a human is asked what became of a call in doubt.

    Args:
        key: its idempotency key.
        task: the LangGraph task that asks, and that is run again with the answer.
        fence: which execution the doubt is about; 0 where an answer to something else was taken in its place.
    """

    key: str
    task: str
    fence: int


@dataclass(frozen=True, slots=True)
class Note:
    """Appends an event that belongs to no other command, such as a retry."""

    type: str
    agent: str = ""
    thread: str = ""
    call: str = ""
    key: str = ""
    resources: tuple[str, ...] = ()
    fence: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)


class Start(StrEnum):
    """Where a new subscription begins, if not behind a cursor."""

    NOW = "now"
    EARLIEST = "earliest"  # with what the log still has


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Takes up a subscription where it stands, or makes it.

    Args:
        name: the subscription.
        owner: who is going to read.
        start: where a new one begins, or the cursor behind which it does.
    """

    name: str
    owner: str
    start: Start | int = Start.NOW


@dataclass(frozen=True, slots=True)
class Advance:
    """Says how far a subscription was read, and shows that its reader lives.

    Args:
        name: the subscription.
        owner: who reads.
        cursor: all up to here was read.
        over: whether the reader leaves, so that another can take the subscription up at once.
    """

    name: str
    owner: str
    cursor: int
    over: bool = False


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Forgets a subscription."""

    name: str


Fact = Kill | Revive | Resolve | Asked | Note | Subscribe | Advance | Unsubscribe
"""One administrative fact; all but those about subscriptions are recorded with an event."""


# --- replies ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Granted:
    """The lease is yours.

    Args:
        owner: whose.
        fence: the fencing token.
        ttl: seconds until it ends, counted from before the request was sent.
        key: the idempotency key of the call, which is another one than was asked for when it was adopted.
        attempt: how often the call was executed before.
        in_doubt: the fence of an earlier execution, if that may have had its effect; 0 if not.
        asked: about which executions, by their fences, a human was asked in the request's task, in order.
        versions: of its resources, where the request asks for them.
    """

    owner: str
    fence: int
    ttl: float
    key: str
    attempt: int = 0
    in_doubt: int = 0
    asked: tuple[int, ...] = ()
    versions: Versions = ()


@dataclass(frozen=True, slots=True)
class Queued:
    """Not yet your turn.

    Args:
        resource: what is in the way.
        holder: who holds it, or waits for it before you, in words.
        look_again: seconds after which to ask again if no bell rings.
        on_key: whether it is the idempotency key: the same call runs elsewhere.
        alive: whether the holder is known to live: it has shown life since the request came.
        own: whether it is of the asker's own session, so that a renewal would tell whether it lives.
    """

    resource: str
    holder: str
    look_again: float
    on_key: bool = False
    alive: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """The call was settled before: give back what is stored.

    Args:
        key: its idempotency key.
        result: the encoded result; None when it could not be stored.
        rejected: whether the result is an error that is raised again.
        asked: as of a grant.
        fence: of the execution that gave it.
    """

    key: str
    result: bytes | None
    rejected: bool = False
    asked: tuple[int, ...] = ()
    fence: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Held:
    """The call is in doubt and its policy says not to run it again.

    Args:
        key: its idempotency key.
        tool: the tool that was called.
        fence: which execution is in doubt.
        asked: as of a grant.
        why: what a look into it has found, if it does not settle the question.
    """

    key: str
    tool: str
    fence: int = field(default=0, compare=False)
    asked: tuple[int, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Killed:
    """The agent is stopped."""

    agent: str
    reason: str
    by: str
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The key was used before with another fingerprint."""

    key: str
    tool: str


@dataclass(frozen=True, slots=True)
class Change:
    """A resource that is not as the caller saw it.

    Args:
        resource: which.
        seen: the version that the caller has read; None if it read none.
        current: the version now; None where nobody has read the resource for so long that it is not known.
        agent, tool, thread: who changed it last, as far as that is known.
        at: when, in seconds since the epoch; 0 where that is not known.
    """

    resource: str
    seen: int | None
    current: int | None
    agent: str = ""
    tool: str = ""
    thread: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Stale:
    """What the request rests on has changed, or was never read; nothing was run.

    Args:
        changes: each resource of which that is so, at least one.
    """

    changes: tuple[Change, ...]


class Glance(NamedTuple):
    """What a look has found of a resource.

    Args:
        resource: which.
        in_flight: whether somebody has it alone now.
        ended: when somebody last gave it back who had it alone and may have changed it, by the store's clock; 0 where
            that was before the call began.
        version: its version now.
    """

    resource: str
    in_flight: bool
    ended: float
    version: int


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look has found.

    Args:
        now: the store's date, in seconds.
        told: whether the log tells that something was stale.
        glances: of each resource.
    """

    now: float
    told: bool
    glances: tuple[Glance, ...]


BeginReply = Granted | Queued | Replay | Held | Killed | Mismatch | Stale | Looked


class SettleReply(StrEnum):
    """What became of a settle."""

    SETTLED = "settled"
    LATE = "late"  # the lease had ended; a call in doubt became done
    GONE = "gone"  # the lease had ended, and somebody else has resolved or re-run the call


@dataclass(frozen=True, slots=True)
class Renewed:
    """What a renewal found.

    Args:
        lost: owners whose lease is gone.
        killed: stopped agents among those asked for.
        turns: owners of this session that were handed a grant and have not claimed it.
        overdue: whether a lease or a waiter may have ended that nobody has swept; looked at for those who wait.
    """

    lost: frozenset[str] = frozenset()
    killed: tuple[Killed, ...] = ()
    turns: tuple[str, ...] = ()
    overdue: bool = True


@dataclass(frozen=True, slots=True)
class Swept:
    """How much a sweep did.

    Args:
        expired, waiters, records, events: rows ended or deleted.
        more: whether there is more to do now.
    """

    expired: int = 0
    waiters: int = 0
    records: int = 0
    events: int = 0
    more: bool = False


# --- reading ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A live lease as `coordinator.snapshot()` shows it; times are seconds, ancestors the calls around it."""

    owner: str
    agent: str
    thread: str
    tool: str
    key: str
    wants: tuple[Want, ...]
    fence: int
    held: float
    remaining: float
    ancestors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WaiterView:
    """A waiter as `coordinator.snapshot()` shows it; times are seconds, ancestors the calls around it."""

    owner: str
    agent: str
    thread: str
    tool: str
    wants: tuple[Want, ...]
    ticket: int
    waited: float
    key: str = ""
    ancestors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A call in doubt as `coordinator.snapshot()` shows it.

    Args:
        key: its idempotency key, for `coordinator.resolve`.
        agent, thread, tool: who called what.
        attempt: how often it was executed.
        since: seconds since the epoch.
        resources: what it held.
        reason: why it is in doubt: the type of the error, or that its lease expired.
    """

    key: str
    agent: str
    thread: str
    tool: str
    attempt: int
    since: float
    resources: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The namespace at one instant."""

    leases: tuple[LeaseView, ...] = ()
    waiters: tuple[WaiterView, ...] = ()
    in_doubt: tuple[InDoubt, ...] = ()
    killed: tuple[Killed, ...] = ()
