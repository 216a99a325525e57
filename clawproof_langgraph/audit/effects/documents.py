"""Documents of an office that are loaded, added to and saved: workbooks, texts and slides."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.keys import is_unstable
from clawproof_langgraph.audit.effects.receivers import kind_of
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.text import text_of
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.findings import Confidence

LIBRARIES: Final = frozenset({"openpyxl", "docx", "pptx"})
_ADDS_TO_DOCUMENT: Final = frozenset(
    {"add_paragraph", "add_heading", "add_table", "add_picture", "add_page_break", "add_slide", "create_sheet"}
)
_ADDS_TO_SHEET: Final = frozenset({"append", "insert_rows", "insert_cols", "add_image", "add_chart"})


def touches(site: Site) -> Iterator[Touch]:
    """Tell what saving a document does."""
    if site.family != "document" or site.name != "save" or site.receiver is None:
        return
    node = site.argument(0, "filename", "path_or_stream", "file")
    path = text_of(node, site.scope).filled() if node is not None else ""
    if is_unstable(node, site.scope):
        short, why = "saves a document under a new name each time", "Each repetition writes another file."
        fix = "Make the name from the arguments of the call, or from its idempotency key."
    elif node is not None and _is_loaded_from(node, site) and _is_added_to(site):
        short, why = f"loads {path}, adds to it, and saves it", "A repetition loads what was added, and adds it again."
        fix = "Look for the entry before adding it, or write it to a place made from the call."
    else:
        yield site.touch("file", f"saves {path}", repeatable=True, resource=path, why="It replaces the contents.")
        return
    yield site.touch(
        "file",
        f"saves {path}",
        repeatable=False,
        resource=path,
        short=short,
        why=why,
        fix=fix,
        confidence=Confidence.LIKELY,
    )


def _is_loaded_from(path: ast.expr, site: Site) -> bool:
    """Tell whether a document is saved where it comes from; one that was made here, or from a template, is not."""
    made = site.scope.follow(site.receiver) if site.receiver is not None else None
    if made is None or not isinstance(made.node, ast.Call):
        return False
    given = [*made.node.args, *(keyword.value for keyword in made.node.keywords)][:1]
    return any(text_of(each, made.scope).filled() == text_of(path, site.scope).filled() for each in given)


def _is_added_to(site: Site) -> bool:
    body = site.scope.body
    for node in body.nodes if body is not None else ():
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=attr)) if (
                attr in _ADDS_TO_DOCUMENT and kind_of(owner, site.scope).startswith("document:")
            ) or (attr in _ADDS_TO_SHEET and kind_of(owner, site.scope).startswith("sheet:")):
                return True
    return False
