"""A Hypothesis state machine that checks what a holder relies on, with nothing but the replies to go by.

    TestSafety = safety_machine(lambda clock: MyBackend(clock=clock)).TestCase

Unlike the granting machine it knows no rules of its own about who is next, and sweeps seldom: what has expired is
noticed when somebody meets it, or not at all. It checks that no two holders of a conflicting resource are promised the
same moment, that a lease is never revived behind the back of a later holder, that a call in doubt is not run again and
a settled one is replayed, and that in the end everybody who goes on asking gets in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.model import (
    Begin,
    BeginReply,
    Granted,
    Mode,
    Queued,
    Renew,
    Replay,
    SettleReply,
    State,
    Want,
    Withdraw,
)
from clawproof_langgraph.testing.builders import again, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.faces import Face, SyncFace
from clawproof_langgraph.testing.machine import RECENT, modes, outcomes, pick, picks, sessions, wants
from clawproof_langgraph.testing.reference import in_conflict

FREE_AFTER = (State.FAILED, State.SUSPENDED)

calls = st.sampled_from([("", ""), ("k1", "same"), ("k2", "same"), ("k3", "")])
"""Keys and scopes: when `k1` is in doubt, a call under `k2` is taken to be that call, and held."""


class SafetyMachine(RuleBasedStateMachine):
    """Use `safety_machine` to bind it to a backend."""

    make_backend: ClassVar[Callable[[ManualClock], Backend]]
    face: ClassVar[type[Face]] = SyncFace

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.store = type(self).face(type(self).make_backend(self.clock))
        self.asked: list[Begin] = []
        self.leases: dict[str, Granted] = {}
        """The last grant of each owner that has not ended it."""
        self.promised: dict[str, float] = {}
        """Until when each of them may rely on it."""
        self.grants: list[tuple[int, Begin]] = []
        """Every grant, by fence."""
        self.used: dict[str, str] = {}
        """The owner of the last execution of a call that may have had an effect, by key."""
        self.settled: set[str] = set()
        """Keys with a record that is not in doubt."""
        self.results: dict[str, bytes] = {}

    def teardown(self) -> None:
        """See everybody through, then close the backend."""
        self._let_everybody_in()
        self.store.close()
        self.store.backend.close()

    @rule(wants=wants, session=sessions, call=calls, ttl=st.sampled_from([2.0, 5.0]))
    def begin(self, wants: tuple[Want, ...], session: str, call: tuple[str, str], ttl: float) -> None:
        """Ask for resources, with or without a key."""
        self._ask(Begin(f"c{len(self.asked)}", session, wants, ttl, tool="act", key=call[0], scope=call[1]))

    @precondition(lambda self: self.leases)
    @rule(index=picks, resource=st.sampled_from("abc"), mode=modes)
    def begin_nested(self, index: int, resource: str, mode: Mode) -> None:
        """Ask from inside a call."""
        outer = self._request_of(pick(index, list(self.leases)))
        chain = (*outer.ancestors, outer.owner)
        self._ask(
            Begin(f"c{len(self.asked)}", outer.session, (Want(resource, mode),), 5.0, tool="act", ancestors=chain)
        )

    @precondition(lambda self: self.asked)
    @rule(index=picks)
    def repeat(self, index: int) -> None:
        """Ask again, in time or not."""
        self._ask(again(pick(index, self.asked[-RECENT:])))

    @precondition(lambda self: self.leases)
    @rule(index=picks, state=outcomes)
    def settle(self, index: int, state: State) -> None:
        """End a lease, in time or not."""
        lease = self.leases.pop(pick(index, list(self.leases)))
        result = lease.owner.encode()
        reply = self.store.settle(settled(lease, state, result=result))
        if self.promised.pop(lease.owner) > self.clock.ticks():
            assert reply is SettleReply.SETTLED, f"{lease.owner} was promised its lease until later"
        if not lease.key or reply is SettleReply.GONE:
            return
        if state in FREE_AFTER and self.used.get(lease.key) == lease.owner:
            del self.used[lease.key]
        if state in (State.DONE, State.REJECTED, State.SUSPENDED):
            self.settled.add(lease.key)
        if state is State.DONE:
            self.results[lease.key] = result

    @precondition(lambda self: self.asked)
    @rule(index=picks)
    def withdraw(self, index: int) -> None:
        """Give up a place, or a grant of which nothing was started."""
        self._withdraw(pick(index, self.asked[-RECENT:]))

    @rule(session=sessions, waiting=st.booleans())
    def renew(self, session: str, waiting: bool) -> None:
        """Beat the heart of a session."""
        mine = [self._request_of(owner) for owner in self.leases if self._request_of(owner).session == session]
        renewed = self.store.renew(Renew(session, tuple((ask.owner, ask.ttl) for ask in mine), waiting))
        for ask in mine:
            if ask.owner in renewed.lost:
                assert self.promised[ask.owner] <= self.clock.ticks(), f"{ask.owner} lost its lease before the end"
            else:
                self._check_promise(ask, self.leases[ask.owner].fence)
                self.promised[ask.owner] = self.clock.ticks() + ask.ttl

    @rule(seconds=st.sampled_from([0.001, 0.3, 0.6, 1.1, 1.9, 3.4]))
    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @rule()
    def sweep(self) -> None:
        """Let a sweep come by."""
        self.store.sweep()

    # --- the steps of the rules

    def _request_of(self, owner: str) -> Begin:
        return self.asked[int(owner[1:])]

    def _ask(self, ask: Begin) -> BeginReply:
        if not ask.repeated:
            self.asked.append(ask)
        reply = self.store.begin(ask)
        if ask.key in self.results:
            assert reply == Replay(ask.key, self.results[ask.key]), "a call that is done is replayed"
        if isinstance(reply, Granted):
            self._check_grant(ask, reply)
        return reply

    def _check_grant(self, ask: Begin, lease: Granted) -> None:
        mine = self.leases.get(ask.owner)
        if mine is None or mine.fence != lease.fence:
            assert not self.grants or lease.fence > self.grants[-1][0], "fences grow"
            assert lease.key not in self.used, f"{lease.key} may have had its effect, and runs again"
            assert lease.key in self.settled or not self._in_doubt(ask.scope), f"{ask.owner} may do it a second time"
            self.grants.append((lease.fence, ask))
        self._check_promise(ask, lease.fence)
        self.leases[ask.owner] = lease
        self.promised[ask.owner] = self.clock.ticks() + lease.ttl
        if lease.key:  # that of another call, if the request has turned out to be that call
            self.used[lease.key] = ask.owner

    def _in_doubt(self, scope: str) -> list[str]:
        """List the owners of a scope who may have had their effect without telling."""
        unsettled = [self._request_of(owner) for key, owner in self.used.items() if key not in self.settled]
        same = [ask.owner for ask in unsettled if scope and ask.scope == scope]
        return [owner for owner in same if self.promised.get(owner, 0) <= self.clock.ticks()]

    def _check_promise(self, ask: Begin, fence: int) -> None:
        now = self.clock.ticks()
        for owner, until in self.promised.items():
            assert until <= now or not self._rivals(ask, self._request_of(owner)), f"{owner} is still promised"
        for other_fence, other in self.grants:
            assert other_fence <= fence or not self._rivals(ask, other), (
                f"{other.owner} came later and may have written"
            )

    def _rivals(self, one: Begin, other: Begin) -> bool:
        if one.owner == other.owner or one.owner in other.ancestors or other.owner in one.ancestors:
            return False
        return in_conflict(one, other)

    def _withdraw(self, ask: Begin) -> None:
        self.store.withdraw(Withdraw(ask.owner))
        if lease := self.leases.pop(ask.owner, None):
            self.promised.pop(ask.owner)
            if self.used.get(lease.key) == ask.owner:
                del self.used[lease.key]

    def _let_everybody_in(self) -> None:
        """End all leases; then those who ask for the same things again, as new calls, are through in a few rounds."""
        for owner in list(self.leases):
            self._withdraw(self._request_of(owner))
        waiting = [self._again_as_new(ask) for ask in self.asked[-RECENT:]]
        for _ in self.asked:  # each round gets rid of one that has given up without a word
            waiting = [ask for ask in waiting if isinstance(self._end_if_granted(ask), Queued)]
            self.clock.advance(1.1)
            self.store.sweep()  # what holds up only those who do not ask any more is noticed by nobody else
        assert not waiting, "they ask again and again, and nobody holds anything"

    def _again_as_new(self, ask: Begin) -> Begin:
        fresh = ask._replace(owner=f"c{len(self.asked)}", key="", scope="", ancestors=())
        self._end_if_granted(fresh)
        return again(fresh)

    def _end_if_granted(self, ask: Begin) -> BeginReply:
        reply = self._ask(ask)
        if isinstance(reply, Granted):
            self._withdraw(ask)
        return reply


def safety_machine(make_backend: Callable[[ManualClock], Backend], face: type[Face] = SyncFace) -> type[SafetyMachine]:
    """Bind the machine to a backend.

    Args:
        make_backend: opens a new, empty namespace that goes by the given clock.
        face: through which face the backend is spoken to.
    """
    return type("BoundMachine", (SafetyMachine,), {"make_backend": staticmethod(make_backend), "face": face})
