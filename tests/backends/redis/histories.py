"""Random histories of commands: whatever may stand in one stands in some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from random import Random
from typing import Any, Final

from clawproof_langgraph.backends.redis import encoding
from clawproof_langgraph.model import (
    Begin,
    Granted,
    Kill,
    Killed,
    Mode,
    Note,
    Queued,
    Renew,
    Resolve,
    Revive,
    Settle,
    State,
    Sweep,
    Want,
    Withdraw,
)

NAMES: Final = (
    "inventory/1", "inventory/10", "order 7", 'a "quoted" \\ name', "Grüße/名前/😀", "%s%d%%", "=12", "0 0 x", "[(",
    "\U00100000x", "\u007f", "ÿ", "a", "aa",
)  # fmt: skip
AGENTS: Final = ("", "orders", 'pricing "eu" /\\ ü', "stock")
SESSIONS: Final = ("s1", "s2", "s3")
KEYS: Final = ("order/1", "order/1 ", 'k"\\/é', "\U00100001")
DATES: Final = (1_800_000_000.0, 1.0, 9_007_197_500.0)
"""When a history begins; from the last on, µs come near to 2**53."""
PASSED: Final = (0.0, 0.0, 0.0, 1e-6, 0.01, 0.3, 0.9, 1.0, 1.1, 3.1, 10.0, 31.0)


@dataclass
class Call:
    """A request of the history, and how it stands."""

    ask: Begin
    lease: Granted | None = None
    known: bool = False
    over: bool = False


class History:
    """Makes up one command after another; what it makes up rests on the replies to those before.

    Args:
        seed: what all of it follows from.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = self.random.choice(DATES)
        self.ticks = self.now if self.random.random() < 0.7 else self.random.choice((5.0, 123456.789))
        self.calls: list[Call] = []
        self._crowd = self.random.choice((1, 2, 4))
        self._scopes = self.random.choice((("",), ("", "", "scope1", "scope2"), ("scope1",)))
        self._names = self.random.sample(NAMES, self.random.choice((1, 2, 3, 6)))

        # One or two of three resources each, so that who is first in one line is not in another, and nothing else.
        self._crossing = self.random.random() < 0.25

    def pass_time(self) -> None:
        """Let time pass, or somebody set the clocks."""
        if self._crossing:
            self.now, self.ticks = self.now + 0.002, self.ticks + 0.002
            return
        chance = self.random.random()
        passed = self.random.choice(PASSED) if chance < 0.35 else self.random.choice((0.0, 0.0, 0.002))
        self.now, self.ticks = self.now + passed, self.ticks + passed
        if chance > 0.995:
            self.ticks += self.random.choice((-40.0, -2.0, 3600.0))
        elif chance > 0.98:
            self.now = max(self.now + self.random.choice((-3600.0, -0.5, 60.0)), 0.0)

    def command(self) -> tuple[str, list[Any], Call | None]:
        """Make up a command: its script, its arguments, and the call that it is about, if its reply tells of one."""
        waiting = [call for call in self.calls if call.lease is None and not call.over]
        running = [call for call in self.calls if call.lease is not None and not call.over]
        likely: list[tuple[float, Callable[[], tuple[str, list[Any], Call | None]]]] = [
            (1.5, self._renew),
            (0.7, self._administer),
        ]
        if len(waiting) < 3 * self._crowd:
            likely.append((4, self._begin))
        if waiting:
            likely.append((4, lambda: self._begin_again(self.random.choice(waiting))))
        if running:
            likely.append((5, lambda: self._settle(self.random.choice(running))))
        if waiting or running:
            likely.append((0.4, lambda: self._withdraw(self.random.choice(waiting + running))))
        (make,) = self.random.choices([each for _, each in likely], [weight for weight, _ in likely])
        return make()

    def _begin(self) -> tuple[str, list[Any], Call]:
        r = self.random
        call = Call(self._request(f"o{len(self.calls)}"))
        self.calls.append(call)
        call.known = r.random() < 0.95
        fast = r.random() < 0.97
        return "begin", encoding.of_fast_begin(call.ask) if fast else encoding.of_begin(call.ask), call

    def _request(self, owner: str) -> Begin:
        r = self.random
        if self._crossing:
            wants = tuple(Want(name, Mode.EXCLUSIVE) for name in sorted(r.sample(NAMES[:3], r.randint(1, 2))))
            return Begin(owner, r.choice(SESSIONS), wants, bell="b1")
        names = set(r.sample(self._names, r.randint(0, min(3, len(self._names)))))
        if r.random() < 0.1:
            names |= {f"many/{i}" for i in range(r.randint(1, 20))}
        shared = r.random() < 0.15
        wants = tuple(
            Want(name, Mode.SHARED if shared and r.random() < 0.6 else Mode.EXCLUSIVE) for name in sorted(names)
        )
        is_call = r.random() < 0.7 or not wants
        more: dict[str, Any] = {}
        if is_call:
            more = {
                "tool": r.choice(("reserve", 'sell "all"', "ß/\\")), "thread": r.choice(("t1", "", 't"2/')),
                "key": r.choice((*KEYS, owner, owner, "")), "fingerprint": r.choice(("same", "same", "same", "other")),
                "scope": r.choice(self._scopes), "lineage": r.choice(("", "", "g:1", "g:2 h:1")),
                "rerun_within": r.choice((0.0, 0.0, 60.0, inf)), "task": r.choice(("", "task1")),
                "data": r.choice(({}, {}, {"sku": 'x"\\é\n', "n": 2**53 - 1, "nested": {"a": [1.5, None]}})),
            }  # fmt: skip
        running = [call.ask for call in self.calls if call.lease is not None and not call.over]
        if running and r.random() < 0.15:
            outer = r.choice(running)
            more["ancestors"] = (*outer.ancestors, outer.owner)
        if wants and r.random() < 0.06:
            more["versions"] = True
        elif wants and r.random() < 0.04:
            more["seen"] = tuple((want.resource, 1) for want in wants)
        return Begin(
            owner=owner, session=r.choice(SESSIONS), wants=wants, ttl=r.choice((30.0, 30.0, 2.0, 0.5, 86400.125)),
            agent=r.choice(AGENTS), bell=r.choice(("", "b1", "b2")), expected=r.choice((0.0, 0.2)),
            waited=r.choice((0.0, 0.0, 0.125, 0.00001, 12.3456789)), **more,
        )  # fmt: skip

    def _begin_again(self, call: Call) -> tuple[str, list[Any], Call]:
        how = self.random.random()
        again = call.ask._replace(repeated=True, waited=self.random.choice((0.25, 1e-5, 3.0)))
        if how < 0.7:
            return "begin", encoding.of_fast_begin(again), call
        if how < 0.85:
            return "begin", encoding.of_fast_begin(again, ahead=True), call
        return "begin", encoding.of_begin(again, unheard=True), call

    def _settle(self, call: Call) -> tuple[str, list[Any], None]:
        r, lease = self.random, call.lease
        assert lease is not None
        end = Settle(
            lease.owner, lease.fence, State.DONE if call.ask.tool else None, lease.key, attempt=lease.attempt + 1
        )
        if end.state and r.random() < 0.8:
            end = replace(end, result=r.choice((b"", b"42", b'{"a":"\xc3\xa9"}\n\x00\xff')))
        while r.random() < 0.4:
            end = replace(end, **self._odd())
        unheard = r.random() < 0.05
        call.over = r.random() < 0.95
        ask = call.ask if call.known and not unheard else None
        return "settle", encoding.of_settle(end, ask, unheard=unheard), None

    def _odd(self) -> dict[str, Any]:
        """Make up what seldom stands in an outcome."""
        r = self.random
        oddities: tuple[dict[str, Any], ...] = (
            {"state": r.choice((None, *State))}, {"touched": False}, {"is_open": True}, {"attempt": 7},
            {"error": "ParentCommand"}, {"by": "ops"}, {"emits": (("Sold", {"sku": 'é"'}), ("Bare", {}))},
            {"facts": {"retries": 'none "left"'}}, {"fence": 1}, {"result": None},
        )  # fmt: skip
        return r.choice(oddities)

    def _withdraw(self, call: Call) -> tuple[str, list[Any], None]:
        call.over = True
        reason = self.random.choice(("", "gave up"))
        return "withdraw", encoding.of_withdraw(Withdraw(call.ask.owner, reason, call.ask)), None

    def _renew(self) -> tuple[str, list[Any], None]:
        session = self.random.choice(SESSIONS)
        held = [each for each in self.calls if each.ask.session == session and each.lease is not None and not each.over]
        leases = tuple((call.ask.owner, call.ask.ttl) for call in held)
        return "renew", encoding.of_renew(Renew(session, leases, True, tuple(filter(None, AGENTS)))), None

    def _administer(self) -> tuple[str, list[Any], None]:
        r = self.random
        agent, key = r.choice(AGENTS[1:]), r.choice((*KEYS, "o1", "o2"))
        match r.randrange(6):
            case 0:
                return (
                    "sweep",
                    encoding.of_sweep(Sweep(limit=r.choice((1, 500)), keep_results=20.0, keep_events=20.0)),
                    None,
                )
            case 1:
                return (*encoding.of_fact(Kill(agent, "it errs", "ops")), None)
            case 2 | 3:
                return (*encoding.of_fact(Revive(agent, "ops")), None)
            case 4:
                return (*encoding.of_fact(Resolve(key, r.random() < 0.5, r.choice((None, b"7")))), None)
            case _:
                return (*encoding.of_fact(Note("Told", agent, resources=("x", "y"), data={"a": "/"})), None)

    def heard(self, call: Call, reply: Any) -> None:
        """Take in the reply to a request."""
        if isinstance(reply, Exception) or reply[0] == b"absent":
            call.over = True
            return
        answer = encoding.begun(call.ask, reply)
        if isinstance(answer, Granted):
            call.lease = answer
            call.known = call.known and answer.key == call.ask.key and not answer.attempt
        elif not isinstance(answer, Queued):
            call.over = not isinstance(answer, Killed) or self.random.random() < 0.5
