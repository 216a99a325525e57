"""Django's ORM: managers, querysets, and objects that are saved."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.columns import Column, judge_columns, mentions
from clawproof_langgraph.audit.effects.keys import KEY_NAME, is_key, is_unstable
from clawproof_langgraph.audit.effects.mappings import entries
from clawproof_langgraph.audit.effects.receivers import kind_of, row_kind
from clawproof_langgraph.audit.effects.scopes import Valued
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.findings import Confidence

_FIX: Final = (
    "Use get_or_create or update_or_create under a business key, bulk_create(ignore_conflicts=True), "
    "or store the idempotency key in a unique column."
)
_READS: Final = frozenset(
    {"get", "first", "last", "all", "filter", "exists", "count", "values", "aggregate", "aget", "afirst", "acount"}
)


def touches(site: Site) -> Iterator[Touch]:
    """Tell what a call of a manager, a queryset or a model does."""
    name = site.name.removeprefix("a") if site.name in _ASYNC else site.name
    if site.kind == "rows:django":
        yield from _of_manager(site, name)
    elif name == "create" and _is_related(site):
        yield _created(site, ast.unparse(site.receiver) if site.receiver is not None else "")
    elif name == "save" and site.receiver is not None:
        yield from _saved(site)
    elif name == "delete" and site.kind == "row:django":
        yield site.touch("orm", "delete", repeatable=True, why="A second delete finds nothing.")


_ASYNC: Final = frozenset(
    {"acreate", "acreate_user", "aget_or_create", "aupdate_or_create", "aupdate", "adelete", "asave", "abulk_create"}
)


def _of_manager(site: Site, name: str) -> Iterator[Touch]:
    model = model_of(site.receiver)
    if name in ("create", "create_user", "create_superuser"):
        yield _created(site, model)
    elif name in ("get_or_create", "update_or_create"):
        yield _or_created(site, name, model)
    elif name == "bulk_create":
        told = {each.arg for each in site.call.keywords} & {"ignore_conflicts", "update_conflicts"}
        if told:
            yield site.touch(
                "orm",
                f"{model}.bulk_create",
                repeatable=True,
                resource=model,
                why="It says what to do with rows that are there.",
            )
        else:
            yield site.touch(
                "orm",
                f"{model}.bulk_create",
                repeatable=False,
                resource=model,
                fix=_FIX,
                short="uses bulk_create without ignore_conflicts",
                why="Each repetition adds the rows again.",
            )
    elif name == "bulk_update":
        yield site.touch(
            "orm",
            f"{model}.bulk_update",
            repeatable=None,
            resource=model,
            confidence=Confidence.POSSIBLE,
            short="uses bulk_update",
            why="What the objects were given cannot be told here.",
            fix=_FIX,
        )
    elif name == "update":
        sets = [Column(each.arg, Valued(each.value, site.scope)) for each in site.call.keywords if each.arg]
        yield judge_columns(site, f"{model}.update", model, sets, compares_of(Valued(site.call, site.scope)))
    elif name == "delete":
        yield site.touch(
            "orm", f"{model}.delete", repeatable=True, resource=model, why="A second delete finds nothing."
        )
    elif name in _READS and _is_end(site):
        yield site.touch("orm", f"{model}.{name}", writes=False, repeatable=True, resource=model, why="It only reads.")


def _is_end(site: Site) -> bool:
    around = next(site.around(), None)
    return not isinstance(around, ast.Attribute)


def model_of(node: ast.expr | None) -> str:
    """Find the model of a queryset."""
    for each in ast.walk(node) if node is not None else ():
        if isinstance(each, ast.Attribute) and each.attr in ("objects", "_default_manager"):
            owner = each.value
            return owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return ""


def _is_related(site: Site) -> bool:
    return isinstance(site.receiver, ast.Attribute) and kind_of(site.receiver.value, site.scope) == "row:django"


def _created(site: Site, model: str) -> Touch:
    for each in site.call.keywords:
        if is_key(each.value, site.scope) or (
            KEY_NAME.search(each.arg or "") and not is_unstable(each.value, site.scope)
        ):
            return site.touch(
                "orm",
                f"{model}.create",
                repeatable=True,
                resource=model,
                why="It stores the idempotency key, by which the database refuses a second row.",
            )
    return site.touch(
        "orm",
        f"{model}.create",
        repeatable=False,
        resource=model,
        short=f"creates a new {model or 'row'}, not an upsert",
        why="Each repetition adds a row, or fails on the one that is there.",
        fix=_FIX,
    )


def _or_created(site: Site, name: str, model: str) -> Touch:
    for each in site.call.keywords:
        if each.arg in ("defaults", "create_defaults"):
            if name == "update_or_create" and any(
                value is not None and mentions(value.node, column) for column, value in entries(each.value, site.scope)
            ):
                return site.touch(
                    "orm",
                    f"{model}.{name}",
                    repeatable=False,
                    resource=model,
                    fix=_FIX,
                    short="updates relative to the old value",
                    why="Each repetition changes it again.",
                )
        elif is_unstable(each.value, site.scope):
            return site.touch(
                "orm",
                f"{model}.{name}",
                repeatable=False,
                resource=model,
                fix=_FIX,
                short=f"looks for a new {each.arg} each time",
                why=f"{each.arg} is another one in each repetition, so it never finds the row.",
            )
    return site.touch("orm", f"{model}.{name}", repeatable=True, resource=model, why="It looks for the row first.")


def compares_of(call: Valued) -> list[tuple[str, str, Valued]]:
    """Give what the filters before a call of a queryset compare: the column, the operator and the value."""
    found: list[tuple[str, str, Valued]] = []
    node = call.node.func if isinstance(call.node, ast.Call) else None
    while isinstance(node, ast.Call | ast.Attribute):
        if isinstance(node, ast.Call):
            for each in node.keywords:
                column = (each.arg or "").removesuffix("__exact")
                if column.endswith("__isnull"):
                    null = ast.copy_location(ast.Constant(value=None), each.value)
                    found.append((column.removesuffix("__isnull"), "Eq", Valued(null, call.scope)))
                elif "__" not in column:
                    found.append((column, "Eq", Valued(each.value, call.scope)))
            node = node.func
        else:
            node = node.value
    return found


def _saved(site: Site) -> Iterator[Touch]:
    assert site.receiver is not None
    if site.kind == "row:django":
        yield site.touch(
            "orm",
            "save",
            repeatable=True,
            why="It writes an object that was read; what was changed in it counts by itself.",
        )
        return
    made = site.scope.follow(site.receiver)
    if not isinstance(made.node, ast.Call) or not _is_model(made):
        return
    name = ast.unparse(made.node.func)
    given = {each.arg: each.value for each in made.node.keywords if each.arg}
    if any(is_key(value, made.scope) for value in given.values()):
        yield site.touch("orm", f"{name}.save", repeatable=True, resource=name, why="It stores the idempotency key.")
    elif (key := given.get("id") or given.get("pk")) is not None and not is_unstable(key, made.scope):
        yield site.touch(
            "orm", f"{name}.save", repeatable=True, resource=name, why="Saving under a primary key is an upsert."
        )
    else:
        yield site.touch(
            "orm",
            f"{name}.save",
            repeatable=False,
            resource=name,
            short=f"saves a new {name}, not an upsert",
            why="Each repetition adds a row, or fails on the one that is there.",
            fix=_FIX,
            confidence=Confidence.LIKELY,
        )


def _is_model(made: Valued) -> bool:
    """Tell whether an object is of a Django model: by its bases, or as one imported from a module called models."""
    assert isinstance(made.node, ast.Call)
    dotted = made.scope.dotted(made.node.func)
    module, _, name = dotted.rpartition(".")
    if not name[:1].isupper():
        return False
    if row_kind(dotted, made.scope) == "row:django":
        return True
    of_django = any(each.startswith("django") for each in made.scope.module.imports.values())
    return of_django and module.rpartition(".")[2] == "models"
