"""Every error of the package: what happened, to which call or resource, and the remedy."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final


class ClawproofWarning(UserWarning):
    """Warns of something that weakens a promise or that an operator should look at."""


def meant(word: object, known: Iterable[str]) -> str:
    """Say which of the known words one may have meant by a word that is not among them."""
    words = list(known)
    near = difflib.get_close_matches(str(word), words, n=1)
    return f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(words)}."


class ClawproofError(Exception):
    """Base of all errors of this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The arguments of a subclass are not its message: without this, an error could not leave its process.
        return _remake, (type(self), self.args, self.__dict__)


def _remake(kind: type[ClawproofError], args: tuple[Any, ...], facts: dict[str, Any]) -> ClawproofError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


class ConfigurationError(ClawproofError, ValueError):
    """Says that a policy, a URL or a call of this package is wrong, before any tool runs."""


class UnmappedTool(ConfigurationError):
    """Says that a tool has no policy.

    Args:
        tools: the names of all tools without a policy.
        unused: the names of policies without a tool, one of which may be misspelt.
    """

    def __init__(self, tools: list[str] | tuple[str, ...], unused: Sequence[str] = ()) -> None:
        self.tools = tuple(tools)
        spare = f" Policies that no tool has taken: {', '.join(unused)}." if unused else ""
        table = "\n".join(f'    "{name}": ToolPolicy(locks=["..."]),' for name in self.tools)
        super().__init__(
            f"{len(self.tools)} tool(s) without a policy: {', '.join(self.tools)}.{spare} Add each to the tools of the "
            f'guard (ToolPolicy(effect="read") for one that changes nothing), or set unmapped="serialize" or "allow":\n'
            f"{table}"
        )


class UnfitArgument(ConfigurationError):
    """Says that an argument of a call gives no name for a resource or a key; the tool was not run.

    Args:
        tool: the tool that was called.
        why: which argument, and what is wrong with it.
        noun: what the tool is, where it is a node or a graph that reads its state.
    """

    def __init__(self, tool: str, why: str, noun: str = "tool") -> None:
        self.tool = tool
        super().__init__(f'{noun.capitalize()} "{tool}" was not run. {why}')


class UndeclaredWrite(ConfigurationError):
    """Says that a call would change what its agent does not say that it changes; the tool was not run.

    Args:
        tool: the tool that was called.
        agent: whose call it is.
        resources: what it would have alone.
        writes: patterns of what the agent says that it changes.
        noun: what the tool is, where it is a node that reads its state.
    """

    def __init__(
        self, tool: str, agent: str, resources: tuple[str, ...], writes: tuple[str, ...], noun: str = "tool"
    ) -> None:
        self.tool, self.agent, self.resources = tool, agent, resources
        super().__init__(
            f'{noun.capitalize()} "{tool}" was not run: agent "{agent}" may change {", ".join(writes) or "nothing"}, '
            f"and not {', '.join(resources)}. Do not try this again; leave it to an agent that may, or report it. "
            f"Whoever runs the agents can add it to `writes` of the agent."
        )


class WaitTimeout(ClawproofError, TimeoutError):
    """Says that a turn did not come within the wait limit; nothing was run.

    Args:
        resource: the resource that was in the way.
        holder: who holds it, in words.
        waited: seconds.
    """

    def __init__(self, resource: str, holder: str, waited: float) -> None:
        self.resource, self.holder, self.waited = resource, holder, waited
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        return (
            f'Waited {self.waited:.1f} s for "{self.resource}", held by {self.holder}; nothing was run. '
            f"Try again later, or allow a longer `wait`."
        )


class CallInProgress(WaitTimeout):
    """Says that the same call (the same idempotency key) is still running elsewhere."""

    def _sentence(self) -> str:
        return (
            f'The same call (key "{self.resource}") is still running in {self.holder} after {self.waited:.1f} s; '
            f"it was not started a second time. Ask again later for its result."
        )


_LIST_BOTH: Final = (
    "Take both in one step: list them in the policy of the outer call, or in the outer coordinator.lock(...)."
)


class LockOrderError(ClawproofError):
    """Says that a nested lock would break the global order and could deadlock.

    Args:
        wanted: the resource that was asked for.
        held: the resource that the call chain holds already.
        why: what rule it breaks.
        remedy: what to do instead.
    """

    def __init__(self, wanted: str, held: str, why: str, remedy: str = _LIST_BOTH) -> None:
        self.wanted, self.held = wanted, held
        super().__init__(f'Cannot lock "{wanted}" while holding "{held}": {why}. {remedy}')


class StaleRead(ClawproofError):
    """Says that a resource changed between this agent's read and its write.

    Args:
        resource: the resource that changed.
        seen: the version that the agent read, None if it never read it.
        current: the version now; None where it is not known, since nobody has read it for long.
        changed_by: who changed it, in words; empty where that is not known.
        changed_at: when, in seconds since the epoch; 0 where that is not known.
        others: further resources of the same call that changed or were not read.
    """

    def __init__(
        self,
        resource: str,
        seen: int | None,
        current: int | None,
        changed_by: str = "",
        changed_at: float = 0.0,
        others: tuple[str, ...] = (),
    ) -> None:
        self.resource, self.seen, self.current = resource, seen, current
        self.changed_by, self.changed_at, self.others = changed_by, changed_at, others
        saw = "nothing of it" if seen is None else f"version {seen}"
        also = f" The same is true of {', '.join(others)}." if others else ""
        super().__init__(
            f'"{resource}" is not as this agent read it: it is at {self._now()}; this agent saw {saw}.{also} Nothing '
            f"was run. Read {'them' if others else 'it'} again, and decide anew from what you find."
        )

    def _now(self) -> str:
        version = "a version that is not known" if self.current is None else f"version {self.current}"
        who = f", changed by {self.changed_by}" if self.changed_by else ""
        when = f" at {datetime.fromtimestamp(self.changed_at, UTC):%Y-%m-%d %H:%M:%S} UTC" if self.changed_at else ""
        return version + who + when


class AgentKilled(ClawproofError):
    """Says that an operator has stopped this agent.

    Args:
        agent: the agent's name.
        reason: why it was stopped.
        by: who stopped it.
    """

    def __init__(self, agent: str, reason: str, by: str) -> None:
        self.agent, self.reason, self.by = agent, reason, by
        super().__init__(
            f'Agent "{agent}" was stopped by {by or "an operator"}{f": {reason}" if reason else ""}. Its tools do not '
            f"run. Stop working and report this; an operator can run `clawproof revive {shlex.quote(agent)}`."
        )


class LeaseLost(ClawproofError):
    """Says that the lease of a running call ended before the call did.

    Args:
        resources: what it held.
        why: how the lease was lost.
    """

    def __init__(self, resources: tuple[str, ...], why: str) -> None:
        self.resources = resources
        super().__init__(
            f"The lease on {', '.join(resources) or 'this call'} was lost: {why}. Another holder may be at work; "
            f"stop writing, or write with `fence` to a store that refuses an old one. A longer `ttl` gives more time."
        )


class FingerprintMismatch(ClawproofError):
    """Says that an idempotency key was used before with other arguments, or by another tool.

    Args:
        key: the idempotency key.
        tool: the tool that was called.
    """

    def __init__(self, key: str, tool: str) -> None:
        self.key, self.tool = key, tool
        super().__init__(
            f'Key "{key}" of tool "{tool}" was used before with other arguments, or by another tool; nothing was run. '
            f"Use a new key for a new intent, or name in `key_fields` the arguments that make the call the same."
        )


class OutcomeUnknown(ClawproofError):
    """Says that the effect of a call may or may not have happened.

    Args:
        key: the idempotency key of the call in doubt.
        tool: the tool that was called.
        why: what a look into it has found, if it does not settle the question.
    """

    def __init__(self, key: str, tool: str, why: str = "") -> None:
        self.key, self.tool, self.why = key, tool, why
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        found = f" ({self.why})" if self.why else ""
        return (
            f'The outcome of an earlier "{self.tool}" call with these arguments is unknown: it may have taken effect'
            f"{found}. It was not run again, and must not be repeated. Find out what happened, then run "
            f"`clawproof resolve {shlex.quote(self.key)} applied` (or not_applied). The tool's author can narrow the "
            f"doubt with NotApplied or not_applied_on, and with call.effect_begins()."
        )


class OutcomeUnrecorded(OutcomeUnknown):
    """Says that a tool returned, but its result could not be stored.

    Args:
        key: the idempotency key; empty for a read.
        tool: the tool that was called.
        result: what the tool returned.
    """

    def __init__(self, key: str, tool: str, result: Any) -> None:
        self.result = result
        super().__init__(key, tool)

    def _sentence(self) -> str:
        told = f'Tool "{self.tool}" returned, but the store could not record it'
        if not self.key:
            return f"{told}; what the call held is free when its lease ends."
        return (
            f'{told} under key "{self.key}": the call will be in doubt, though it took effect. When the store is back, '
            f"run `clawproof resolve {shlex.quote(self.key)} applied`."
        )


class BackendUnavailable(ClawproofError):
    """Says that the coordination store cannot be used; no tool was run uncoordinated.

    Args:
        store: the store, without credentials.
        why: what failed.
        remedy: what to do.
        closed: whether the coordinator was closed, so that trying again is in vain.
    """

    def __init__(
        self, store: str, why: str, *, remedy: str = "repair the store, then try again", closed: bool = False
    ) -> None:
        self.store, self.closed = store, closed
        super().__init__(f"The coordination store {store} is unavailable: {why}. No tool runs without it; {remedy}.")

    @classmethod
    def after_close(cls, store: str) -> BackendUnavailable:
        """Make the error of those who use a coordinator that was closed."""
        return cls(store, "this coordinator was closed", remedy="open a new one", closed=True)


class NotApplied(ClawproofError):
    """Raise this in a tool to say that nothing happened and a retry is safe."""


class Rejected(ClawproofError):
    """Raise this in a tool to say that the call is refused for good; a repeat gets the same answer."""
