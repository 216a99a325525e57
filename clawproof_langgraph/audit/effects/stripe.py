"""Stripe's SDK, and those that take `idempotency_key` as it does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.keys import KEY_NAME, is_unstable
from clawproof_langgraph.audit.effects.mappings import entries
from clawproof_langgraph.audit.effects.scopes import Valued
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.touches import Touch

_READS: Final = ("retrieve", "list", "search", "auto_paging_iter", "construct_event")
_ABSOLUTE: Final = ("modify", "update", "delete", "cancel", "detach", "void_invoice", "expire", "close")


def touches(site: Site) -> Iterator[Touch]:
    """Tell what a call of the SDK does."""
    if not (site.dotted.startswith("stripe.") and site.dotted.count(".") >= 2) and site.family != "stripe":
        return
    what = ast.unparse(site.call.func)
    resource = what.split(".")[-2] if "." in what else ""
    if site.name.startswith(_READS):
        yield site.touch("http", what, writes=False, repeatable=True, resource=resource, why="It only reads.")
    elif site.name.startswith(_ABSOLUTE):
        yield site.touch(
            "http", what, repeatable=True, resource=resource, why="It sets a state that a repetition finds."
        )
    elif site.name.startswith("create") or site.name in (
        "capture",
        "confirm",
        "pay",
        "finalize_invoice",
        "send_invoice",
        "attach",
    ):
        yield _creating(site, what, resource)


def _creating(site: Site, what: str, resource: str) -> Touch:
    key = _key(site)
    if key is None:
        return site.touch(
            "http",
            what,
            repeatable=False,
            resource=resource,
            short=f"calls {what} without an idempotency_key",
            why="The service cannot tell a repetition from a new request.",
            fix="Pass idempotency_key=current_call().sub_key(...).",
        )
    if is_unstable(key.node, key.scope):
        return site.touch(
            "http",
            what,
            repeatable=False,
            resource=resource,
            short=f"calls {what} with a new idempotency_key each time",
            why="A key that is another one in each repetition tells the service nothing.",
            fix="Pass idempotency_key=current_call().sub_key(...).",
        )
    return site.touch("http", what, repeatable=True, resource=resource, why="It passes an idempotency_key.")


def _key(site: Site) -> Valued | None:
    for keyword in site.call.keywords:
        if keyword.arg is not None and KEY_NAME.search(keyword.arg):
            return Valued(keyword.value, site.scope)
        if keyword.arg in (None, "options", "params"):
            for name, value in entries(keyword.value, site.scope):
                if value is not None and KEY_NAME.search(name):
                    return value
    return None
