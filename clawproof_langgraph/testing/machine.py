"""A Hypothesis state machine that drives a backend and the reference model through the same commands.

    TestGranting = granting_machine(lambda clock: MyBackend(clock=clock)).TestCase

Each command comes a millisecond after the one before, and each is preceded by a sweep: the reference ends what is due
at once. What it checks after every command: the reply is the reference's, fences grow, nobody holds what is in conflict
with another holder that is not of its chain, the snapshot shows the leases, the queue and the doubts of the model, and
a version is another one if and only if the model has seen the resource move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, ClassVar, TypeVar

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clawproof_langgraph.backends.base import Backend
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.model import (
    Begin,
    BeginReply,
    Granted,
    Held,
    Kill,
    Killed,
    LeaseView,
    Looked,
    Mismatch,
    Mode,
    Queued,
    Renew,
    Replay,
    Resolve,
    Revive,
    Stale,
    State,
    Want,
    Withdraw,
)
from clawproof_langgraph.testing.builders import again, settled
from clawproof_langgraph.testing.clock import ManualClock
from clawproof_langgraph.testing.faces import Face, SyncFace
from clawproof_langgraph.testing.reference import Reference, in_conflict

T = TypeVar("T")

RECENT = 8
"""How many of the last requests are still repeated, settled or withdrawn, whatever became of them."""


def in_order(chosen: dict[str, Mode]) -> tuple[Want, ...]:
    """List the wants of a request as the contract demands: sorted by name."""
    return tuple(Want(name, chosen[name]) for name in sorted(chosen))


picks = st.integers(0, RECENT - 1)
modes = st.sampled_from([Mode.EXCLUSIVE, Mode.SHARED])
outcomes = st.sampled_from([State.DONE, State.FAILED, State.REJECTED, State.SUSPENDED, State.IN_DOUBT])
agents = st.sampled_from(["p", "q", "r"])
"""Most calls are those of an agent that nobody stops: `o`."""
sessions = st.sampled_from(["s1", "s2"])
keys = st.sampled_from(["", "k1", "k2"])
wants = st.dictionaries(st.sampled_from("abc"), modes, min_size=1, max_size=3).map(in_order)
pauses = st.sampled_from([1.1, 1.1, 2.2, 3.3, 6.6])
"""Seconds. No sum of them comes near a lifetime of the rules, so that signs of life may be noted with some slack."""


def pick(index: int, among: Sequence[T]) -> T:
    """Choose the index-th from the end, so that a smaller number means a more recent one."""
    return among[-1 - index % len(among)]


def gist(reply: BeginReply) -> tuple[object, ...]:
    """Reduce a reply to what the rules decide, without fences and words for humans."""
    match reply:
        case Granted(owner, _, _, key, attempt, in_doubt):
            return ("granted", owner, key, attempt, bool(in_doubt))
        case Queued():
            return ("queued",)
        case Replay(key, result, rejected):
            return ("replay", key, result, rejected)
        case Held(key, tool):
            return ("held", key, tool)
        case Killed(agent):
            return ("killed", agent)
        case Mismatch(key):
            return ("mismatch", key)
        case Stale(changes):
            return ("stale", *[change.resource for change in changes])
        case Looked():
            return ("looked",)


class GrantingMachine(RuleBasedStateMachine):
    """Use `granting_machine` to bind it to a backend."""

    make_backend: ClassVar[Callable[[ManualClock], Backend]]
    face: ClassVar[type[Face]] = SyncFace

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.store = type(self).face(type(self).make_backend(self.clock))
        self.model = Reference()
        self.asked: list[Begin] = []
        self.leases: dict[str, Granted] = {}
        """What was granted, by owner, as its holder remembers it."""
        self.last_fence = 0
        self.seen: list[dict[str, int]] = []
        """The versions that were told, one reader after the other."""

    def teardown(self) -> None:
        """Close the backend."""
        self.store.close()
        self.store.backend.close()

    # --- asking

    @rule(wants=wants, session=sessions, agent=agents | st.just("o"), key=keys, ttl=st.sampled_from([4.0, 9.0]))
    def begin(self, wants: tuple[Want, ...], session: str, agent: str, key: str, ttl: float) -> None:
        """Ask for resources, with or without a key, as a call that is held when in doubt."""
        self._ask(self._request(session, wants=wants, agent=agent, key=key, ttl=ttl))

    @rule(
        wants=st.one_of(st.just(()), wants),
        session=sessions,
        key=st.sampled_from(["k1", "k2"]),
        rerun_within=st.sampled_from([0.0, 7.0005, float("inf")]),
        fingerprint=st.sampled_from(["same"] * 7 + ["other"]),
    )
    def begin_keyed(self, wants: tuple[Want, ...], session: str, key: str, **how: Any) -> None:
        """Ask for a call that may run again."""
        self._ask(self._request(session, wants=wants, key=key, ttl=4.0, **how))

    @rule(names=st.sets(st.sampled_from("abc"), min_size=1), session=sessions, mode=modes)
    def read(self, names: set[str], session: str, mode: Mode) -> None:
        """Ask for resources and their versions, and give them back at once if that is granted."""
        wants = in_order(dict.fromkeys(names, mode))
        ask = self._request(session, wants=wants, ttl=4.0, versions=True)
        self._ask(ask)
        if self.model.leases.get(ask.owner):
            self._settle(ask, State.DONE, touched=False)

    @precondition(lambda self: self.seen)
    @rule(index=picks, wants=wants, session=sessions, key=keys, rerun_within=st.sampled_from([0.0, float("inf")]))
    def write_what_was_read(self, index: int, wants: tuple[Want, ...], session: str, **how: Any) -> None:
        """Ask for resources as they were read, some of which may not have been."""
        seen = tuple(pick(index, self.seen).items())
        self._ask(self._request(session, wants=wants, seen=seen, ttl=4.0, **how))

    @precondition(lambda self: self._holders())
    @rule(index=picks, resource=st.sampled_from("abc"), mode=modes, keyed=st.booleans())
    def begin_nested(self, index: int, resource: str, mode: Mode, keyed: bool) -> None:
        """Ask from inside a call. With one resource: which of two nested waiters goes first is else not laid down."""
        outer = pick(index, self._holders())
        key = f"of {outer.owner}, {len(self.asked)}" if keyed else ""
        ancestors = (*outer.ancestors, outer.owner)
        self._ask(self._request(outer.session, wants=(Want(resource, mode),), key=key, ttl=4.0, ancestors=ancestors))

    @precondition(lambda self: self.asked)
    @rule(index=picks)
    def repeat(self, index: int) -> None:
        """Ask again: a claim, a poll, the repair of a lost reply, or one that comes much too late.

        But not a call that has ended and had calls inside it: nobody begins anew around what is going on.
        """
        ask = pick(index, self.asked[-RECENT:])
        around = {owner for each in self.asked for owner in each.ancestors}
        if ask.owner in self.model.leases or ask.owner not in around:
            self._ask(again(ask))

    @precondition(lambda self: self._turns())
    @rule(index=picks)
    def claim(self, index: int) -> None:
        """Take up a grant that was handed over."""
        self._ask(again(pick(index, self._turns())))

    # --- ending

    @precondition(lambda self: self._holders())
    @rule(index=picks, state=outcomes, is_open=st.booleans())
    def settle(self, index: int, state: State, is_open: bool) -> None:
        """End a lease that is alive."""
        self._settle(pick(index, self._holders()), state, is_open=is_open)

    @precondition(lambda self: self._contended())
    @rule(index=picks, state=st.sampled_from([State.DONE, State.FAILED, State.SUSPENDED]))
    def release(self, index: int, state: State) -> None:
        """End a lease that others wait for."""
        self._settle(pick(index, self._contended()), state)

    @precondition(lambda self: self.leases)
    @rule(
        index=picks,
        state=st.sampled_from([State.DONE, State.DONE, State.FAILED, State.IN_DOUBT, State.REJECTED]),
        is_open=st.booleans(),
    )
    def settle_anyhow(self, index: int, state: State, is_open: bool) -> None:
        """End a lease that may have ended before."""
        among = [ask for ask in self.asked if ask.owner in self.leases][-RECENT:]
        self._settle(pick(index, among), state, is_open=is_open)

    @precondition(lambda self: self.asked)
    @rule(index=picks)
    def withdraw(self, index: int) -> None:
        """Give up a place, or a grant of which nothing was started."""
        owner = pick(index, self.asked[-RECENT:]).owner
        self._tick()
        self.store.withdraw(Withdraw(owner))
        self.model.withdraw(owner, self.clock.ticks())

    # --- time and operators

    @rule(seconds=pauses)
    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self._tick()

    @rule(session=sessions, waiting=st.sampled_from([True, True, False]))
    def renew(self, session: str, waiting: bool) -> None:
        """Beat the heart of a session, for all leases that it believes to have."""
        self._tick()
        mine = [ask for ask in self.asked if ask.session == session and ask.owner in self.leases]
        beat = Renew(session, tuple((ask.owner, ask.ttl) for ask in mine), waiting, ("p", "q", "r"))
        renewed = self.store.renew(beat)
        lost, turns = self.model.renew(beat, self.clock.ticks())
        assert (set(renewed.lost), set(renewed.turns)) == (lost, turns)
        assert {killed.agent for killed in renewed.killed} == self.model.killed

    @rule(agent=agents)
    def kill_or_revive(self, agent: str) -> None:
        """Stop an agent, or let it go on."""
        self._tick()
        self.store.record(Revive(agent) if agent in self.model.killed else Kill(agent))
        self.model.killed ^= {agent}

    @precondition(lambda self: self.model.records)
    @rule(key=st.sampled_from(["k1", "k2"]), applied=st.booleans())
    def resolve(self, key: str, applied: bool) -> None:
        """Say what became of a call, whether or not it is in doubt."""
        self._tick()
        fact = Resolve(key, applied, b"by hand")
        fits = self.model.resolve(fact)
        try:
            self.store.record(fact)
        except ConfigurationError:
            assert not fits, f"{fact} should be taken"
        else:
            assert fits, f"{fact} should be refused"

    # --- what must hold

    @invariant()
    def nobody_holds_what_is_in_conflict(self) -> None:
        """Look at the backend alone, in case that it and the reference are wrong together."""
        by_owner = {ask.owner: ask for ask in self.asked}
        for one, other in combinations(self.store.snapshot().leases, 2):
            a, b = by_owner[one.owner], by_owner[other.owner]
            related = a.owner in b.ancestors or b.owner in a.ancestors
            assert related or not in_conflict(a, b), f"{a} and {b} are both granted"

    @invariant()
    def the_snapshot_is_the_models(self) -> None:
        """Compare leases, the queue and the doubts."""
        shown = self.store.snapshot()
        handed = {owner for owner, lease in self.model.leases.items() if not lease.claimed}
        claimed = set(self.model.leases) - handed
        assert claimed <= _owners(shown.leases) <= claimed | handed
        for nested in (False, True):
            queue = [ask.owner for ask in self.model.waiters.values() if bool(ask.ancestors) is nested]
            seen = [view.owner for view in shown.waiters if view.owner in self.model.waiters]
            assert [owner for owner in seen if bool(self.model.waiters[owner].ancestors) is nested] == queue
        doubts = {key for key, row in self.model.records.items() if row.state is State.IN_DOUBT}
        assert {doubt.key for doubt in shown.in_doubt} == {key for key in doubts if not self.model.runs(key)}

    # --- the steps of the rules

    def _request(self, session: str, **fields: Any) -> Begin:
        return Begin(f"c{len(self.asked)}", session, **{"tool": "act", "agent": "o", "fingerprint": "same", **fields})

    def _tick(self) -> None:
        self.clock.advance(0.001)
        self.store.sweep()
        self.model.expire(self.clock.ticks())

    def _ask(self, ask: Begin) -> None:
        self._tick()
        if not ask.repeated:
            self.asked.append(ask)
        held = self.model.leases.get(ask.owner)
        reply = self.store.begin(ask)
        expected = self.model.begin(ask._replace(repeated=False), self.clock.ticks())
        event(f"begin: {gist(expected)[0]}")
        assert gist(reply) == gist(expected), f"{ask.owner} got {reply}"
        if isinstance(reply, Granted):
            self._check_lease(ask, reply, repaired=bool(held and held.claimed))
            self._check_versions(ask, reply)

    def _check_lease(self, ask: Begin, lease: Granted, *, repaired: bool) -> None:
        if repaired:
            assert lease.fence == self.leases[ask.owner].fence
        else:
            assert lease.fence > self.last_fence
            assert lease.fence >= int(self.clock.time() * 1_000_000)
            self.last_fence = lease.fence
        self.leases[ask.owner] = lease
        # A repaired lease may be extended or not, as long as the reply tells the truth.
        assert 0 < lease.ttl <= ask.ttl
        self.model.leases[ask.owner].until = self.clock.ticks() + lease.ttl

    def _check_versions(self, ask: Begin, lease: Granted) -> None:
        assert [name for name, _ in lease.versions] == [name for name, _ in ask.wants if ask.versions]
        for name, version in lease.versions:
            moves = self.model.told.setdefault((name, version), self.model.moves[name])
            assert moves == self.model.moves[name], f"{name} has moved, and still is at version {version}"
            at_this = [at for (other, at), count in self.model.told.items() if (other, count) == (name, moves)]
            assert at_this == [version], f"{name} has not moved, and was told to be at {at_this}"
        if lease.versions:
            self.seen.append(dict(lease.versions))

    def _settle(self, ask: Begin, state: State, *, is_open: bool = False, touched: bool = True) -> None:
        self._tick()
        result = f"{ask.owner} {state}".encode()
        end = settled(self.leases[ask.owner], state, result=result, is_open=is_open, touched=touched)
        reply = self.store.settle(end)
        expected = self.model.settle(end, self.clock.ticks())
        event(f"settle: {expected}")
        assert reply is expected

    def _holders(self) -> list[Begin]:
        return [lease.ask for lease in self.model.leases.values() if lease.claimed]

    def _contended(self) -> list[Begin]:
        waiters = self.model.waiters.values()
        return [ask for ask in self._holders() if any(in_conflict(ask, waiter) for waiter in waiters)]

    def _turns(self) -> list[Begin]:
        return [lease.ask for lease in self.model.leases.values() if not lease.claimed]


def _owners(leases: Sequence[LeaseView]) -> set[str]:
    return {lease.owner for lease in leases}


def granting_machine(
    make_backend: Callable[[ManualClock], Backend], face: type[Face] = SyncFace
) -> type[GrantingMachine]:
    """Bind the machine to a backend.

    Args:
        make_backend: opens a new, empty namespace that goes by the given clock.
        face: through which face the backend is spoken to.
    """
    return type("BoundMachine", (GrantingMachine,), {"make_backend": staticmethod(make_backend), "face": face})
