"""What is known of the tools that agents have: what they write, and what keeps it from being seen."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects import Touch, locks_in, touches_of
from clawproof_langgraph.audit.findings import Confidence, Place
from clawproof_langgraph.audit.project.model import Kind, Policy, Project, Tool, Use, policy_for
from clawproof_langgraph.audit.project.resources import uses
from clawproof_langgraph.audit.rules.bodies import changes_outer_state, opaque_call
from clawproof_langgraph.templates import parse

_WRITING: Final = re.compile(
    r"^(?:add|append|apply|approve|assign|book|buy|cancel|change|charge|close|commit|confirm|create|credit|debit|decrease|"
    r"decrement|delete|deposit|disable|dispatch|edit|email|enable|enrich|enroll|fulfil\w*|increase|increment|insert|issue|mail|"
    r"mark|merge|modify|move|notify|order|patch|pay|place|post|publish|purchase|push|put|record|refund|register|release|remove|"
    r"rename|replace|reprice|reserve|reset|restock|revoke|save|schedule|sell|send|set|ship|store|submit|transfer|update|upload|"
    r"upsert|withdraw|write)(?:_|$)"
)
"""Names of tools that say that something is changed."""

SHARED: Final = frozenset({"sql", "orm", "store", "file", "cloud", "memory"})
"""Kinds of touches that leave something which other agents may read or write."""


_VERB: Final = re.compile(r"[a-z]+s ")


@dataclass(frozen=True, slots=True)
class Write:
    """That a tool writes.

    Args:
        what: completes "which ...".
        place: where.
        confidence: how sure it is.
        touch: what is done, where it was seen.
    """

    what: str
    place: Place | None
    confidence: Confidence
    touch: Touch | None = None


def touches(tool: Tool, project: Project) -> tuple[Touch, ...]:
    """Give what the body of a tool does to the world."""
    return tuple(dict.fromkeys(touch for function in tool.functions for touch in touches_of(function, project.tree)))


def write_of(tool: Tool, project: Project) -> Write | None:
    """Tell whether a tool writes, by its body: to the world, or to state that it shares, where its name says so."""
    found = [touch for touch in touches(tool, project) if touch.writes and touch.confidence is not Confidence.POSSIBLE]
    if found:
        shared = [touch for touch in found if touch.kind in SHARED] or found
        return Write(done(shared[0].what), shared[0].place, shared[0].confidence, shared[0])
    for function in tool.functions if _WRITING.match(tool.name) else ():
        if changed := changes_outer_state(function):
            return Write(f"changes {changed}", function.place, Confidence.LIKELY)
    return None


def done(what: str) -> str:
    """Word what a tool does: some is named by code (`UPDATE stock`), some by a verb (`sends mail`)."""
    return what if _VERB.match(what) else f"does {what}"


def maybe_writes(tool: Tool, project: Project) -> str:
    """Say why it cannot be told whether a tool writes; empty where it can be."""
    if not tool.is_seen or write_of(tool, project):
        return ""
    if possible := [touch for touch in touches(tool, project) if touch.writes]:
        return f'whether "{tool.name}" {done(possible[0].what)} cannot be told'
    if not _WRITING.match(tool.name) or touches(tool, project):
        return ""
    called = next(filter(None, (opaque_call(function, project.tree) for function in tool.functions)), "")
    return f'whether {called}(...) in "{tool.name}" changes anything cannot be told' if called else ""


def locks_itself(tool: Tool, project: Project) -> bool:
    """Tell whether a tool takes locks of a coordinator in its body, and so is coordinated without a guard."""
    locks = [lock for function in tool.functions for lock in locks_in(function, project.tree)]
    return any(lock.library == "coordinator" for lock in locks)


def obscure(use: Use, project: Project, agent: str) -> str:
    """Say what cannot be told of a tool, and of which agent; empty where its body can be seen."""
    tool = use.tool
    if tool.kind is Kind.OWN:
        return ""
    if tool.is_seen:
        return maybe_writes(tool, project)
    if tool.kind is Kind.UNKNOWN:
        return f'which tools agent "{agent}" has is not in the source: {tool.detail}'
    what = f'"{tool.name}"' if tool.name else tool.detail or "a tool"
    return f'what {what} of agent "{agent}" does cannot be seen'


def unread_policy(use: Use) -> bool:
    """Tell whether a tool is behind a guard of which the policies could not all be read, and its own was not."""
    return use.guard is not None and not use.guard.complete and use.policy is None


def orphans(project: Project) -> Iterator[Tool]:
    """Give the tools that no agent was seen to have."""
    had = {id(use.tool) for agent in project.agents for use in agent.uses}
    places = {use.tool.place for agent in project.agents for use in agent.uses}
    return (tool for tool in project.tools if id(tool) not in had and tool.place not in places)


def declared_somewhere(tool: Tool, project: Project) -> Policy | None:
    """Give the policy that any guard has for a tool."""
    return next(filter(None, (policy_for(tool.name, guard) for guard in project.guards)), None)


def coordinated(project: Project) -> bool:
    """Tell whether code of the project coordinates anything; a file that no code reads does not."""
    return bool(project.orchestrators) or any(guard.made for guard in project.guards)


def bare_writers(project: Project) -> list[Use]:
    """Give the tools that write, in a project in which nothing coordinates them: code makes no guard at all."""
    if coordinated(project):
        return []
    return [use for _, use in uses(project) if write_of(use.tool, project) and not locks_itself(use.tool, project)]


def strangers(tool: Tool, policy: Policy) -> tuple[str, ...]:
    """Give the fields of a policy's templates that its tool does not have as arguments, where these can be seen."""
    arguments = _arguments(tool)
    if arguments is None or policy.source == "serialize":
        return ()
    key = policy.policy.key if "key" not in policy.unread else None
    templates = [lock.resource for lock in policy.policy.lock_list()] if "locks" not in policy.unread else []
    templates += [key] if isinstance(key, str) else []
    roots = dict.fromkeys(root for template in templates if "{...}" not in template for root in parse(template).roots)
    return tuple(root for root in roots if root not in arguments)


def _arguments(tool: Tool) -> set[str] | None:
    """Give the arguments of a tool that is a plain function under `@tool`; a schema may name others."""
    node = tool.functions[0].node if tool.kind is Kind.CODE and len(tool.functions) == 1 else None
    if node is None or node.args.kwarg is not None or len(node.decorator_list) != 1:
        return None
    decorator = node.decorator_list[0]
    if not isinstance(decorator, ast.Name | ast.Attribute):  # tool(args_schema=...), and what else it may be given
        return None
    return {each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}


def ownerless(project: Project) -> Iterator[str]:
    """Name the tools that write, and of which it was not seen who calls them: it may be around every guard."""
    known = project.wrapped | project.played
    for tool in orphans(project):
        if tool.place not in known and not locks_itself(tool, project) and write_of(tool, project):
            yield f'who calls "{tool.name}", which writes, was not seen'
