"""What runs a function, or something in it, again by itself: decorators, loops around a try, clients that retry."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects.sites import Site, callee, sites_of
from clawproof_langgraph.audit.findings import Confidence, Place
from clawproof_langgraph.audit.source import Function, SourceTree

_DECORATORS: Final = {
    "tenacity.retry": "tenacity", "backoff.on_exception": "backoff", "backoff.on_predicate": "backoff",
    "stamina.retry": "stamina", "retrying.retry": "retrying", "retry.retry": "retry", "retry.api.retry": "retry",
    "retrying.Retrying": "retrying", "tenacity.Retrying": "tenacity", "tenacity.AsyncRetrying": "tenacity",
    "stamina.retry_context": "stamina", "celery.shared_task": "celery", "prefect.task": "prefect",
    "langchain_core.runnables.RunnableRetry": "langchain",
}  # fmt: skip
_CLIENTS: Final = {
    "urllib3.Retry": "urllib3", "urllib3.util.Retry": "urllib3", "urllib3.util.retry.Retry": "urllib3",
    "requests.packages.urllib3.util.retry.Retry": "urllib3", "httpx_retries.RetryTransport": "httpx-retries",
    "aiohttp_retry.RetryClient": "aiohttp-retry",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Retrying:
    """Something that runs again by itself.

    Args:
        by: what does it, such as `tenacity` or `a loop`.
        place: where.
        via: the calls that lead there; empty for the function itself.
        confidence: how sure it is.
    """

    by: str
    place: Place
    via: tuple[Place, ...] = ()
    confidence: Confidence = Confidence.CERTAIN


def retries_around(function: Function, tree: SourceTree) -> tuple[Retrying, ...]:
    """Find what runs a function, or something in it, again: decorators, loops around a `try`, clients that retry."""
    key = ("retries", function)
    if key not in tree.notes:
        tree.notes[key] = tuple(dict.fromkeys(_retries(function, tree)))
    found: tuple[Retrying, ...] = tree.notes[key]
    return found


def _retries(function: Function, tree: SourceTree) -> Iterator[Retrying]:
    yield from _decorated(function, ())
    seen: set[Function] = {function}
    looped: set[ast.AST] = set()
    for site in sites_of(function, tree):
        if not isinstance(site.node, ast.Call):
            continue
        helper = callee(site.call.func, site.scope)
        if helper is not None and helper not in seen:
            seen.add(helper)
            yield from _decorated(helper, (*site.via, site.place))
        yield from _at(site, looped)


def _decorated(function: Function, via: tuple[Place, ...]) -> Iterator[Retrying]:
    for decorator in function.node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        by = _DECORATORS.get(function.module.dotted(called))
        if by is not None and (by not in ("celery", "prefect") or _asks_for_retries(decorator)):
            yield Retrying(by, function.module.place(decorator), via)


def _asks_for_retries(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and any("retr" in (keyword.arg or "") for keyword in decorator.keywords)


def _at(site: Site, looped: set[ast.AST]) -> Iterator[Retrying]:
    by = _CLIENTS.get(site.dotted) or _DECORATORS.get(site.dotted)
    if by is not None and by not in ("celery", "prefect"):
        yield Retrying(by, site.place, site.via)
    for client in _client(site):
        yield Retrying(client, site.place, site.via, Confidence.LIKELY)
    loop = _loop_around(site)
    if loop is not None and loop not in looped:
        looped.add(loop)
        yield Retrying("a loop", site.scope.module.place(loop), site.via, Confidence.LIKELY)


def _client(site: Site) -> Iterator[str]:
    """Find a client with retries of its own behind the receiver of a call."""
    if site.receiver is None or site.family != "http":
        return
    found = site.scope.follow(site.receiver)
    for node in ast.walk(found.node):
        if isinstance(node, ast.Call) and (by := _CLIENTS.get(found.scope.dotted(node.func))) is not None:
            yield by


def _loop_around(site: Site) -> ast.AST | None:
    """Find the loop whose `try` is around a call, and whose handling of errors lets it go round again."""
    tried, inner = False, site.node
    for around in site.around():
        if isinstance(around, ast.Try) and any(inner is each for each in around.body):
            tried = tried or any(_goes_round(handler) for handler in around.handlers)
        if isinstance(around, ast.While | ast.For | ast.AsyncFor) and tried and _is_attempts(around):
            return around
        inner = around
    return None


def _goes_round(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return not isinstance(last, ast.Raise | ast.Return | ast.Break)


def _is_attempts(loop: ast.While | ast.For | ast.AsyncFor) -> bool:
    """Tell a loop of attempts from one over different things: `for attempt in range(3)`, `while True`."""
    if isinstance(loop, ast.While):
        return True
    return isinstance(loop.iter, ast.Call) and isinstance(loop.iter.func, ast.Name) and loop.iter.func.id == "range"
