"""The tool's own code as the body of a guarded call: run once, on a thread or on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from clawproof_langgraph.core.steps import AskHuman, Ending, Finding, Raised, Returned
from clawproof_langgraph.graph import outcomes
from clawproof_langgraph.graph.asking import Human
from clawproof_langgraph.graph.identity import NOWHERE, CallSite
from clawproof_langgraph.graph.probing import alook, look
from clawproof_langgraph.graph.subgraphs import numbered_apart
from clawproof_langgraph.policy import ToolPolicy
from clawproof_langgraph.runtime.budget import RetryBudget
from clawproof_langgraph.runtime.context import CallContext, current_call, running
from clawproof_langgraph.runtime.lease import Lease


@dataclass(frozen=True, slots=True)
class ToolTraits:
    """What of a tool matters for judging how it ended.

    Args:
        name: the tool's.
        policy: the tool's.
        mcp: whether it calls an MCP server.
        marks_effect: whether its code says when its effect begins.
        gives_pair: whether its body returns content and artifact.
    """

    name: str
    policy: ToolPolicy
    mcp: bool
    marks_effect: bool
    gives_pair: bool


class ToolBody:
    """Runs a tool's code.

    Args:
        traits: of the tool.
        coordinator: whose lease it runs under.
        run: the code, for a thread; None if there is only the other.
        arun: the code, for an event loop.
        budget: the retries that the tool may make; None for a budget of this call's own.
        arguments: what the model gave.
        site: where the call comes from.
    """

    def __init__(
        self,
        traits: ToolTraits,
        coordinator: object,
        run: Callable[[], Any] | None,
        arun: Callable[[], Awaitable[Any]] | None = None,
        budget: RetryBudget | None = None,
        arguments: Mapping[str, Any] = MappingProxyType({}),
        site: CallSite = NOWHERE,
    ) -> None:
        self._traits, self._coordinator = traits, coordinator
        self._arguments, self._site = arguments, site
        self._human: Human | None = None
        self._budget, self._retried = budget or RetryBudget("tool"), False
        self._code, self._acode = run, arun
        outer = current_call()
        self._nested = outer is not None and outer.task == site.task
        self.blocking = arun is None

    def run(self, lease: Lease, attempt: int) -> Returned | Raised:
        """Run it once on this thread."""
        assert self._code is not None
        call = self._context(lease, attempt)
        try:
            with running(call, lease, self._coordinator), self._numbered_apart(lease):
                value = self._code()
        except BaseException as error:  # noqa: BLE001 - judged here, settled by the program, raised again by the guard
            return self._raised(error, call)
        return self._returned(value)

    async def arun(self, lease: Lease, attempt: int) -> Returned | Raised:
        """Run it once on the event loop; it is cancelled when the lease is lost."""
        assert self._acode is not None
        call = self._context(lease, attempt)
        cancelling = _CancelOnLoss(lease)
        try:
            with running(call, lease, self._coordinator), self._numbered_apart(lease):
                value = await self._acode()
        except BaseException as error:  # noqa: BLE001 - as above
            by_us = cancelling.end() and isinstance(error, asyncio.CancelledError)
            judged = self._raised(error, call)
            return replace(judged, error=lease.loss()) if by_us else judged
        cancelling.end()
        return self._returned(value)

    def afford_retry(self) -> bool:
        """Take one more retry out of the tool's budget, and tell whether it was there."""
        self._retried = self._budget.take()
        return self._retried

    def probe(self, lease: Lease, attempt: int) -> Finding:
        """Let the tool's author tell what became of the execution before."""
        assert self._traits.policy.probe is not None
        call = self._context(lease, attempt)
        with running(call, lease, self._coordinator):
            return look(self._traits.policy.probe, call, lease.ttl)

    async def aprobe(self, lease: Lease, attempt: int) -> Finding:
        """Do what `probe` does, from an event loop."""
        assert self._traits.policy.probe is not None
        call = self._context(lease, attempt)
        with running(call, lease, self._coordinator):
            return await alook(self._traits.policy.probe, call, lease.ttl)

    def ask_human(self, step: AskHuman) -> Finding:
        """Ask a human what became of a call.

        Raises:
            GraphInterrupt: there is no answer yet.
        """
        return self._the_human().ask(step.held, counts=step.counts)

    def pass_over(self, answers: int) -> None:
        """Take so many answers of a human out of the way."""
        self._the_human().pass_over(answers)

    def _the_human(self) -> Human:
        self._human = self._human or Human(self._traits.name, self._arguments)
        return self._human

    def _numbered_apart(self, lease: Lease) -> AbstractContextManager[None]:
        return numbered_apart(self._site, lease.key, nested=self._nested)

    def _context(self, lease: Lease, attempt: int) -> CallContext:
        name, task = self._traits.name, self._site.task
        return CallContext(lease, attempt=attempt, tool=name, arguments=self._arguments, task=task)

    def _returned(self, value: Any) -> Returned:
        judged = outcomes.returned(value, mcp=self._traits.mcp)
        if judged.ending is Ending.RETURNED:
            self._budget.give_back(retried=self._retried)
        return judged

    def _raised(self, error: BaseException, call: CallContext) -> Raised:
        begun = call.effect_begun or not self._traits.marks_effect
        inside = call.was_raised_inside(error)
        traits = self._traits
        return outcomes.raised(error, mcp=traits.mcp, policy=traits.policy, effect_begun=begun, inside=inside)


class _CancelOnLoss:
    """Cancels the task that runs an async tool when the heartbeat finds its lease lost."""

    def __init__(self, lease: Lease) -> None:
        task = asyncio.current_task()
        assert task is not None, "a coroutine on an event loop runs in a task"
        self._lease, self._task = lease, task
        self._loop = asyncio.get_running_loop()
        self._running, self._cancelled = True, False
        lease.on_lost(self._from_heartbeat)

    def _from_heartbeat(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop is closed, and the tool with it
            return

    def _cancel(self) -> None:
        if self._running and not self._cancelled:
            self._cancelled = self._task.cancel()

    def end(self) -> bool:
        """Stop watching; tell whether the tool was cancelled for its lost lease, and for nothing else."""
        self._running = False
        self._lease.on_lost(None)
        # Also where the tool has swallowed the cancellation: the task goes on, and whoever counts its cancellations
        # later, such as a time-out or a task group, must not find ours.
        return self._cancelled and self._task.uncancel() == 0
