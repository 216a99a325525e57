"""What is said of the surroundings of a guarded tool: each finding with its remedy.

What happens in each case is held by `tests/graph/test_surrounded.py`; what is not warned of, and why, is told in
`docs/decisions/0013`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from clawproof_langgraph.graph.surroundings import Place
from clawproof_langgraph.policy import Effect, ToolPolicy

_RENAMED = (Effect.ONCE, Effect.KEYED, Effect.TRANSACTIONAL, Effect.DELEGATE)
"""Effects of which a call under another key is another effect. A `delegate` names the calls inside it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something around a guarded tool that weakens what is promised of it, or that does not do what it seems to.

    Args:
        kind: what it is, in a word.
        where: the nodes, from that of the outermost graph on; or the store, or the durability.
        what: what happens.
        remedy: what to do about it.
    """

    kind: str
    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}"


def hangs_on_the_message(policy: ToolPolicy) -> bool:
    """Tell whether a call that the model asks for anew, done already, would take effect again."""
    return policy.key is None and policy.effect in _RENAMED


def of_place(
    place: Place, tool: str, policy: ToolPolicy, *, named_by_outer: bool = False, asked_here: bool = False
) -> Iterator[Finding]:
    """Judge the place where a tool runs.

    Args:
        place: where.
        tool: the tool's name.
        policy: the tool's.
        named_by_outer: whether its calls are named by a guarded call around them, and not by a message.
        asked_here: whether the node that runs the tool may be the one that asks the model, too.
    """
    if hangs_on_the_message(policy) and not named_by_outer:
        asking = place.retried if asked_here else place.retried[:-1]
        for depth, retried in enumerate(asking, 1):
            if retried:
                yield _agent_retried(" > ".join(place.path[:depth]), tool)
        if place.unkept:
            yield _no_checkpoints(place.name, tool)
    if policy.effect is Effect.ONCE and policy.when_in_doubt() == "hold":
        if place.retried[-1] and not asked_here:
            yield _retry_policy(place.name, tool)
        if any(_is_tool_retry(item, tool) for item in place.around_tools()):
            yield _tool_retry_middleware(place.name, tool)


def of_node(place: Place, node: str, policy: ToolPolicy) -> Iterator[Finding]:
    """Judge the place of a guarded node."""
    if policy.effect is Effect.ONCE and policy.when_in_doubt() == "hold" and place.retried[-1]:
        yield _retry_policy(place.name, node, "node")


def _is_tool_retry(item: object, tool: str) -> bool:
    # By name, so that langchain need not be installed.
    if not any(kind.__name__ == "ToolRetryMiddleware" for kind in type(item).__mro__):
        return False
    names = getattr(item, "_tool_filter", None)  # None is all
    return names is None or tool in names


def _retry_policy(node: str, tool: str, noun: str = "tool") -> Finding:
    return Finding(
        "retry-policy",
        node,
        f'A RetryPolicy on node "{node}" cannot repeat a call of the once {noun} "{tool}" whose effect is unknown: the '
        f"guard answers the next attempt with that, in place of the error. Where the {noun} says that nothing "
        f"happened (NotApplied, ToolException), its attempts multiply.",
        f"Take the RetryPolicy off the node, and let the guard retry the {noun}: NotApplied and ToolPolicy(retry=...).",
    )


def _agent_retried(node: str, tool: str) -> Finding:
    return Finding(
        "agent-retried",
        node,
        f'A RetryPolicy on node "{node}" starts what runs in it anew: a model in it is asked again, and a call of '
        f'"{tool}" that is done takes effect twice, under a new id.',
        f"Retry where the error is: the model with ModelRetryMiddleware or with_retry(), a tool with "
        f'ToolPolicy(retry=...); or give "{tool}" a business `key`.',
    )


def _tool_retry_middleware(node: str, tool: str) -> Finding:
    return Finding(
        "tool-retry-middleware",
        node,
        f'ToolRetryMiddleware around the once tool "{tool}" cannot repeat a call whose effect is unknown: the guard '
        f"answers the next attempt with that, in place of the error (a tool of guard.wrap_tools() without a thread_id "
        f"runs again). Where the tool says that nothing happened (NotApplied, ToolException), its attempts multiply.",
        "Leave it out of ToolRetryMiddleware(tools=[...]), and let the guard retry it: NotApplied and "
        "ToolPolicy(retry=...).",
    )


def _no_checkpoints(node: str, tool: str) -> Finding:
    return Finding(
        "no-checkpoints",
        node,
        f'The graph that runs "{tool}" keeps no checkpoints (checkpointer=False), but one around it does: resumed '
        f'after an error or a crash, its model is asked again, and a call of "{tool}" that is done takes effect '
        f"twice, under a new id.",
        f'Compile it without checkpointer=False, or give "{tool}" a business `key`.',
    )


@lru_cache(maxsize=256)
def durability(mode: str, tool: str, *, is_node: bool = False) -> Finding:
    """Say that checkpoints are written later than calls are settled."""
    by_default = " (LangGraph's default)" if mode == "async" else ""
    again = "the node is run again" if is_node else "the model is asked again"
    return Finding(
        "durability",
        mode,
        f'With durability="{mode}"{by_default}, a crash can lose the checkpoint of a call of "{tool}" that is done; '
        f"{again}, and the call takes effect twice, under a new id.",
        f'Use invoke(..., durability="sync"), or give "{tool}" a business `key`.',
    )


@lru_cache(maxsize=256)
def local_store(store: str, reach: str) -> Finding:
    """Say that LangGraph Server may need more than a store that one process or machine reaches."""
    return Finding(
        "local-store",
        store,
        f"Only {reach} can reach the store {store}, but LangGraph Server runs a graph in several processes, on several "
        f"machines (`langgraph dev` in one): they would not be coordinated with each other.",
        f"Open a store that all of them reach, or let {reach} alone run this graph.",
    )


def unguarded(node: str, tool: str) -> Finding:
    """Say that a tool with a policy runs without the guard."""
    return Finding(
        "unguarded-tool",
        node,
        f'Tool "{tool}" has a policy, but node "{node}" runs it without the guard.',
        "Make the node with guard.tool_node(tools), or give the agent middleware=[CoordinationMiddleware(guard)].",
    )


def unmapped(node: str, tool: str) -> Finding:
    """Say that a tool of a guarded node has no policy."""
    return Finding(
        "unmapped-tool",
        node,
        f'Tool "{tool}" of node "{node}" has no policy, and is refused when it is called.',
        'Add it to the tools of the guard (ToolPolicy(effect="read") for one that changes nothing).',
    )
