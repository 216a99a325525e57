"""The text of a first configuration file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, Final

from clawproof_langgraph.audit.drafting.guesses import Drafted, Guess, changed_by, drafted
from clawproof_langgraph.audit.project.model import Kind, Policy, Project, Tool, policy_for
from clawproof_langgraph.audit.project.resources import family
from clawproof_langgraph.config.document import named
from clawproof_langgraph.config.writing import as_toml

_WIDTH: Final = 118
_HEAD: Final = """\
# How the tools of this project are coordinated. Written by `clawproof init` from its source: look at each guess.
# Every key: docs/configuration.md of clawproof-langgraph. `clawproof explain TOOL` shows what a tool gets, `clawproof
# schema -o clawproof.schema.json` writes a schema for editors, `clawproof --check 10` finds what is not coordinated.

# url = "sqlite:///.clawproof/state.db"  # the default; for many machines, redis://host
# namespace = "default"                  # nothing is shared between namespaces
unmapped = "error"                       # a tool without a policy is refused

[defaults]
ttl = "30s"                              # how long others wait after a crash
expected = "10s"                         # a guess: how long a call usually takes; at twice it, an alert is raised

[alerts]
sinks = ["log"]                          # also "https://hooks.example/...", "env:ALERT_WEBHOOK", "module:function"
"""


def draft(project: Project) -> str:
    """Write a first configuration file for a project."""
    known = _by_name(project)
    changed = changed_by((tool for tools in known.values() for tool in tools), project)
    found = {name: drafted(name, tools, _policy(name, project), project, changed) for name, tools in known.items()}
    parts = [_HEAD, *(_tool(each) for each in found.values()), *_agents(project, found), *_unseen(project)]
    return "\n".join(parts)


def _by_name(project: Project) -> dict[str, list[Tool]]:
    """Sort the tools of a project by their names, those of LangGraph itself left out."""
    found: dict[str, list[Tool]] = {}
    used = [use.tool for agent in project.agents for use in agent.uses]
    for tool in dict.fromkeys((*project.tools, *used)):
        if tool.name and tool.name.isprintable() and tool.kind not in (Kind.OWN, Kind.NODE):
            found.setdefault(tool.name, []).append(tool)
    return dict(sorted(found.items()))


def _policy(name: str, project: Project) -> Policy | None:
    for guard in project.guards:
        if (policy := policy_for(name, guard)) is not None and policy.source == "python":
            return policy
    return None


def _tool(tool: Drafted) -> str:
    lines = [*_comment(f"{', '.join(tool.places)}"), *(line for remark in tool.remarks for line in _comment(remark))]
    lines.append(f"[{named(('tools', tool.name))}]")
    for guess in tool.guesses:
        lines += _written(guess)
    return "\n".join([*lines, ""])


def _written(guess: Guess) -> Iterator[str]:
    """Write a value, with its reason behind it, or above it where there is no room."""
    line = f"{'' if guess.kept else '# '}{guess.name} = {as_toml(guess.value, guess.name)}"
    if guess.why and len(line) + len(guess.why) + 4 <= _WIDTH:
        yield f"{line}  # {_plain(guess.why)}"
        return
    if guess.why:
        yield from _comment(guess.why)
    yield line


def _agents(project: Project, found: dict[str, Drafted]) -> Iterator[str]:
    agents: dict[str, dict[str, Drafted]] = {}
    for agent in project.agents:
        own = {use.tool.name: found[use.tool.name] for use in agent.uses if use.tool.name in found}
        if agent.named and own and agent.name.isprintable():
            agents.setdefault(agent.name, {}).update(own)
    for name, tools in sorted(agents.items()):
        writes = _families(each.writes for each in tools.values())
        reads = [each for each in _families(each.reads for each in tools.values()) if each not in writes]
        lines = [f"[{named(('agents', name))}]", f"tools = {as_toml(sorted(tools))}"]
        if reads:
            lines.append(f"reads = {as_toml(reads)}")
        if writes:
            lines.append(f"writes = {as_toml(writes)}  # a call that changes something else is told of")
        yield "\n".join([*lines, ""])


def _families(templates: Iterable[tuple[str, ...]]) -> list[str]:
    return sorted({family(template) for each in templates for template in each})


def _unseen(project: Project) -> Iterator[str]:
    hidden = [f"{use.tool.detail or use.tool.kind} at {use.tool.place}" for agent in project.agents
              for use in agent.uses if not use.tool.name]  # fmt: skip
    told = [*hidden, *(f"{each.what}: {each.why}" for each in project.unseen)]
    if told:
        lines = [line for text in dict.fromkeys(told) for line in _comment(f"- {text}")]
        yield "\n".join(["# Not seen, so that tools may be missing here:", *lines, ""])


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(_plain(text), _WIDTH - 2, break_long_words=False)]


def _plain(text: Any) -> str:
    """Write a text on one line, without signs that a comment may not have."""
    return "".join(sign if sign.isprintable() else " " for sign in str(text))
