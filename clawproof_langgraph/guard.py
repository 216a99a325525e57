"""The guard: policies bound to a coordinator, and the ways to put it around tools."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Self, TypeVar

from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.tools import tool as create_tool
from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.pregel import Pregel

from clawproof_langgraph.config.configuration import is_langgraphs_own
from clawproof_langgraph.config.models import UNMAPPED, AgentTerms, ResourceTerms, Unmapped
from clawproof_langgraph.coordinator import Coordinator
from clawproof_langgraph.errors import ConfigurationError, UnmappedTool, meant
from clawproof_langgraph.events import Event
from clawproof_langgraph.graph.advice import Finding
from clawproof_langgraph.graph.body import ToolTraits
from clawproof_langgraph.graph.calls import GuardedCalls
from clawproof_langgraph.graph.checking import Check
from clawproof_langgraph.graph.filed import filed
from clawproof_langgraph.graph.given import agents_of, check_fields, checked_policies, listed, terms_of
from clawproof_langgraph.graph.identity import site_of_request
from clawproof_langgraph.graph.inbox import SkipOwn, make_inbox
from clawproof_langgraph.graph.lookout import Lookout
from clawproof_langgraph.graph.node_calls import NodeCalls, check_node_policy
from clawproof_langgraph.graph.nodes import guarded_node, name_of, runnable_of
from clawproof_langgraph.graph.notices import Notices
from clawproof_langgraph.graph.outcomes import is_mcp, names_effect_mark, uses_effect_mark
from clawproof_langgraph.graph.policies import Asking, Policies
from clawproof_langgraph.graph.requests import GuardingRequest
from clawproof_langgraph.graph.runs import holding
from clawproof_langgraph.graph.scopes import Scope
from clawproof_langgraph.graph.seen import sees_no_history
from clawproof_langgraph.graph.tools import guarded_copy, is_guarded, site_from_hook
from clawproof_langgraph.graph.turns import OnConflict, Turns
from clawproof_langgraph.graph.unguarded import LetThrough, itself, let_through
from clawproof_langgraph.policy import ToolPolicy
from clawproof_langgraph.reading import Beginning
from clawproof_langgraph.templates import agent_name

_Graph = TypeVar("_Graph", bound=Pregel[Any, Any, Any, Any])

_COPIES = 256
"""The most guarded copies that are kept of tools that were not given in advance."""


class Guard:
    """Policies for the tools of an agent, bound to a coordinator.

    Args:
        coordinator: where the calls are coordinated.
        tools: a policy for each tool name, or for a pattern such as `get_*` or `{sell,buy}_*`, of which the most
            specific counts; none for a guard of nodes and runs alone.
        agent: the agent's name; None finds it per call.
        resources: terms by resource pattern, such as `{"inventory/*": {"ttl": "10s"}}`; `ttl` and `expected`.
        agents: what agents are there for, such as `{"orders": {"writes": ["inventory/*"], "enforce": True}}`: a call
            that changes what is not in `writes` is told of by an event, or refused where `enforce` says so.
        unmapped: what becomes of a tool without a policy: `error` refuses it, `serialize` gives it one exclusive lock
            named after it, `allow` lets it through without coordination, with a warning and an event.

    Raises:
        ConfigurationError: a policy is no ToolPolicy, a term is unknown, or the agent's name is none.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        *,
        tools: Policies | Mapping[str, ToolPolicy] | Sequence[tuple[str, ToolPolicy]] = (),
        agent: str | None = None,
        resources: Mapping[str, ResourceTerms | Mapping[str, Any]] | None = None,
        agents: Mapping[str, AgentTerms | Mapping[str, Any]] | None = None,
        unmapped: Unmapped = "error",
    ) -> None:
        if unmapped not in UNMAPPED:
            raise ConfigurationError(f'unmapped="{unmapped}" is not known; {meant(unmapped, UNMAPPED)}')
        if not isinstance(coordinator, Coordinator):
            raise ConfigurationError(
                f"Guard() takes a Coordinator, not {coordinator!r}; see Coordinator.from_url(...)."
            )
        self.coordinator, self.agent, self.unmapped = coordinator, agent_name(agent or ""), unmapped
        self._policies = tools if isinstance(tools, Policies) else Policies(checked_policies(tools))
        self._resources, self._agents = terms_of(resources), agents_of(agents)
        self._notices = Notices()
        self._lookout = Lookout(coordinator, self._notices)
        self._copies: OrderedDict[int, tuple[BaseTool, BaseTool]] = OrderedDict()
        self._lookout.at_construction()

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        coordinator: Coordinator | None = None,
        agent: str | None = None,
        **overrides: Any,
    ) -> Self:
        """Make a guard of what a configuration file says.

        Args:
            path: the file; None for the one that `CLAWPROOF_CONFIG` names, else the nearest clawproof.toml, or
                pyproject.toml with a table [tool.clawproof], from the present folder upwards.
            coordinator: None opens the store that the file names, once for all guards of this process.
            agent: the agent's name; None finds it per call.
            overrides: what counts more than the file: `url`, `namespace`, `tools`, `resources`, `agents`, `unmapped`;
                `alerts=False` leaves the alerts to others.

        Raises:
            ConfigurationError: there is no file, or something in it is wrong; the message tells all that is.
            BackendUnavailable: the store cannot be reached.
        """
        file = filed(path, overrides)
        options = file.options()
        guard = cls(coordinator or file.coordinator(), agent=agent, **options)
        file.alert(guard.coordinator)
        return guard

    # --- tools --------------------------------------------------------------------------------------------------

    def wrap_tool(self, tool: BaseTool | Callable[..., Any]) -> BaseTool:
        """Make a guarded copy of a tool.

        It works anywhere a tool does, but sees no message history: where tools run in a ToolNode or an agent, the
        hooks know better which call is meant.

        Raises:
            UnmappedTool: it has no policy, and `unmapped` is `error`.
            ConfigurationError: its policy names a field that it does not have, or says `requires_read`, which takes
                the history.
        """
        return self.wrap_tools([tool])[0]

    def wrap_tools(self, tools: Iterable[BaseTool | Callable[..., Any]]) -> list[BaseTool]:
        """Make guarded copies of tools; raises as `wrap_tool` does, naming all tools without a policy at once."""
        made = [tool if isinstance(tool, BaseTool) else create_tool(tool) for tool in listed(tools)]
        self.check_mapped(made)
        for tool in made:
            if (policy := self.policy_of(tool)) and policy.requires_read and not is_guarded(tool):
                raise sees_no_history(tool.name)
        return [self._guarded(tool) for tool in made]

    def prepare(self, tools: Iterable[BaseTool]) -> None:
        """Check tools that the hooks will guard.

        Raises:
            UnmappedTool: some have no policy, and `unmapped` is `error`.
            ConfigurationError: a policy names a field that its tool does not have.
        """
        made = list(tools)
        self.check_mapped(made)
        for tool in made:
            self._guarded(tool)

    def tool_node(self, tools: Iterable[BaseTool | Callable[..., Any]], **options: Any) -> ToolNode:
        """Make a ToolNode with both hooks; its tools are checked now.

        Args:
            tools: as for ToolNode.
            options: passed on to ToolNode.

        Raises:
            UnmappedTool, ConfigurationError: as `wrap_tool` does.
        """
        node = ToolNode(
            listed(tools), wrap_tool_call=self.wrap_tool_call, awrap_tool_call=self.awrap_tool_call, **options
        )
        self.prepare(node.tools_by_name.values())
        return node

    def check_mapped(self, tools: Iterable[BaseTool]) -> None:
        """Make sure that tools have policies.

        Raises:
            UnmappedTool: some have none, and `unmapped` is `error`.
        """
        if self.unmapped == "error":
            tools = list(tools)
            unguarded = [tool for tool in tools if not is_guarded(tool)]
            missing = [tool.name for tool in unguarded if self.policy_of(tool) is None]
            if missing := [name for name in missing if not is_langgraphs_own(name)]:
                raise UnmappedTool(missing, self._unused(tools))

    def policy_of(self, tool: BaseTool) -> ToolPolicy | None:
        """Give the policy by which a tool is guarded; None if it has none."""
        policy = self._policies.of(tool.name)
        if policy is None and self.unmapped == "serialize" and not is_langgraphs_own(tool.name):
            return _serialising(tool.name)
        return policy

    def _unused(self, tools: Iterable[BaseTool]) -> list[str]:
        """List the policies that none of these tools has."""
        names = {tool.name for tool in tools}
        return self._policies.unused(names)

    # --- nodes and runs -----------------------------------------------------------------------------------------

    def node(self, function: Any, policy: ToolPolicy, *, name: str | None = None) -> Runnable[Any, Any]:
        """Make a guarded copy of a node: `builder.add_node("ship", guard.node(ship, policy))`.

        It is the same call over resume, RetryPolicy and replay from a checkpoint, and another one in each step of a
        loop. Templates read the state. What refuses a node is raised, since no model called it.

        Args:
            function: what `add_node` takes: a function of the state, sync or async, or a Runnable.
            policy: how its calls are coordinated.
            name: what it is called in events and records; the default is that of the function.

        Raises:
            ConfigurationError: it is a tool, a whole graph or no node, or has no name; or the policy is none.
        """
        bare = runnable_of(function)
        shown, identity = name_of(function, name)
        check_node_policy(shown, policy)
        traits = ToolTraits(shown, policy, False, names_effect_mark(function), False)
        calls = NodeCalls(
            self.coordinator, shown, policy, self.agent, traits, self._notices, self._lookout, self._resources,
            agents=self._agents,
        )  # fmt: skip
        calls.identity = identity
        return guarded_node(function, bare, calls, shown)

    def scope(self, graph: _Graph, policy: ToolPolicy) -> _Graph:
        """Make a copy of a compiled graph that holds locks while it runs, as a node of another graph or by itself.

        The locks are taken before the first step, renewed, and given back at the end, on an error, and at an interrupt;
        a resume takes them again. Guarded calls in the graph nest in them. Templates read the input of a run, and what
        the thread's state has of fields that it lacks.

        Args:
            graph: what `compile()` gives.
            policy: `locks`, `ttl` and `wait`; with `effect="read"`, the locks are shared.

        Raises:
            ConfigurationError: it is no compiled graph, or the policy names no lock or says what only a call can keep.
        """
        return holding(graph, lambda name: Scope(self.coordinator, policy, self.agent, name), "scope")

    def serialize_threads(
        self,
        app: _Graph,
        *,
        on_conflict: OnConflict = "queue",
        wait: str | float | None = None,
        ttl: str | float = 30.0,
    ) -> _Graph:
        """Make a copy of a compiled graph of which each thread has one run at a time, in whatever process.

        Args:
            app: what `compile()` gives, with a checkpointer.
            on_conflict: `queue` lets a run wait for the one before it; `reject` refuses it with WaitTimeout.
            wait: seconds to wait at most; None is five minutes.
            ttl: seconds after which the turn of a process that died passes on.

        Raises:
            ConfigurationError: it is no compiled graph, or an argument does not fit.
        """
        turns = Turns(self.coordinator, self.agent, on_conflict=on_conflict, wait=wait, ttl=ttl)
        return holding(app, lambda _: turns, "serialize_threads")

    # --- events -------------------------------------------------------------------------------------------------

    def event_inbox(
        self,
        types: str | Iterable[str],
        *,
        resource: str = "",
        agent: str = "",
        skip_own: SkipOwn | None = None,
        start: Beginning = "now",
        limit: int = 100,
        field: str = "events",
        cursor: str = "events_cursor",
        convert: Callable[[Event], Any] | None = None,
    ) -> Runnable[Any, dict[str, Any]]:
        """Make a node that brings new events into the state: `builder.add_node("inbox", guard.event_inbox([...]))`.

        Each run puts the events behind the cursor in the state into `state[field]`, as dicts, and the cursors that they
        lie between into `state[cursor]`: `{"after": ..., "upto": ..., "more": ...}`. So each branch of the graph's
        history gets each event once. `log.truncated` is in the place of events that were deleted unread.

        Args:
            types: only events of these types; none for all.
            resource, agent: only events about these.
            skip_own: leave out what this `agent` has done, in whatever thread, or what was done in this `thread`.
            start: where the first run begins: `now`, `earliest` (with what the log still has), or behind a cursor.
            limit: the most events that one run brings; `more` tells whether there were more.
            field: a field of the state: a plain one for the events of the last run, or one with a reducer for all.
            cursor: a plain field of the state, which belongs to this inbox alone.
            convert: what an event becomes in the state, such as a message.

        Raises:
            ConfigurationError: an argument does not fit. When the node runs: the state has no such fields, the cursor's
                is not plain or belongs to another inbox, or whose events are its own cannot be told.
        """
        return make_inbox(
            self.coordinator, types, resource=resource, agent=agent, own_name=self.agent, skip_own=skip_own,
            start=start, limit=limit, field=field, cursor=cursor, convert=convert,
        )  # fmt: skip

    # --- what is around the tools -------------------------------------------------------------------------------

    def check(self, graph: Any) -> list[Finding]:
        """Look at a compiled graph for what weakens the promises of this guard, before anything runs.

        What is found here is warned of when the graph runs, too, at the latest before the tool that it is about. The
        durability is told of only then: it is chosen with each `invoke`.

        Args:
            graph: what `StateGraph.compile()`, `create_agent()` or `@entrypoint` gives. Graphs inside it are looked at,
                too, unless they are made only when a node runs.

        Returns:
            The findings; each says what, where and the remedy, all together as `str(finding)`.

        Raises:
            ConfigurationError: it is no compiled graph.
        """
        if not isinstance(graph, Pregel):
            raise ConfigurationError(f"check() looks at a compiled graph, not at {graph!r}; call compile() first.")
        strict = self.unmapped == "error"
        return Check(self, Guard, self._lookout, self._policies, self.policy_of, strict).findings(graph)

    def look_ahead(self, tools: Iterable[BaseTool]) -> None:
        """Warn of what is around the running agent, before its model is offered these tools."""
        self._lookout.before_model([(tool.name, policy) for tool in tools if (policy := self.policy_of(tool))])

    # --- hooks --------------------------------------------------------------------------------------------------

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
        """Coordinate a tool call: the hook `wrap_tool_call` of a ToolNode. Give it together with `awrap_tool_call`."""
        token = site_from_hook.set(None)
        try:
            return handler(self._with_guarded_tool(request))
        finally:
            site_from_hook.reset(token)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """Do what `wrap_tool_call` does, from an event loop: the hook `awrap_tool_call` of a ToolNode."""
        token = site_from_hook.set(None)
        try:
            return await handler(self._with_guarded_tool(request))
        finally:
            site_from_hook.reset(token)

    def _with_guarded_tool(self, request: ToolCallRequest) -> ToolCallRequest:
        guarding = GuardingRequest.of(request, self)
        return guarding if request.tool is None else guarding.override(tool=request.tool)

    def supplied(self, request: ToolCallRequest, tool: BaseTool) -> BaseTool:
        """Give the guarded copy of a tool for a request, and note which call the request is."""
        copy = self._guarded(tool)
        site_from_hook.set((copy, site_of_request(request)))
        return copy

    # --- copies -------------------------------------------------------------------------------------------------

    def _guarded(self, tool: BaseTool) -> BaseTool:
        if is_guarded(tool):
            return tool
        found = self._copies.get(id(tool))
        if found is not None and found[0] is tool:
            return found[1]
        copy = self._make_copy(tool)
        self._copies[id(tool)] = (tool, copy)
        if len(self._copies) > max(_COPIES, 2 * len(self._policies)):
            self._copies.popitem(last=False)
        return copy

    def _make_copy(self, tool: BaseTool) -> BaseTool:
        tool = itself(tool)  # another guard may have let it through
        policy = self.policy_of(tool)
        if policy is None:
            return self._without_policy(tool)
        check_fields(tool, policy)
        pair = tool.response_format == "content_and_artifact"
        traits = ToolTraits(tool.name, policy, is_mcp(tool), uses_effect_mark(tool), pair)
        calls = GuardedCalls(
            self.coordinator, tool.name, policy, self.agent, traits, self._notices, self._lookout, self._resources,
            Asking(self._policies), self._agents,
        )  # fmt: skip
        return guarded_copy(tool, calls)

    def _without_policy(self, tool: BaseTool) -> BaseTool:
        if is_langgraphs_own(tool.name):
            return tool
        if self.unmapped != "allow":
            raise UnmappedTool([tool.name], self._unused([tool]))
        terms = LetThrough(tool, self.coordinator, self.agent, self._notices)
        terms.warn()
        return let_through(terms)


@lru_cache(maxsize=_COPIES)
def _serialising(name: str) -> ToolPolicy:
    return ToolPolicy(locks=[f"tool/{name}"])
