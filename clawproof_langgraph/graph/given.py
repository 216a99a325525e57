"""What a guard is given, checked when it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool

from clawproof_langgraph.config.globs import glob
from clawproof_langgraph.config.models import AgentTerms, ResourceTerms
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.graph.tools import model_arguments
from clawproof_langgraph.policy import ToolPolicy
from clawproof_langgraph.templates import agent_name, parse


def listed(tools: Iterable[BaseTool | Callable[..., Any]]) -> list[BaseTool | Callable[..., Any]]:
    """List tools, making sure that they are given in a list."""
    if isinstance(tools, str | BaseTool) or not isinstance(tools, Iterable):
        raise ConfigurationError(f"Tools are given in a list: write [{getattr(tools, 'name', tools)}].")
    found = list(tools)
    for tool in found:
        if not callable(tool) and not isinstance(tool, BaseTool):
            raise ConfigurationError(f"{tool!r} is no tool; give a BaseTool, or a function with a docstring.")
    return found


def checked_policies(tools: Mapping[str, ToolPolicy] | Sequence[tuple[str, ToolPolicy]]) -> dict[str, ToolPolicy]:
    """Make a mapping of policies by tool name, making sure that each is one."""
    if isinstance(tools, str) or not isinstance(tools, Mapping | Sequence):
        raise ConfigurationError('tools is a mapping: write tools={"name": ToolPolicy(...)}.')
    if not isinstance(tools, Mapping) and not all(isinstance(pair, tuple) and len(pair) == 2 for pair in tools):
        raise ConfigurationError('tools is a mapping: write tools={"name": ToolPolicy(...)}.')
    policies: dict[str, ToolPolicy] = {}
    for name, policy in tools.items() if isinstance(tools, Mapping) else tools:
        if not isinstance(policy, ToolPolicy):
            raise ConfigurationError(
                f'The policy of tool "{name}" is a {type(policy).__name__}; write ToolPolicy(...).'
            )
        if name in policies:
            raise ConfigurationError(f'There are two policies for tool "{name}"; keep one.')
        policies[name] = policy
    return policies


def terms_of(
    resources: Mapping[str, ResourceTerms | Mapping[str, Any]] | None,
) -> tuple[tuple[str, ResourceTerms], ...]:
    """Make what is said of the resources that patterns name."""
    return tuple((pattern, _resource(pattern, terms)) for pattern, terms in (resources or {}).items())


def _resource(pattern: str, terms: ResourceTerms | Mapping[str, Any]) -> ResourceTerms:
    glob(pattern, fields=True)
    try:
        return terms if isinstance(terms, ResourceTerms) else ResourceTerms(**terms)
    except (ConfigurationError, TypeError) as exc:
        raise ConfigurationError(f'Resource "{pattern}": {exc}') from exc


def agents_of(agents: Mapping[str, AgentTerms | Mapping[str, Any]] | None) -> dict[str, AgentTerms]:
    """Make what each agent is there for."""
    return {agent_name(name): _agent(name, terms) for name, terms in (agents or {}).items()}


def _agent(name: str, terms: AgentTerms | Mapping[str, Any]) -> AgentTerms:
    try:
        return terms if isinstance(terms, AgentTerms) else AgentTerms(**terms)
    except (ConfigurationError, TypeError) as exc:
        raise ConfigurationError(f'Agent "{name}": {exc}') from exc


def check_fields(tool: BaseTool, policy: ToolPolicy) -> None:
    """Make sure that the fields which a policy names are arguments of its tool."""
    known = model_arguments(tool)
    if known is None:
        return
    templates = [lock.resource for lock in policy.lock_list()] + ([policy.key] if isinstance(policy.key, str) else [])
    named = [(f'template "{text}"', root) for text in templates for root in parse(text).roots]
    named += [("key_fields", name) for name in policy.key_fields or ()]
    named += [("log_fields", name) for name in policy.log_fields]
    for where, name in named:
        if name not in known:
            raise ConfigurationError(
                f'The policy of tool "{tool.name}": {where} names "{name}", which the tool does not have; '
                f"its arguments are: {', '.join(sorted(known)) or 'none'}."
            )
