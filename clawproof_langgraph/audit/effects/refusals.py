"""Writes that a repetition does not make: it looks first, or it is refused and takes that for done."""

from __future__ import annotations

import ast
from typing import Final

from clawproof_langgraph.audit.effects.sites import Site

_DUPLICATES: Final = frozenset(
    {"IntegrityError", "UniqueViolation", "UniqueViolationError", "DuplicateKeyError", "DuplicateKeyException", "FileExistsError",
     "ConditionalCheckFailedException", "AlreadyExists", "ResourceExistsError", "ConflictError"}
)  # fmt: skip


def refused_twice(site: Site, table: str) -> str | None:
    """Say why a repetition is not made, where what is around the site refuses it; None where nothing does."""
    if _duplicate_is_caught(site):
        return "A repetition is refused by a unique key, and that is taken for done."
    return None


def _duplicate_is_caught(site: Site) -> bool:
    inner: ast.AST = site.node
    for around in site.around():
        if isinstance(around, ast.Try) and any(inner is each for each in around.body):
            for handler in around.handlers:
                if handler.type is not None and _names_duplicate(handler.type) and not _raises(handler):
                    return True
        inner = around
    return False


def _names_duplicate(node: ast.expr) -> bool:
    each = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(
        (part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "")) in _DUPLICATES for part in each
    )


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for statement in handler.body for node in ast.walk(statement))
