"""Who calls, and which intended call it is: the identity that LangGraph keeps over resume, retry and replay."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from langchain_core.messages import AIMessage

from clawproof_langgraph.graph.surroundings import checkpointer_of
from clawproof_langgraph.keys import digest
from clawproof_langgraph.runtime.context import CallContext


@dataclass(frozen=True, slots=True)
class CallSite:
    """Where a call comes from.

    Args:
        thread: the LangGraph thread; empty without one.
        task: the id of the task that makes the call: the same when that is resumed, another one in each run.
        message: the id of the AIMessage that emitted the call; where that is not seen, the id of its task.
        tool_call_id: the id of the tool call, with its ordinal where a message uses the same one twice.
        agent: the agent's name.
        emitted: whether `message` is an AIMessage, and not only a task.
        durable: whether the graph has a checkpointer, so that its message ids outlive a crash.
        execution: an object that lives as long as this execution of the task, the same for all calls in it.
        attempt: which attempt of the execution this is, where a RetryPolicy makes more than one.
        pulse: tells LangGraph that a wait is not a hang.
        configurable: what LangGraph says of the run, for those who look at what is around the call.
    """

    thread: str = ""
    task: str = ""
    message: str = ""
    tool_call_id: str = ""
    agent: str = ""
    emitted: bool = False
    durable: bool = False
    execution: object = None
    attempt: int = 1
    pulse: Callable[[], None] | None = None
    configurable: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def site_of_request(request: Any) -> CallSite:
    """Read the site of a call from a ToolNode's request."""
    config = request.runtime.config or {} if request.runtime is not None else {}
    message, ordinal = _emitting_message(request.state, request.tool_call, config)
    return _site(config, request.tool_call.get("id"), message, ordinal)


def site_of_config(config: Mapping[str, Any] | None, tool_call_id: str | None) -> CallSite:
    """Read the site of a call from its config alone, as a tool without hooks sees it."""
    return _site(config or {}, tool_call_id)


def _site(
    config: Mapping[str, Any], tool_call_id: str | None, message: AIMessage | None = None, ordinal: str = ""
) -> CallSite:
    configurable = config.get("configurable") or {}
    runtime = configurable.get("__pregel_runtime")
    emitter, task = message.id if message else None, str(configurable.get("__pregel_task_id") or "")
    return CallSite(
        thread=str(configurable.get("thread_id") or ""),
        message=emitter or task,
        tool_call_id=(tool_call_id or "") + ordinal,
        agent=_agent_of(config, message, configurable),
        emitted=bool(emitter),
        durable=checkpointer_of(configurable) is not None,
        # The scratchpad itself is another one for each attempt, and takes no weak references.
        execution=getattr(configurable.get("__pregel_scratchpad"), "get_null_resume", None),
        task=task,
        attempt=getattr(getattr(runtime, "execution_info", None), "node_attempt", 1),
        pulse=getattr(runtime, "heartbeat", None),
        configurable=configurable,
    )


def derive_key(site: CallSite, tool: str, plain: str, fingerprint: str, outer: CallContext | None) -> str:
    """Name the intended call: the same over every repetition of it, and different for any other call.

    Args:
        site: where the call comes from.
        tool: the tool's name.
        plain: the hash of the arguments. With the id of a message, which nobody can guess, it makes a key that stays
            the same if the store is lost and the call is repeated from its checkpoint.
        fingerprint: that hash, keyed with the store's secret: for keys of which all else can be read in the log.
        outer: the guarded call around this one, if any.

    Returns:
        The key; empty where nothing tells a repetition of this call from another call.
    """
    if outer is not None and named_by_outer(site, outer):
        number = outer.count(fingerprint)
        return digest("inner", outer.idempotency_key, tool, fingerprint, str(number))
    # Without a thread, two runs that are both meant may have messages with the same id; a task is of one run.
    kind, where = ("call", site.thread) if site.thread else ("run", site.task)
    if not (where and site.message):
        return ""
    named = site.tool_call_id and (site.thread or site.emitted)  # models may use an id again in their next message
    counted = 0 if named else _executions.count(site, plain + site.tool_call_id)
    if counted is None:
        return ""
    return digest(kind, where, site.message, site.tool_call_id, tool, plain, str(counted))


def named_by_outer(site: CallSite, outer: CallContext | None) -> bool:
    """Tell whether the guarded call around a call names it, because no checkpoint keeps the message that emitted it."""
    return outer is not None and bool(outer.idempotency_key) and not (site.emitted and site.durable)


class _Executions:
    """Counts the identical calls that a node's own code makes: each is meant, and a repetition counts them anew.

    Counts live as long as their execution: were they forgotten before, two calls that are both meant had one key.
    """

    def __init__(self) -> None:
        self._counts: WeakKeyDictionary[object, Counter[tuple[int, str]]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def count(self, site: CallSite, name: str) -> int | None:
        """Count a call within an attempt of an execution, from 0; None where there is nothing to tie the count to."""
        with self._lock:
            try:
                counts = self._counts.setdefault(site.execution, Counter())
            except TypeError:  # an object that takes no weak references, or none at all
                return None
            counts[site.attempt, name] += 1
            return counts[site.attempt, name] - 1


_executions = _Executions()


def _emitting_message(
    state: Any, tool_call: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[AIMessage | None, str]:
    """Find the message that emitted a call, and what tells the call from others of that message with the same id."""
    for message in reversed(_messages(state)):
        if isinstance(message, AIMessage):
            same = [call for call in message.tool_calls if call["id"] == tool_call.get("id")]
            if same:
                return message, _ordinal(same, tool_call, config)
    return None, ""


def _ordinal(same: Sequence[Mapping[str, Any]], tool_call: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    # Two calls of one message may carry the same id, or none, and both are meant.
    if len(same) == 1:
        return ""
    path = (config.get("metadata") or {}).get("langgraph_path") or ()
    if path and path[0] == "__pregel_push":  # each has a task of its own, at the same place in every repetition
        return f"#{path}"
    index = next((at for at, call in enumerate(same) if call is tool_call), None)
    if index is None:
        index = next((at for at, call in enumerate(same) if call == tool_call), 0)
    return f"#{index}"


def _messages(state: Any) -> Sequence[Any]:
    if isinstance(state, list):
        return state
    messages = state.get("messages") if isinstance(state, Mapping) else getattr(state, "messages", None)
    if messages:
        return list(messages)
    values = (
        state.values() if isinstance(state, Mapping) else vars(state).values() if hasattr(state, "__dict__") else ()
    )
    lists = (
        value for value in values if isinstance(value, list) and any(isinstance(item, AIMessage) for item in value)
    )
    return next(lists, ())


def _agent_of(config: Mapping[str, Any], message: AIMessage | None, configurable: Mapping[str, Any]) -> str:
    named = (config.get("metadata") or {}).get("lc_agent_name") or (message.name if message else None)
    return str(named or _segment_before_tools(str(configurable.get("checkpoint_ns") or "")))


def _segment_before_tools(checkpoint_ns: str) -> str:
    names = [segment.split(":")[0] for segment in checkpoint_ns.split("|") if segment]
    return names[-2] if len(names) > 1 else ""
