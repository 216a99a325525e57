"""A reference model of the rules: lists, scans and no haste, so that a reader can see that it is right.

It is compared with a backend, command by command. Time is an argument of every command, and everything that is due is
ended at the start of each (`expire`), where a backend may leave it until somebody meets it or a sweep comes by: so
sweep the backend before each command. Left out are what no verdict shows (events, bells) and adoption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from clawproof_langgraph.model import (
    Begin,
    BeginReply,
    Change,
    Granted,
    Held,
    Killed,
    Mismatch,
    Mode,
    Queued,
    Renew,
    Replay,
    Resolve,
    Settle,
    SettleReply,
    Stale,
    State,
    Want,
)

FREE = (State.FAILED, State.SUSPENDED)
"""How a call ends that may run again; one whose effect may have happened before stays as it was."""
CLAIM_WITHIN = 1.0
WAITER_LIFE = 3.0


@dataclass
class Lease:
    """A lease or, while it is not claimed, the grant that was handed to a waiter."""

    ask: Begin
    until: float
    since: float
    claimed: bool
    attempt: int = 0


@dataclass
class Record:
    """What is known of a call by its key.

    `first` is when it was first executed; `unheard` says that its lease expired, `touched` that its effect may have
    happened though it did not succeed, `doubted_before` that this was so already when its last execution began.
    """

    state: State
    ask: Begin
    owner: str
    attempt: int
    first: float
    result: bytes | None = None
    unheard: bool = False
    doubted_before: bool = False
    touched: bool = False


def all_wants(ask: Begin) -> tuple[Want, ...]:
    """Add the key to the resources: one more, for this call alone."""
    return (*ask.wants, Want("the key " + ask.key, Mode.EXCLUSIVE)) if ask.key else ask.wants


def proves_nothing(end: Settle) -> bool:
    """Tell whether the effect of a call may have happened though it did not succeed."""
    return end.state is State.IN_DOUBT or (end.state is State.FAILED and end.is_open)


def in_conflict(one: Begin, other: Begin) -> bool:
    """Tell whether two requests want the same resource, and not both of them as readers."""
    mine, others = dict(all_wants(one)), dict(all_wants(other))
    return any(Mode.EXCLUSIVE in (mine[name], others[name]) for name in mine.keys() & others.keys())


class Reference:
    """One namespace."""

    def __init__(self) -> None:
        self.leases: dict[str, Lease] = {}
        self.waiters: dict[str, Begin] = {}
        """By owner, in the order of arrival."""
        self.sessions: dict[str, float] = {}
        """Until when a session's waiters count as alive."""
        self.records: dict[str, Record] = {}
        self.killed: set[str] = set()
        self.moves: Counter[str] = Counter()
        """How often each resource that was asked for its version was given a new one."""
        self.moved_by: dict[str, str] = {}
        """The key of the call that did it last; empty where nobody has, or it had none."""
        self.told: dict[tuple[str, int], int] = {}
        """How often a resource had moved when this version of it was told."""

    # --- commands

    def begin(self, ask: Begin, now: float) -> BeginReply:
        """Say what `begin` must answer; fences, and words for humans, are left empty."""
        mine = self.leases.get(ask.owner)
        if mine and mine.claimed:
            mine.until = now + ask.ttl
            record = self.records.get(ask.key)
            return Granted(ask.owner, 0, ask.ttl, ask.key, mine.attempt, record is not None and record.touched)
        answer = self._judge(ask, now)
        if answer:
            self._leave(ask.owner)
        elif mine or self._is_next(ask):
            self._leave(ask.owner)
            answer = self._stale(ask) or self._grant(ask, now)
        else:
            self.waiters.setdefault(ask.owner, ask)
            self.sessions[ask.session] = now + WAITER_LIFE
            answer = Queued("", "", 0)
        self._hand_on(now)
        return answer

    def settle(self, end: Settle, now: float) -> SettleReply:
        """Say what `settle` must answer."""
        if not self._is_claimed(end.owner):
            return self._settle_late(end)
        lease = self.leases.pop(end.owner)
        if end.touched:
            self._move(lease.ask, only=Mode.EXCLUSIVE)
        key, earlier = lease.ask.key, self.records.get(lease.ask.key)
        if key and end.state in FREE and earlier and earlier.touched:
            self.records[key] = self._record(lease, earlier.state, end.attempt, end.result, touched=True)
        elif key and end.state is State.FAILED and not end.is_open:
            self.records.pop(key, None)
        elif key and end.state:
            self.records[key] = self._record(lease, end.state, end.attempt, end.result, touched=proves_nothing(end))
        self._hand_on(now)
        return SettleReply.SETTLED

    def withdraw(self, owner: str, now: float) -> None:
        """Forget a waiter, or a grant of which nothing was started."""
        self._leave(owner)
        self._hand_on(now)

    def renew(self, beat: Renew, now: float) -> tuple[set[str], set[str]]:
        """Say which owners `renew` must report as lost, and which turns it must tell."""
        for owner, ttl in beat.leases:
            if self._is_claimed(owner):
                self.leases[owner].until = now + ttl
        if beat.waiting:
            self.sessions[beat.session] = now + WAITER_LIFE
        turns = {owner for owner, row in self.leases.items() if row.ask.session == beat.session and not row.claimed}
        return {owner for owner, _ in beat.leases if not self._is_claimed(owner)}, turns if beat.waiting else set()

    def resolve(self, fact: Resolve) -> bool:
        """Say whether `record` must take a resolution."""
        record, state = self.records.get(fact.key), State.DONE if fact.applied else State.FAILED
        if record and record.touched and not self.runs(fact.key):
            record.state, record.result, record.owner, record.touched = state, fact.result, "", False
        if record is None or record.state is not state or record.touched:
            return False
        return not fact.applied or fact.result in (None, record.result)

    def expire(self, now: float) -> None:
        """End what is due: leases (a claimed call is in doubt, an unclaimed one never happened) and dead waiters."""
        for owner, lease in list(self.leases.items()):
            if lease.until <= now:
                del self.leases[owner]
                if lease.claimed:
                    self._move(lease.ask, only=Mode.EXCLUSIVE)
                if lease.claimed and lease.ask.key:
                    self.records[lease.ask.key] = self._record(
                        lease, State.IN_DOUBT, lease.attempt + 1, None, touched=True, unheard=True
                    )
        for owner, ask in list(self.waiters.items()):
            if self.sessions[ask.session] <= now:
                del self.waiters[owner]
        self._hand_on(now)

    # --- rules

    def runs(self, key: str) -> bool:
        """Tell whether the call under a key is running."""
        return any(lease.claimed and lease.ask.key == key for lease in self.leases.values())

    def _is_claimed(self, owner: str) -> bool:
        return owner in self.leases and self.leases[owner].claimed

    def _judge(self, ask: Begin, now: float) -> BeginReply | None:
        if ask.agent in self.killed:
            return Killed(ask.agent, "", "")
        record = self.records.get(ask.key)
        if record is None:
            return None
        if record.ask.fingerprint != ask.fingerprint:
            return Mismatch(ask.key, ask.tool)
        if record.state in (State.DONE, State.REJECTED):
            return Replay(ask.key, record.result, record.state is State.REJECTED)
        may_run = ask.rerun_within > 0 and now - record.first <= ask.rerun_within
        if record.touched and not may_run and not self.runs(ask.key):
            record.state = State.IN_DOUBT
            return Held(ask.key, record.ask.tool)
        return None

    def _is_next(self, ask: Begin) -> bool:
        return not any(in_conflict(ask, other) for other in self._in_the_way(ask))

    def _in_the_way(self, ask: Begin) -> Iterator[Begin]:
        """Go through those whom a request has to wait for if it is in conflict with them."""
        yield from (row.ask for owner, row in self.leases.items() if owner not in ask.ancestors)
        if ask.ancestors:
            return
        arrived = True
        for waiter in self.waiters.values():
            arrived = arrived and waiter.owner != ask.owner
            if waiter.owner != ask.owner and (arrived or waiter.ancestors):
                yield waiter

    def _hand_on(self, now: float) -> None:
        """Hand what is free to the waiters whose turn has come, nested ones first."""
        for ask in sorted(self.waiters.values(), key=lambda ask: not ask.ancestors):
            if self._is_next(ask):
                del self.waiters[ask.owner]
                self.leases[ask.owner] = Lease(ask, now + CLAIM_WITHIN, now, claimed=False)

    def _leave(self, owner: str) -> None:
        self.waiters.pop(owner, None)
        self.leases.pop(owner, None)

    def _stale(self, ask: Begin) -> Stale | None:
        if ask.seen is None:
            return None
        seen = dict(ask.seen)
        changed = [name for name, _ in ask.wants if name not in seen or self._has_moved(ask, name, seen[name])]
        return Stale(tuple([Change(name, seen.get(name), None) for name in changed])) if changed else None

    def _has_moved(self, ask: Begin, name: str, version: int) -> bool:
        is_own = bool(ask.key) and self.moved_by[name] == ask.key
        return self.told[name, version] != self.moves[name] and not is_own

    def _move(self, ask: Begin, *, only: Mode | None = None) -> None:
        for name, mode in ask.wants:
            if name in self.moved_by and only in (None, mode):
                self.moves[name] += 1
                self.moved_by[name] = ask.key

    def _grant(self, ask: Begin, now: float) -> Granted:
        record = self.records.get(ask.key)
        attempt, touched = (record.attempt, record.touched) if record else (0, False)
        self.leases[ask.owner] = Lease(ask, now + ask.ttl, now, claimed=True, attempt=attempt)
        for name, _ in ask.wants if ask.versions else ():
            self.moved_by.setdefault(name, "")
        return Granted(ask.owner, 0, ask.ttl, ask.key, attempt, touched)

    def _record(
        self, lease: Lease, state: State, attempt: int, result: bytes | None, *, touched: bool, unheard: bool = False
    ) -> Record:
        earlier = self.records.get(lease.ask.key)
        first = earlier.first if earlier else lease.since
        doubted = earlier is not None and earlier.touched
        return Record(state, lease.ask, lease.ask.owner, attempt, first, result, unheard, doubted, touched)

    def _settle_late(self, end: Settle) -> SettleReply:
        record = self.records.get(end.key)
        if record is None or record.owner != end.owner:
            return SettleReply.GONE
        state = record.state if end.state in FREE and record.doubted_before else end.state
        if record.state is state and not record.unheard:
            return SettleReply.SETTLED
        if record.state is not State.IN_DOUBT or self.runs(end.key) or state is None:
            return SettleReply.GONE
        record.state, record.result, record.unheard = state, end.result, False
        record.touched = state is State.IN_DOUBT or proves_nothing(end)
        if end.touched:
            self._move(record.ask)
        if state is State.FAILED and not record.touched:
            del self.records[end.key]
        return SettleReply.LATE
