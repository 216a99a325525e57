"""Idempotency keys: whether a value is one, and what in it is another one each time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects.origins import origins, results_of
from clawproof_langgraph.audit.effects.scopes import Scope, scope_of
from clawproof_langgraph.audit.findings import Place
from clawproof_langgraph.audit.source import Function, Module, SourceTree

KEY_NAME: Final = re.compile(
    r"idempoten|dedup|(^|[-_])request[-_]?(id|token|key)$|client[-_]?(request[-_]?)?token|(^|[-_])op(eration)?[-_](id|key)$|nonce$",
    re.IGNORECASE,
)
"""Names of headers, fields and columns by which a repetition is told."""

_UNSTABLE: Final = frozenset(
    {"uuid.uuid1", "uuid.uuid4", "uuid.uuid6", "uuid.uuid7", "time.time", "time.time_ns", "time.monotonic",
     "time.perf_counter", "time.monotonic_ns", "time.perf_counter_ns", "time.strftime", "time.ctime",
     "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
     "os.urandom", "os.getpid", "id", "hash", "object", "pendulum.now", "arrow.now", "arrow.utcnow",
     "django.utils.timezone.now", "timezone.now", "ulid.new", "ulid.ULID", "shortuuid.uuid", "nanoid.generate",
     "bson.ObjectId", "bson.objectid.ObjectId", "ksuid.ksuid", "cuid.cuid", "uuid_utils.uuid4", "uuid_utils.uuid7",
     "threading.get_ident", "itertools.count"}
)  # fmt: skip
_UNSTABLE_ROOTS: Final = ("random.", "secrets.", "numpy.random.", "faker.")
_BARE: Final = frozenset({"uuid4", "uuid1", "uuid7", "utcnow"})


@dataclass(frozen=True, slots=True)
class Unstable:
    """A part of a value that is another one each time.

    Args:
        what: what gives it, such as `uuid.uuid4()`.
        place: where.
    """

    what: str
    place: Place


def unstable_parts(of: Function | ast.expr, module: Module, tree: SourceTree) -> tuple[Unstable, ...]:
    """Find what in a key is another one each time: uuid4(), now(), random.

    Args:
        of: a function that makes a key, or an expression that is one; a name, or a lambda, is followed.
        module: where it is.
        tree: the project.
    """
    if isinstance(of, Function):
        scope = scope_of(of, tree)
        found = [part for value in results_of(scope) for part in unstable_in(value, scope)]
        return tuple(dict.fromkeys(found))
    dotted = module.dotted(of)
    function = tree.function(dotted) if dotted else None
    if function is not None:
        return unstable_parts(function, function.module, tree)
    return tuple(dict.fromkeys(unstable_in(of, Scope(tree, module))))


def unstable_in(node: ast.expr, scope: Scope) -> Iterator[Unstable]:
    """Find what in a value is another one each time."""
    for part in origins(node, scope):
        if isinstance(part.node, ast.Call):
            name = part.scope.dotted(part.node.func)
            if _is_unstable(name, part.node):
                yield Unstable(f"{name or _last(part.node)}()", part.scope.module.place(part.node))


def is_unstable(node: ast.expr | None, scope: Scope) -> bool:
    """Tell whether something in a value is another one each time."""
    return node is not None and next(unstable_in(node, scope), None) is not None


def is_key(node: ast.expr, scope: Scope) -> bool:
    """Tell whether a value holds the idempotency key of the guarded call."""
    for part in origins(node, scope):
        match part.node:
            case ast.Attribute(attr="idempotency_key") | ast.Call(func=ast.Attribute(attr="sub_key")):
                return True
    return False


def _is_unstable(name: str, node: ast.Call) -> bool:
    if name in _UNSTABLE or name.startswith(_UNSTABLE_ROOTS):
        return True
    return not name and isinstance(node.func, ast.Attribute) and node.func.attr in _BARE


def _last(node: ast.Call) -> str:
    return ast.unparse(node.func)
