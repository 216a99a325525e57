"""What a tool seems to do, and the policy that follows: each guess with its reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from clawproof_langgraph.audit.effects import Touch
from clawproof_langgraph.audit.findings import Confidence
from clawproof_langgraph.audit.project.model import Kind, Policy, Project, Tool
from clawproof_langgraph.audit.rules.bodies import agent_run_in
from clawproof_langgraph.audit.rules.facts import SHARED, touches, write_of
from clawproof_langgraph.errors import ConfigurationError
from clawproof_langgraph.policy import ToolPolicy
from clawproof_langgraph.templates import canonical

_READING: Final = re.compile(
    r"(?:^|[._/-])(?:check|count|describe|fetch|find|get|has|is|list|look_?up|peek|query|read|search|show|stat|view)(?:[_.-]|$)",
    re.IGNORECASE,
)
"""Names of tools that say that nothing is changed."""

_HINT: Final = re.compile(r"(\w+Hint)=(true|false)")
_NAMING: Final = re.compile(r"(?:^|_)(?:id|key|sku|name|number|no|code|email|path|file|filename|url|slug|uuid|isbn)$")
"""Arguments that name a thing."""
_INJECTED: Final = re.compile(r"Injected|RunnableConfig|ToolRuntime|BaseStore|CallbackManager")
_SIMPLE: Final = re.compile(r"^(?:str|int|UUID|uuid\.UUID)$|^(?:Annotated\[)?(?:str|int)\b")
_WORD: Final = re.compile(r"[^\w./-]+")


@dataclass(frozen=True, slots=True)
class Guess:
    """A value of a policy, and why it may be the right one.

    Args:
        name: of the field.
        value: what is written.
        why: the reason; empty for what needs none.
        kept: whether it counts; else it is a comment, for a human to complete.
    """

    name: str
    value: Any
    why: str = ""
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Drafted:
    """What is drafted for a tool.

    Args:
        name: what models call it by.
        places: where it is defined.
        remarks: what there is to say of it as a whole.
        guesses: the fields of its policy.
        writes, reads: the templates of the resources that it changes or reads.
    """

    name: str
    places: tuple[str, ...]
    remarks: tuple[str, ...]
    guesses: tuple[Guess, ...]
    writes: tuple[str, ...] = field(default=())
    reads: tuple[str, ...] = field(default=())


def drafted(name: str, tools: Sequence[Tool], policy: Policy | None, project: Project, changed: set[str]) -> Drafted:
    """Draft the policy of a tool.

    Args:
        name: what models call it by.
        tools: those of this name.
        policy: what Python says of it, if it does.
        project: of the tools.
        changed: what tools of the project change.
    """
    places = tuple(dict.fromkeys(str(tool.place) for tool in tools))
    if policy is not None and policy.source == "python":
        return _said(name, places, policy)
    found = [touch for tool in tools for touch in touches(tool, project)]
    effect = _effect(tools, found, project)
    locks = _locks(tools, found, changed, reading=effect.value == "read")
    kept = tuple(locks.value) if locks.kept else ()
    remarks = tuple(tool.detail for tool in tools if tool.detail and not tool.is_seen)
    if effect.value == "read":
        return Drafted(name, places, remarks, (effect, *([locks] if locks.value else [])), reads=kept)
    return Drafted(name, places, remarks, (effect, locks), writes=kept)


def changed_by(tools: Iterable[Tool], project: Project) -> set[str]:
    """List what tools change: tables, files, and the like."""
    return {touch.resource for tool in tools for touch in touches(tool, project) if touch.writes and touch.resource}


# --- what Python says already -----------------------------------------------------------------------------------


def _said(name: str, places: tuple[str, ...], policy: Policy) -> Drafted:
    """Repeat what Python says, so that it can be taken out there."""
    where = f"from {policy.place()}" if policy.place() else "from Python"
    plain = {}
    for field_name in ToolPolicy.model_fields:
        if field_name in policy.policy.model_fields_set - policy.unread and field_name != "probe":
            plain[field_name] = getattr(policy.policy, field_name)
    guesses = [Guess(field_name, value) for field_name, value in plain.items()]
    guesses += [Guess(field_name, "module:name", f"{where}: made when the program runs", kept=False)
                for field_name in sorted(policy.unread)]  # fmt: skip
    locks = [(lock.resource, lock.mode) for lock in policy.policy.lock_list()]
    return Drafted(
        name, places, (f"{where}, which counts before this file",), tuple(guesses),
        writes=tuple(resource for resource, mode in locks if mode == "exclusive"),
        reads=tuple(resource for resource, mode in locks if mode == "shared"),
    )  # fmt: skip


# --- what it does to the world ----------------------------------------------------------------------------------


def _effect(tools: Sequence[Tool], found: Sequence[Touch], project: Project) -> Guess:
    hints = {hint: value == "true" for tool in tools for hint, value in _HINT.findall(tool.detail)}
    writes = [touch for touch in found if touch.writes]
    if writes:
        return _of_writes(writes)
    if hints.get("readOnlyHint"):
        return Guess("effect", "read", "its MCP server says so: readOnlyHint; take it for true only if you trust it")
    if hints.get("idempotentHint"):
        return Guess("effect", "idempotent", "its MCP server says so: idempotentHint; take it for true only if you do")
    if found:
        return Guess("effect", "read", f"its body only reads: {found[0].what} at {found[0].place}")
    inner = next(filter(None, (agent_run_in(function) for tool in tools for function in tool.functions)), "")
    if inner:
        return Guess(
            "effect", "delegate", f"it runs an agent, by {inner}(...): right if the tools of that one are guarded"
        )
    guessed = next((write for tool in tools if (write := write_of(tool, project))), None)
    if guessed is None and tools and _READING.search(tools[0].name):
        return Guess("effect", "read", "by its name; nothing that it changes was seen")
    why = (
        "by its name it changes something"
        if guessed
        else "nothing is known of what it does, so that it is not repeated"
    )
    if tools and all(tool.kind is Kind.MCP for tool in tools):
        why += "; its MCP server was not asked: `clawproof init --import`" if not hints else ""
    return Guess("effect", "once", why)


def _of_writes(writes: Sequence[Touch]) -> Guess:
    worst = next((touch for touch in writes if touch.repeatable is False), None)
    if worst is not None:
        said = worst.short or worst.what
        return Guess("effect", "once", f"{said} at {worst.place}: a repetition would do it again")
    unclear = next((touch for touch in writes if not touch.repeatable or touch.confidence is Confidence.POSSIBLE), None)
    if unclear is not None:
        return Guess("effect", "once", f"{unclear.what} at {unclear.place}: whether it may be repeated cannot be told")
    sent = next((touch for touch in writes if touch.kind == "http" and touch.what.startswith(("POST", "PATCH"))), None)
    if sent is not None:
        return Guess("effect", "keyed", f"{sent.what} at {sent.place} sends a key: the service has to recognise it")
    return Guess("effect", "idempotent", f"{writes[0].what} at {writes[0].place} may be repeated")


# --- what it locks ----------------------------------------------------------------------------------------------


def _locks(tools: Sequence[Tool], found: Sequence[Touch], changed: set[str], *, reading: bool) -> Guess:
    touched = [touch for touch in found if touch.resource and touch.kind in SHARED]
    wanted = [touch for touch in touched if (touch.resource in changed if reading else touch.writes)]
    names = list(dict.fromkeys(_resource(touch.resource) for touch in wanted))
    argument = next(iter(_arguments(tools)), "")
    templates = [f"{name}/{{{argument}}}" if argument else name for name in names if name]
    if templates:
        what = ", ".join(dict.fromkeys(touch.resource for touch in wanted))
        by = f"by its argument {argument}" if argument else "as a whole, for no argument names one of them"
        return Guess("locks", templates, f"it {'reads' if reading else 'changes'} {what}, {by}")
    if reading:
        return Guess("locks", [], kept=False)
    example = f"thing/{{{argument or 'id'}}}"
    return Guess("locks", [example], "name what it changes; without a lock, two may do so at the same time", kept=False)


def _resource(name: str) -> str:
    """Make of a table or a file a name that a resource may have."""
    plain = _WORD.sub("-", name.partition("://")[2] or name).strip("-/.")
    try:
        return canonical(plain)
    except ConfigurationError:
        return ""


def _arguments(tools: Sequence[Tool]) -> list[str]:
    """List the arguments that name a thing, which all bodies of a tool have; the most telling ones first."""
    found: list[str] | None = None
    for tool in tools:
        for function in tool.functions:
            names = [argument.arg for argument in _parameters(function.node) if _is_given(argument)]
            found = names if found is None else [name for name in found if name in names]
    return [name for name in found or [] if _NAMING.search(name)]


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def _is_given(argument: ast.arg) -> bool:
    """Tell whether the model gives an argument, as a text or a number."""
    if argument.arg.startswith("_") or argument.arg in ("self", "cls", "config", "runtime", "state", "store"):
        return False
    if argument.annotation is None:
        return True
    said = ast.unparse(argument.annotation)
    return _INJECTED.search(said) is None and _SIMPLE.search(said) is not None
