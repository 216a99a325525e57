"""A driver for tests: it performs the steps of a program from a table of answers, on a clock that only steps move."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clawproof_langgraph.core.steps import Afford, AskHuman, Draw, Now, Probe, Program, Returned, Run, Sleep, Step, Wait
from clawproof_langgraph.errors import BackendUnavailable
from clawproof_langgraph.model import Begin, Granted, Queued, Resolve, Settle, SettleReply
from clawproof_langgraph.testing.builders import call

DOWN = BackendUnavailable("memory://", "it is down")
CLOSED = BackendUnavailable.after_close("memory://")
ASK = call("me", "inventory/1", key="k", ttl=10.0)
LEASE = Granted("me", 7, 10.0, "k")
BUSY = Queued("inventory/1", 'agent "other"', 4.0)
DONE = Returned("3 left", b'1"3 left"')

Moment = tuple[type[Any], int]
"""A kind of step, and how many of it come before."""


@dataclass
class Played:
    """What a program did: its steps in order, and how it ended."""

    steps: list[Step] = field(default_factory=list)
    returned: Any = None
    raised: BaseException | None = None
    finished_at: float = 0.0

    def of(self, *kinds: type[Any]) -> list[Any]:
        """List the steps of these kinds."""
        return [step for step in self.steps if isinstance(step, kinds)]

    @property
    def effects(self) -> list[Step]:
        """List the steps that do something: neither the time, nor chance, nor the budget."""
        return [step for step in self.steps if not isinstance(step, Now | Draw | Afford)]

    @property
    def kinds(self) -> list[str]:
        """Name the steps that do something."""
        return [type(step).__name__ for step in self.effects]


class _Stage:
    """Answers steps."""

    def __init__(
        self,
        begins: Iterable[Any],
        runs: Iterable[Any],
        settles: Iterable[Any],
        affords: Iterable[bool],
        findings: Iterable[Any],
        records: Iterable[Any],
        chance: float,
        takes: float,
    ) -> None:
        self._begins, self._runs, self._settles = iter(begins), iter(runs), iter(settles)
        self._findings, self._records = iter(findings), iter(records)
        self._affords, self._chance, self._takes = iter(affords), chance, takes
        self.now = 0.0

    def answer(self, step: Step) -> Any:
        match step:
            case Begin():
                return next(self._begins)
            case Run():
                self.now += self._takes
                return next(self._runs)
            case Settle():
                return next(self._settles, SettleReply.SETTLED)
            case Now():
                return self.now
            case Draw():
                return self._chance
            case Afford():
                return next(self._affords, True)
            case Probe() | AskHuman():
                return next(self._findings)
            case Resolve():
                return next(self._records, None)
            case Wait() | Sleep():
                self.now += step.seconds
                return None
            case _:
                return None


def play(
    program: Program[Any],
    *,
    begins: Iterable[Any] = (LEASE,),
    runs: Iterable[Any] = (DONE,),
    settles: Iterable[Any] = (),
    affords: Iterable[bool] = (),
    findings: Iterable[Any] = (),
    records: Iterable[Any] = (),
    chance: float = 0.5,
    takes: float = 0.0,
    interrupt: tuple[Moment, BaseException] | None = None,
) -> Played:
    """Perform a program to its end.

    Args:
        program: it has not begun yet.
        begins, runs, settles: the answers to these steps in order; an exception is thrown in.
        affords: whether the budget allows each retry, in order; those after them are allowed.
        findings: the answers to probes and questions, in order.
        records: the answers to resolutions, in order; those after them are taken.
        chance: the answer to every draw.
        takes: seconds that each run takes.
        interrupt: an exception to throw in, and at which step.
    """
    played, stage = Played(), _Stage(begins, runs, settles, affords, findings, records, chance, takes)
    answer: Any = None
    try:
        while True:
            step = program.throw(answer) if isinstance(answer, BaseException) else program.send(answer)
            played.steps.append(step)
            answer = stage.answer(step)
            if interrupt is not None and _is_at(played.steps, interrupt[0]):
                answer = interrupt[1]
    except StopIteration as end:
        played.returned = end.value
    except BaseException as error:  # noqa: BLE001 - how the program ended is what the tests look at
        played.raised = error
    played.finished_at = stage.now
    return played


def _is_at(steps: list[Step], moment: Moment) -> bool:
    kind, before = moment
    return isinstance(steps[-1], kind) and sum(isinstance(step, kind) for step in steps) == before + 1
