"""Who calls, and which intended call it is: the identity that LangGraph keeps over resume, retry and replay."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from weakref import WeakKeyDictionary

from langchain_core.messages import AIMessage, BaseMessage, ToolCall

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
        tool_call_id: the id of the tool call, with its place where a message uses the same one twice.
        counted: whether it takes counting to tell it from equal calls of its task.
        agent: the agent's name.
        emitted: whether `message` is an AIMessage, and not only a task.
        siblings: the id of an AIMessage that has the call, and whose other calls are none of its repetitions.
        messages: the AIMessages that have the call, as far as they are seen.
        sent: whether its task was sent, as those of one call each are.
        steps: the checkpoint of each graph around the call, outermost first, and which of its tasks the call is in.
        durable: whether the graph has a checkpointer, so that its message ids outlive a crash.
        execution: an object that lives as long as this execution of the task, the same for all calls in it.
        attempt: which attempt of the execution this is, where a RetryPolicy makes more than one.
        pulse: tells LangGraph that a wait is not a hang.
        configurable: what LangGraph says of the run, for those who look at what is around the call.
        history: the message histories that the call came out of, each with how many messages its model had seen; None
            where no history is seen.
    """

    thread: str = ""
    task: str = ""
    message: str = ""
    tool_call_id: str = ""
    counted: bool = True
    agent: str = ""
    emitted: bool = False
    siblings: str = ""
    messages: tuple[AIMessage, ...] = field(default=(), repr=False, compare=False)
    sent: bool = False
    steps: tuple[tuple[str, str], ...] = ()
    durable: bool = False
    execution: object = None
    attempt: int = 1
    pulse: Callable[[], None] | None = None
    configurable: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    history: tuple[tuple[Sequence[Any], int], ...] | None = field(default=None, repr=False, compare=False)

    @property
    def place(self) -> str:
        """Its place among the calls of its message, in words that are the same in other turns; empty if not seen."""
        called = _of_id(self.messages[0], self.tool_call_id or None) if len(self.messages) == 1 else []
        if len(called) != 1:
            return ""
        name = called[0]["name"]
        same = [each["id"] for each in self.messages[0].tool_calls if each["name"] == name]
        return f"{name} {same.index(called[0]['id'])}"

    @property
    def company(self) -> list[str]:
        """The tools of the other calls that the same task makes."""
        own = self.tool_call_id or None
        return [
            call["name"]
            for message in (() if self.sent else self.messages)
            for call in message.tool_calls
            if call["id"] != own or call is not _of_id(message, own)[0]
        ]

    def of_step(self, step: str) -> CallSite:
        """Give the site of a node's own execution, which its step names, and no message."""
        return replace(self, message=step)


NOWHERE: Final = CallSite()
"""Outside of any graph."""


def site_of_request(request: Any) -> CallSite:
    """Read the site of a call from a ToolNode's request."""
    config = request.runtime.config or {} if request.runtime is not None else {}
    found, tool_call_id = _emitting(request.state, request.tool_call), request.tool_call.get("id")
    if not found:
        whole = tuple([(messages, len(messages)) for messages in _histories(request.state) if _is_history(messages)])
        return _site(config, tool_call_id, counted=not tool_call_id, history=whole or None)
    emitters = [message for message, *_ in found]
    place, certain = _place(_of_id(emitters[0], tool_call_id), request.tool_call, config)
    history = tuple([(messages, at) for _, messages, at in found])
    return _site(
        config, (tool_call_id or "") + place, emitters, counted=not (tool_call_id and certain), history=history
    )


def site_of_config(config: Mapping[str, Any] | None, tool_call_id: str | None) -> CallSite:
    """Read the site of a call from its config alone, as a tool without hooks sees it."""
    beside = _seen_emitters(config or {}, tool_call_id) if tool_call_id else []
    counted = not tool_call_id or any(len(_of_id(message, tool_call_id)) > 1 for message in beside)
    return _site(config or {}, tool_call_id, counted=counted, beside=beside)


def _site(
    config: Mapping[str, Any],
    tool_call_id: str | None,
    emitters: Sequence[AIMessage] = (),
    *,
    counted: bool,
    beside: Sequence[AIMessage] = (),
    history: tuple[tuple[Sequence[Any], int], ...] | None = None,
) -> CallSite:
    configurable = config.get("configurable") or {}
    runtime = configurable.get("__pregel_runtime")
    ids = _ids(emitters)
    task = str(configurable.get("__pregel_task_id") or "")
    return CallSite(
        thread=str(configurable.get("thread_id") or ""),
        message=ids or task,
        tool_call_id=tool_call_id or "",
        counted=counted,
        agent=_agent_of(config, emitters, configurable),
        emitted=bool(ids),
        siblings=ids or _ids(beside),
        messages=tuple(emitters or beside),
        sent=bool(_path_sent(config)),
        steps=_steps(configurable),
        durable=checkpointer_of(configurable) is not None,
        # The scratchpad itself is another one for each attempt, and takes no weak references.
        execution=getattr(configurable.get("__pregel_scratchpad"), "get_null_resume", None),
        task=task,
        attempt=getattr(getattr(runtime, "execution_info", None), "node_attempt", 1),
        pulse=getattr(runtime, "heartbeat", None),
        configurable=configurable,
        history=history,
    )


def number_of(site: CallSite, plain: str) -> int | None:
    """Number a call among those that nothing else tells apart, from 0; None where they cannot be counted.

    Args:
        site: where the call comes from.
        plain: the hash of the arguments.
    """
    # Models may use an id again in their next message: without a thread, it takes a message to tell.
    uncounted = not site.counted and (site.thread or site.emitted)
    return 0 if uncounted else executions.count(site, plain + site.tool_call_id)


def derive_key(
    site: CallSite, number: int | None, tool: str, plain: str, fingerprint: str, outer: CallContext | None
) -> str:
    """Name the intended call: the same over every repetition of it, and different for any other call.

    Args:
        site: where the call comes from.
        number: its number.
        tool: the tool's name.
        plain: the hash of the arguments. With the id of a message, which nobody can guess, it makes a key that stays
            the same if the store is lost and the call is repeated from its checkpoint.
        fingerprint: that hash, keyed with the store's secret: for keys of which all else can be read in the log.
        outer: the guarded call around this one, if any.

    Returns:
        The key; empty where nothing tells a repetition of this call from another call.
    """
    if outer is not None and named_by_outer(site, outer):
        which = object() if number is None else (site.message, site.tool_call_id, number)
        return digest("inner", outer.idempotency_key, tool, fingerprint, str(outer.number(fingerprint, which)))
    # Without a thread, two runs that are both meant may have messages with the same id; a task is of one run.
    kind, where = ("call", site.thread) if site.thread else ("run", site.task)
    if number is None or not (where and site.message):
        return ""
    return digest(kind, where, site.message, site.tool_call_id, tool, plain, str(number))


def named_by_outer(site: CallSite, outer: CallContext | None) -> bool:
    """Tell whether the guarded call around a call names it.

    It does where the call is made by the tool's own code, or by a graph that keeps no checkpoints: these start over
    whenever the outer call does. Any other graph goes on from its checkpoints, and keeps its messages and tasks.
    """
    return outer is not None and bool(outer.idempotency_key) and not (site.durable and site.task != outer.task)


def lineage_of(site: CallSite, number: int | None, outer: CallContext | None) -> str:
    """Name what a call came out of, so that it can be told from those that came out of the same beside it.

    Args:
        site: where the call comes from.
        number: its number.
        outer: the guarded call around this one, if any.

    Returns:
        Words of the form `group:member`; a step of a graph and its task, an AIMessage and its call.
    """
    # Not by its key: that is another one where the message was saved, but not the checkpoint with its task.
    groups = [*site.steps, (site.siblings, f"{site.tool_call_id} {number}")] if site.siblings else site.steps
    words = [f"{_short(group)}:{_short(member)}" for group, member in groups]
    return " ".join([outer.lineage, *words] if outer is not None and outer.lineage else words)


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


class _Executions:
    """Counts the identical calls that a node's own code makes: each is meant, and a repetition counts them anew.

    Counts live as long as their execution: were they forgotten before, two calls that are both meant had one key.
    """

    def __init__(self) -> None:
        self._counts: WeakKeyDictionary[object, Counter[tuple[int, str]]] = WeakKeyDictionary()
        self._drawn: WeakKeyDictionary[object, dict[str, int]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def once(self, site: CallSite, name: str, draw: Callable[[], int]) -> int:
        """Draw a number for an execution, and give the same one in all of its attempts."""
        with self._lock:
            drawn = self._drawn.setdefault(site.execution, {})
            return drawn[name] if name in drawn else drawn.setdefault(name, draw())

    def count(self, site: CallSite, name: str) -> int | None:
        """Count a call within an attempt of an execution, from 0; None where there is nothing to tie the count to."""
        with self._lock:
            try:
                counts = self._counts.setdefault(site.execution, Counter())
            except TypeError:  # an object that takes no weak references, or none at all
                return None
            counts[site.attempt, name] += 1
            return counts[site.attempt, name] - 1


executions = _Executions()


def _emitting(state: Any, tool_call: Mapping[str, Any]) -> list[tuple[AIMessage, Sequence[Any], int]]:
    """Find the message that emitted a call, with its history and its place there; in a state with several histories,
    perhaps one in each.
    """
    found = []
    for messages in _histories(state):
        for at in range(len(messages) - 1, -1, -1):
            message = messages[at]
            if not isinstance(message, AIMessage):
                continue
            if any(call is tool_call for call in message.tool_calls):
                return [(message, messages, at)]
            if _of_id(message, tool_call.get("id")):
                found.append((message, messages, at))
                break
    return found


def _of_id(message: AIMessage, tool_call_id: str | None) -> list[ToolCall]:
    return [call for call in message.tool_calls if call["id"] == tool_call_id]


def _place(same: Sequence[ToolCall], tool_call: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[str, bool]:
    """Say what tells a call from others of its message with the same id, or none; and whether that is all it takes.

    All of them are meant. Their arguments do not tell: somebody may have edited them on the way.
    """
    if len(same) == 1:
        return "", True
    path = _path_sent(config)
    if path:  # a task that was sent stands at the same place in every repetition
        return f"#{path}", False
    itself = [at for at, call in enumerate(same) if call is tool_call]
    return (f"#{itself[0]}", True) if itself else ("#", False)


def _path_sent(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """Read the place of a task that was sent, as those of one call each are; empty for any other."""
    path = (config.get("metadata") or {}).get("langgraph_path") or ()
    return tuple(path) if path and path[0] == "__pregel_push" else ()


def _ids(messages: Sequence[AIMessage]) -> str:
    return " ".join([message.id for message in messages if message.id])


def _seen_emitters(config: Mapping[str, Any], tool_call_id: str) -> list[AIMessage]:
    """Find the message in the state of the running graph that has a call: most likely the one that emitted it.

    A node that asks a model itself has its message not in the state yet, but perhaps an older one with the same id.
    """
    read = (config.get("configurable") or {}).get("__pregel_read")
    channels = getattr(read, "args", ())[1:2]  # as ToolNode reads them
    # Without what the task has written itself: to read that, LangGraph would copy every channel.
    if not (read and channels):
        return []
    return [message for message, *_ in _emitting(read(list(channels[0]), False), {"id": tool_call_id})]


def _histories(state: Any) -> list[Sequence[Any]]:
    """List the message histories of a state, `messages` first."""
    if isinstance(state, list):
        return [state]
    values = state if isinstance(state, Mapping) else getattr(state, "__dict__", {})
    lists = [values.get("messages"), *(value for name, value in values.items() if name != "messages")]
    return [value for value in lists if isinstance(value, list) and _is_history(value)]


def _is_history(messages: Sequence[Any]) -> bool:
    return bool(messages) and isinstance(messages[-1], BaseMessage)


def _steps(configurable: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    here, checkpoints = str(configurable.get("checkpoint_ns") or ""), configurable.get("checkpoint_map") or {}
    inside = {graph: here.removeprefix(graph).lstrip("|") for graph in checkpoints if here.startswith(graph)}
    return tuple((str(checkpoints[graph]), path.split("|")[0]) for graph, path in inside.items())


def _agent_of(config: Mapping[str, Any], emitters: Sequence[AIMessage], configurable: Mapping[str, Any]) -> str:
    named = (config.get("metadata") or {}).get("lc_agent_name") or (emitters[0].name if emitters else None)
    return str(named or _segment_before_tools(str(configurable.get("checkpoint_ns") or "")))


def _segment_before_tools(checkpoint_ns: str) -> str:
    names = [segment.split(":")[0] for segment in checkpoint_ns.split("|") if segment and not segment.isdigit()]
    return names[-2] if len(names) > 1 else ""
