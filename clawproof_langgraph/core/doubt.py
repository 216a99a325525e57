"""Finding out what became of a call in doubt: by a probe of the tool's author, or by asking a human."""

from __future__ import annotations

from clawproof_langgraph.core.steps import AskHuman, Finding, PassOver, Probe, Program
from clawproof_langgraph.errors import ConfigurationError, LeaseLost
from clawproof_langgraph.model import Asked, Begin, Granted, Held, Replay, Resolve, Settle, State, Withdraw


def look_into(ask: Begin, lease: Granted) -> Program[Granted | Replay | Held]:
    """Probe a call in doubt under its lease, so that nobody runs it meanwhile.

    Returns:
        The lease where nothing had happened, the stored result where the effect had; the doubt where it remains. But
        in the first case the lease is given back.

    Raises:
        LeaseLost: it had ended before what was found could be recorded.
    """
    try:
        found: Finding = yield Probe(lease)
        if found.applied:
            yield Settle(
                ask.owner, lease.fence, State.DONE, lease.key, found.result, attempt=lease.attempt, by=found.by
            )
            return Replay(lease.key, found.result, asked=lease.asked)
        if found.applied is not None:
            yield from _clear(ask, lease, found)
            return lease
    except BaseException:
        yield Withdraw(ask.owner, within=ask.ttl)
        raise
    yield Withdraw(ask.owner, within=ask.ttl)
    return Held(lease.key, ask.tool, lease.in_doubt, lease.asked, found.why)


def _clear(ask: Begin, lease: Granted, found: Finding) -> Program[None]:
    try:
        yield Resolve(lease.key, applied=False, by=found.by, owner=ask.owner)
    except ConfigurationError as exc:  # somebody else may have run the call by now, and the finding is of the past
        raise LeaseLost(tuple(want.resource for want in ask.wants), "it ended while the doubt was looked into") from exc


class Questions:
    """Counts the answers of a human that one execution of a task has taken.

    LangGraph gives them by their order, anew in each execution: to the first question the first answer, whoever asked
    what. So a question that was asked in an earlier execution must be asked again, also if its answer has come too
    late; the store knows which ones there were. And an answer to a question that is asked for the first time was meant
    for another one, perhaps for the tool's own.
    """

    def __init__(self) -> None:
        self._taken = 0

    def ask(self, ask: Begin, held: Held) -> Program[None]:
        """Ask what became of a call, and record the answer, once there is one that can be understood."""
        for about in held.asked[self._taken :]:
            found: Finding = yield AskHuman(held, counts=about == held.fence)
            self._taken += 1
            if found.applied is not None:
                yield from _record(held, found)
                return
        while True:
            yield from self._ask_anew(ask, held)

    def _ask_anew(self, ask: Begin, held: Held) -> Program[None]:
        try:
            yield AskHuman(held, counts=False)
        except BaseException:
            yield Asked(held.key, ask.task, held.fence)
            raise
        # Not even LangGraph knows which question that answer was for; when the task is run again, it comes up again.
        yield Asked(held.key, ask.task, 0)
        self._taken += 1

    def pass_over(self, asked: tuple[int, ...]) -> Program[None]:
        """Take the answers to questions that have become moot, before the tool asks its own."""
        moot = len(asked) - self._taken
        if moot > 0:
            self._taken += moot
            yield PassOver(moot)


def _record(held: Held, found: Finding) -> Program[None]:
    assert found.applied is not None
    try:
        yield Resolve(held.key, found.applied, found.result, found.by, fence=held.fence)
    except ConfigurationError:  # somebody was faster; to ask for a turn again shows how it is now
        return
