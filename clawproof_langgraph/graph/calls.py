"""One tool under one policy: from arguments to a request, and from its end to what LangGraph sees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from langchain_core.messages import ToolMessage

from clawproof_langgraph import codec, events, keys
from clawproof_langgraph.config.globs import fits
from clawproof_langgraph.config.models import ResourceTerms
from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.core.call import Ended, Terms, guarded_call
from clawproof_langgraph.core.outcome import state_after
from clawproof_langgraph.core.steps import Ending, Raised, Returned
from clawproof_langgraph.errors import (
    AgentKilled,
    ClawproofError,
    ConfigurationError,
    LockOrderError,
    Rejected,
    UndeclaredWrite,
    UnfitArgument,
    WaitTimeout,
)
from clawproof_langgraph.graph import results
from clawproof_langgraph.graph.arguments import shown
from clawproof_langgraph.graph.body import ToolBody, ToolTraits
from clawproof_langgraph.graph.declared import Agents, beyond, check_declared, note_of
from clawproof_langgraph.graph.identity import CallSite, derive_key, lineage_of, named_by_outer, number_of
from clawproof_langgraph.graph.lookout import Lookout
from clawproof_langgraph.graph.notices import Notices
from clawproof_langgraph.graph.refusals import error_of, message_of
from clawproof_langgraph.graph.seen import seen_in, sees_no_history, space_of
from clawproof_langgraph.model import Begin, Held, Mode, Note, Replay, State, Versions, Want
from clawproof_langgraph.policy import Effect, Retry, ToolPolicy
from clawproof_langgraph.runtime.context import current_call
from clawproof_langgraph.runtime.lease import Lease
from clawproof_langgraph.templates import Template, agent_name, canonical, parse

Values = Mapping[str, Any]
Tell = Callable[[Versions], None]
Resources = tuple[tuple[str, ResourceTerms], ...]
"""Patterns of resources, with what is said of them."""


def _untold(versions: Versions) -> None:
    """Tell nobody: what is no tool call has no message."""


class CallNames(NamedTuple):
    """What tells a call from others, as in `Begin`."""

    key: str = ""
    fingerprint: str = ""
    scope: str = ""
    lineage: str = ""


class GuardedCalls:
    """Coordinates the calls of one tool.

    Args:
        coordinator: where.
        tool: the tool's name.
        policy: how.
        agent: the agent's name; empty to find it per call.
        traits: of the tool.
        notices: of the guard, for what is told once.
        lookout: of the guard, for what is around the calls.
        resources: terms by resource pattern.
        asking: the guard's tools of whose calls in doubt a human is asked.
        agents: what agents say that they change.
    """

    noun = "tool"
    """What is called, for humans."""
    body = ToolBody
    """What runs it."""

    def __init__(
        self,
        coordinator: Coordinator,
        tool: str,
        policy: ToolPolicy,
        agent: str,
        traits: ToolTraits,
        notices: Notices,
        lookout: Lookout,
        resources: Resources = (),
        asking: Container[str] = (),
        agents: Agents = MappingProxyType({}),
    ) -> None:
        self._coordinator, self._tool, self.policy, self._agent = coordinator, tool, policy, agent
        self._traits, self._notices, self.lookout, self._resources = traits, notices, lookout, resources
        locks = [(parse(lock.resource), lock.mode) for lock in policy.lock_list()]
        self._locks = tuple([(template, mode) for template, mode in locks if mode is not Mode.ADVISORY])
        self._advisory = tuple([template for template, mode in locks if mode is Mode.ADVISORY])
        self._key = parse(policy.key) if isinstance(policy.key, str) else policy.key
        self._retry: Retry | None = policy.retry or None
        self._budget = coordinator.retry_budget(tool)
        self._asking, self._agents = asking, agents
        self._rerun_within = policy.rerun_within()
        probed, emits = policy.probe is not None, policy.emits or ""
        self._terms = Terms(policy.effect, policy.wait_limit(), self._retry, probed, emits, {})

    # --- sync and async -----------------------------------------------------------------------------------------

    def run(
        self, code: Callable[[], Any], values: Values, site: CallSite, tool_call_id: str | None, note: Tell = _untold
    ) -> Any:
        """Run the tool under coordination and give what LangGraph sees.

        Args:
            code: the tool's.
            values: what the model gave.
            site: where the call comes from.
            tool_call_id: which call it answers.
            note: is told which versions the answer is to tell.
        """
        driver = self._coordinator.driver(self._body(code, None, values, site), site.pulse)
        try:
            ask = self._ask(values, site, driver.take_bell)
            if self._agents and (undeclared := self._undeclared(ask)):
                self._coordinator.tell(undeclared)
            ended = driver.drive(guarded_call(ask, self._terms_of(ask, values)))
        except LockOrderError as exc:
            self._coordinator.tell(self._prevented(exc, site))
            raise
        except UndeclaredWrite as exc:
            self._coordinator.tell(note_of(exc.agent, site.thread, self._tool, exc.resources))
            return self._refuse(exc, tool_call_id)
        except (WaitTimeout, AgentKilled, UnfitArgument) as exc:
            return self._refuse(exc, tool_call_id)
        note(self._versions_after(ended, ask, driver.lease))
        return self._conclude(ended, site, tool_call_id)

    async def arun(
        self,
        code: Callable[[], Any] | None,
        acode: Callable[[], Awaitable[Any]] | None,
        values: Values,
        site: CallSite,
        tool_call_id: str | None,
        note: Tell = _untold,
    ) -> Any:
        """Do what `run` does on an event loop; `code` runs on a thread where there is no `acode`."""
        driver = self._coordinator.driver(self._body(code, acode, values, site), site.pulse)
        try:
            ask = self._ask(values, site, driver.use_loop_bell)
            if self._agents and (undeclared := self._undeclared(ask)):
                await self._coordinator.atell(undeclared)
            ended = await driver.adrive(guarded_call(ask, self._terms_of(ask, values)))
        except LockOrderError as exc:
            await self._coordinator.atell(self._prevented(exc, site))
            raise
        except UndeclaredWrite as exc:
            await self._coordinator.atell(note_of(exc.agent, site.thread, self._tool, exc.resources))
            return self._refuse(exc, tool_call_id)
        except (WaitTimeout, AgentKilled, UnfitArgument) as exc:
            return self._refuse(exc, tool_call_id)
        note(self._versions_after(ended, ask, driver.lease))
        return self._conclude(ended, site, tool_call_id)

    def _body(
        self, code: Callable[[], Any] | None, acode: Callable[[], Awaitable[Any]] | None, values: Values, site: CallSite
    ) -> ToolBody:
        return self.body(self._traits, self._coordinator, code, acode, self._budget, values, site)

    # --- the request --------------------------------------------------------------------------------------------

    def _ask(self, values: Values, site: CallSite, bell: Callable[[], str]) -> Begin:
        self._look_around(site)
        agent = self._agent or agent_name(site.agent)
        wants = self._wants(values)
        if self._agents:
            check_declared(self._agents, agent, wants, self._tool, self.noun)
        outer = self._coordinator.nesting(wants)
        owner = self._coordinator.new_owner()
        ttl, expected = self._times(wants)
        names = CallNames() if self.policy.effect is Effect.READ else self._name(owner, values, wants, site)
        return Begin(
            owner, self._coordinator.session, wants, ttl, agent, site.thread, self._tool, names.key, names.scope,
            names.fingerprint, self._rerun_within, outer.chain if outer else (), bell(), expected,
            data=self._logged(values), task="" if self._why_nobody_is_asked(site) else site.task,
            lineage=names.lineage, patience=self._terms.wait,
            versions=self.policy.effect is Effect.READ and bool(wants), seen=self._seen(site),
        )  # fmt: skip

    def _look_around(self, site: CallSite) -> None:
        self.lookout.before_call(site, self._tool, self.policy)

    def _name(self, owner: str, values: Values, wants: tuple[Want, ...], site: CallSite) -> CallNames:
        # The tool is part of it, so that a business key that two tools share is refused, not answered.
        plain = keys.fingerprint(self._fingerprinted(values), self._tool)
        fingerprint = keys.sealed(self._coordinator.secret, plain)
        number = number_of(site, plain)
        key = self._business_key(values) or self._derived_key(owner, site, number, plain, fingerprint)
        if not site.thread:
            return CallNames(key, fingerprint)
        scope = keys.digest("scope", site.thread, self._tool, fingerprint)
        return CallNames(key, fingerprint, scope, lineage_of(site, number, current_call()))

    @property
    def space(self) -> str:
        """The name of the namespace whose versions its calls tell and compare."""
        return space_of(self._coordinator.secret)

    def _seen(self, site: CallSite) -> Versions | None:
        if not self.policy.requires_read:
            return None
        seen = seen_in(site, self.space)
        if seen is None:
            raise sees_no_history(self._tool)
        return seen

    def _wants(self, values: Values) -> tuple[Want, ...]:
        modes: dict[str, Mode] = {}
        for template, mode in self._locks:
            for name in self._rendered(template, values):
                if modes.get(name) is not Mode.EXCLUSIVE:
                    modes[name] = mode
        return tuple([Want(name, modes[name]) for name in sorted(modes)])

    def _rendered(self, template: Template, values: Values) -> tuple[str, ...]:
        try:
            return template.render(values)
        except ConfigurationError as exc:  # the template is sound; it is what the model has given that is not
            raise self._unfit(str(exc)) from exc

    def _unfit(self, why: str) -> UnfitArgument:
        return UnfitArgument(self._tool, why)

    def _times(self, wants: tuple[Want, ...]) -> tuple[float, float]:
        ttl, expected = self.policy.ttl, self.policy.expected or 0.0
        for pattern, terms in self._resources:
            if any(fits(want.resource, (pattern,)) for want in wants):
                ttl = min(ttl, terms.ttl or ttl)
                expected = min(expected or terms.expected or 0.0, terms.expected or expected)
        return ttl, expected

    def _undeclared(self, ask: Begin) -> Note | None:
        found = beyond(self._agents, ask.agent, ask.wants)
        return note_of(ask.agent, ask.thread, self._tool, found, call=ask.owner) if found else None

    def _fingerprinted(self, values: Values) -> Values:
        fields = self.policy.key_fields
        return values if fields is None else {name: values[name] for name in fields if name in values}

    def _business_key(self, values: Values) -> str:
        if self._key is None:
            return ""
        if isinstance(self._key, Template):
            rendered = self._rendered(self._key, values)
            if len(rendered) != 1:
                raise self._unfit(f'Its key "{self._key.text}" gives {len(rendered)} keys, and not one.')
            return rendered[0]
        called = f'{self.noun} "{self._tool}"'
        try:
            key = self._key(values)
        except Exception as exc:
            raise ConfigurationError(f"The key function of {called} failed: {exc!r}.") from exc
        if not isinstance(key, str):
            raise ConfigurationError(f"The key function of {called} gave {key!r}; it must give a text.")
        return canonical(key, f"the key function of {self._tool}")

    def _derived_key(self, owner: str, site: CallSite, number: int | None, plain: str, fingerprint: str) -> str:
        outer = current_call()
        key = derive_key(site, number, self._tool, plain, fingerprint, outer)
        # Outside of any graph nobody expects a repetition to be recognised.
        if site.message and not (key and site.thread) and not named_by_outer(site, outer):
            self._notices.warn(
                "fresh key",
                f'The call of {self.noun} "{self._tool}" has no thread that names it, so its idempotency key is fresh '
                f"in each run: it is coordinated, but a repetition in another run cannot be recognised. Give the graph "
                f'a checkpointer and a thread_id, or name a business `key` in the policy, such as "order/{{id}}".',
            )
        return key or keys.digest("fresh", owner)

    def _logged(self, values: Values) -> dict[str, Any]:
        return {name: shown(values[name]) for name in self.policy.log_fields if name in values}

    def _terms_of(self, ask: Begin, values: Values) -> Terms:
        if not (ask.data or self._advisory):
            return self._terms
        return replace(self._terms, fields=ask.data, advisory=self._used_without_a_lock(ask, values))

    def _used_without_a_lock(self, ask: Begin, values: Values) -> tuple[str, ...]:
        names = {name for template in self._advisory for name in self._rendered(template, values)}
        return tuple(sorted(names.difference([want.resource for want in ask.wants])))

    def _prevented(self, error: LockOrderError, site: CallSite) -> Note:
        data = {"wanted": error.wanted, "held": error.held, "tool": self._tool}
        agent, names = self._agent or site.agent, tuple(dict.fromkeys([error.wanted, error.held]))
        return Note(events.DEADLOCK_PREVENTED, agent, site.thread, resources=names, data=data)

    # --- the end ------------------------------------------------------------------------------------------------

    def _versions_after(self, ended: Ended, ask: Begin, lease: Lease | None) -> Versions:
        """Tell what the answer lets the model know of the resources: what it has read, or has itself made of them."""
        if isinstance(ended, Replay) and self.policy.requires_read and ended.fence:
            return _made(ask, ended.fence)
        if lease is None or not isinstance(ended, Returned) or ended.ending is not Ending.RETURNED:
            return ()
        return _made(ask, lease.fence) if self.policy.requires_read else lease.versions

    def _conclude(self, ended: Ended, site: CallSite, tool_call_id: str | None) -> Any:
        match ended:
            case Returned():
                return ended.value
            case Raised():
                raise self._told_to_outer(self._noted(ended))
            case Replay():
                return self._replay(ended, tool_call_id)
            case Held() if self.policy.on_in_doubt == "interrupt":
                why = "; ".join(filter(None, [ended.why, self._why_nobody_is_asked(site)]))
                return self._refuse(error_of(replace(ended, why=why)), tool_call_id)
            case _:
                return self._refuse(error_of(ended), tool_call_id)

    def _why_nobody_is_asked(self, site: CallSite) -> str:
        if self.policy.on_in_doubt != "interrupt":
            return "the policy does not say so"
        if not site.durable:  # nobody could go on with the answer
            return "nobody was asked: the graph has no checkpointer"
        # It gives a task its answers in order, and these calls come in any.
        if any(tool in self._asking for tool in site.company):
            return (
                "nobody was asked: LangGraph cannot tell whose answer is whose where one task makes several such calls"
            )
        return ""

    def _noted(self, outcome: Raised) -> BaseException:
        if state_after(outcome, self.policy.effect) is State.IN_DOUBT:
            asked_again = {"rerun": "is run again", "probe": "is looked into", "interrupt": "is put to a human"}
            then = asked_again.get(self.policy.when_in_doubt(), "is not repeated")
            outcome.error.add_note(
                f'clawproof: the effect of "{self._tool}" may have happened; the call is in doubt, and {then} when it '
                f"is asked for again."
            )
        return outcome.error

    def _told_to_outer(self, error: BaseException) -> BaseException:
        if (outer := current_call()) is not None:
            outer.raised_inside(error)
        return error

    def _replay(self, replay: Replay, tool_call_id: str | None) -> Any:
        if replay.rejected:
            text = self._load(replay) if replay.result else f'"{self._tool}" was refused for good.'
            raise self._told_to_outer(Rejected(text))
        if replay.result is None:
            return self._stub(replay.key, tool_call_id)
        value = self._readdressed(self._load(replay), tool_call_id)
        if isinstance(value, BaseException):
            raise value
        return self._shaped(value)

    def _readdressed(self, value: Any, tool_call_id: str | None) -> Any:
        return results.readdress(value, tool_call_id)

    def _load(self, replay: Replay) -> Any:
        assert replay.result is not None
        try:
            return codec.loads(replay.result)
        except codec.NotStorable as exc:
            ended = "was refused" if replay.rejected else "was already run for this call and succeeded"
            raise codec.NotStorable(f'"{self._tool}" {ended} (key "{replay.key}"), and: {exc}') from exc

    def _stub(self, key: str, tool_call_id: str | None) -> Any:
        text = (
            f'"{self._tool}" was already run for this call (key "{key}") and succeeded; what it returned cannot be '
            f"shown: it is not known, or was too large or of a kind that cannot be stored. Do not repeat the call."
        )
        message = None if tool_call_id is None else ToolMessage(text, name=self._tool, tool_call_id=tool_call_id)
        return self._shaped(message or text)

    def _refuse(self, error: ClawproofError, tool_call_id: str | None) -> Any:
        tell_model = self.policy.on_refusal == "tell_model"
        return self._shaped(message_of(error, tool=self._tool, tool_call_id=tool_call_id, tell_model=tell_model))

    def _shaped(self, answer: Any) -> Any:
        """Give an answer that is not the tool's own the shape that LangChain expects of this tool."""
        is_pair = isinstance(answer, tuple) and len(answer) == 2
        return (answer, None) if self._traits.gives_pair and not is_pair else answer


def _made(ask: Begin, fence: int) -> Versions:
    return tuple([(resource, fence) for resource, mode in ask.wants if mode is Mode.EXCLUSIVE])
