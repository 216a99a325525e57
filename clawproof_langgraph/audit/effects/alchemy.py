"""SQLAlchemy (and SQLModel, Flask-SQLAlchemy): objects of a session, and statements built from tables."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from clawproof_langgraph.audit.effects.chains import Chain, chain_of, column_entries
from clawproof_langgraph.audit.effects.columns import Column, grows, judge_columns
from clawproof_langgraph.audit.effects.keys import KEY_NAME, is_key, is_unstable
from clawproof_langgraph.audit.effects.mappings import entries
from clawproof_langgraph.audit.effects.receivers import kind_of, row_kind
from clawproof_langgraph.audit.effects.scopes import Valued
from clawproof_langgraph.audit.effects.sites import Site
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.findings import Confidence

_RUNS: Final = frozenset({"execute", "scalar", "scalars", "exec", "stream"})
_BULK: Final = ("bulk_save_objects", "bulk_insert_mappings")
_FIX: Final = (
    "Use session.merge(...) under a business key, insert(...).on_conflict_do_nothing(), "
    "or put the write into effects.sql.once(...)."
)


def touches(site: Site) -> Iterator[Touch]:
    """Tell what a call of a session, a connection or a query does."""
    if site.family == "rows" and site.detail == "alchemy":
        yield from _of_query(site)
    elif site.name in ("add", "add_all"):
        yield from _added(site)
    elif site.family == "alchemy" or (site.family == "flask" and site.name == "execute"):
        yield from _of_session(site)
    elif site.name == "append" and isinstance(site.receiver, ast.Attribute):
        yield from _appended(site)


def _of_session(site: Site) -> Iterator[Touch]:
    if site.name == "merge":
        yield _merged(site)
    elif site.name == "delete":
        yield site.touch("orm", "session.delete", repeatable=True, why="A second delete finds nothing.")
    elif site.name in _BULK:
        yield site.touch(
            "orm",
            f"session.{site.name}",
            repeatable=False,
            short="inserts rows in bulk, with no upsert",
            why="Each repetition adds the rows again.",
            fix=_FIX,
        )
    elif site.name == "bulk_update_mappings":
        yield site.touch("orm", "session.bulk_update_mappings", repeatable=True, why="It sets values by key.")
    elif site.name in _RUNS and (statement := site.argument(0, "statement")) is not None:
        yield from _statement(site, chain_of(statement, site.scope))


def _added(site: Site) -> Iterator[Touch]:
    argument = site.argument(0, "instance", "instances")
    if argument is None or (site.kind and site.family != "alchemy"):
        return
    values = argument.elts if isinstance(argument, ast.List | ast.Tuple) else [argument]
    for value in values:
        if isinstance(argument, ast.ListComp):
            value = argument.elt
        if kind_of(value, site.scope).startswith("row:"):
            continue  # it is known to the session: what was changed in it counts
        found = site.scope.follow(value)
        if isinstance(found.node, ast.ListComp):
            found = Valued(found.node.elt, found.scope)
        if not isinstance(found.node, ast.Call):
            if site.family == "alchemy" and site.name == "add":
                yield site.touch(
                    "orm",
                    "session.add",
                    repeatable=None,
                    short="adds an object whose origin cannot be seen",
                    why="Whether it is new cannot be told.",
                    fix=_FIX,
                    confidence=Confidence.POSSIBLE,
                )
            elif site.family == "alchemy":
                yield _inserted(site, "", found)
            continue
        name = _class_of(found)
        if site.family == "alchemy" or (not site.kind and _is_mapped(found)):
            yield _inserted(site, name, found)


def _inserted(site: Site, name: str, made: Valued) -> Touch:
    what = f"session.add({name})" if name else "session.add_all"
    certain = Confidence.CERTAIN if site.family == "alchemy" else Confidence.LIKELY
    for column, value in _given(made):
        if is_key(value.node, value.scope) or (KEY_NAME.search(column) and not is_unstable(value.node, value.scope)):
            why = "It stores the idempotency key, by which the database refuses a second row."
            return site.touch("orm", what, repeatable=True, resource=name, why=why, confidence=certain)
    return site.touch(
        "orm",
        what,
        repeatable=False,
        resource=name,
        short=f"adds a new {name or 'row'}, not an upsert",
        why="Each repetition adds a row, or fails on the one that is there.",
        fix=_FIX,
        confidence=certain,
    )


def _given(made: Valued) -> Iterator[tuple[str, Valued]]:
    for keyword in made.node.keywords if isinstance(made.node, ast.Call) else ():
        if keyword.arg is not None:
            yield keyword.arg, Valued(keyword.value, made.scope)
        else:
            yield from ((name, value) for name, value in entries(keyword.value, made.scope) if value is not None)


def _class_of(made: Valued) -> str:
    func = made.node.func if isinstance(made.node, ast.Call) else None
    while isinstance(func, ast.Attribute) and func.attr in ("model_validate", "from_orm", "parse_obj"):
        func = func.value
    return func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""


def _is_mapped(made: Valued) -> bool:
    """Tell whether an object is of a class with a table."""
    func = made.node.func if isinstance(made.node, ast.Call) else None
    return func is not None and row_kind(made.scope.dotted(func), made.scope) == "row:alchemy"


def _merged(site: Site) -> Touch:
    found = site.scope.follow(site.call.args[0]) if site.call.args else None
    name = _class_of(found) if found is not None else ""
    what = f"session.merge({name})"
    for column, value in _given(found) if found is not None else ():
        if column in ("id", "pk", "uuid", "key") and is_unstable(value.node, value.scope):
            return site.touch(
                "orm",
                what,
                repeatable=False,
                resource=name,
                short=f"merges under a new {column} each time",
                why=f"{column} is another one in each repetition, so it never meets the row that is there.",
                fix="Make it from the arguments of the call.",
            )
        if grows(value, name, column):
            return site.touch(
                "orm",
                what,
                repeatable=False,
                resource=name,
                short=f"writes back a {column} that it computed",
                why="A repetition reads the new value and computes from that.",
                fix=_FIX,
                confidence=Confidence.LIKELY,
            )
    return site.touch("orm", what, repeatable=True, resource=name, why="A merge is an upsert by primary key.")


def _appended(site: Site) -> Iterator[Touch]:
    """`order.lines.append(Line(...))` on an object that came from the session adds a row."""
    assert isinstance(site.receiver, ast.Attribute)
    if kind_of(site.receiver.value, site.scope) == "row:alchemy":
        yield site.touch(
            "orm",
            f"{ast.unparse(site.receiver)}.append",
            repeatable=False,
            resource=site.receiver.attr,
            short=f"appends to {site.receiver.attr}",
            why="Each repetition adds one more.",
            fix=_FIX,
            confidence=Confidence.LIKELY,
        )


def _of_query(site: Site) -> Iterator[Touch]:
    chain = chain_of(site.call, site.scope)
    name = chain.subject
    if site.name == "update":
        values = site.argument(0, "values")
        sets = [Column(name, value) for name, value in column_entries(values, site.scope)] if values else []
        yield judge_columns(site, f"query({name}).update", name, sets, chain.compares())
    elif site.name == "delete":
        yield site.touch(
            "orm", f"query({name}).delete", repeatable=True, resource=name, why="A second delete finds nothing."
        )


def _statement(site: Site, chain: Chain) -> Iterator[Touch]:
    match chain.root:
        case "insert":
            yield _insert(site, chain)
        case "update":
            sets = [Column(name, value) for name, value in chain.values()]
            yield judge_columns(site, f"update({chain.subject})", chain.subject, sets, chain.compares())
        case "delete":
            yield site.touch(
                "orm",
                f"delete({chain.subject})",
                repeatable=True,
                resource=chain.subject,
                why="A second delete finds nothing.",
            )
        case "select":
            yield site.touch(
                "orm",
                f"select({chain.subject})",
                writes=False,
                repeatable=True,
                resource=chain.subject,
                why="It only reads.",
            )


def _insert(site: Site, chain: Chain) -> Touch:
    what, name = f"insert({chain.subject})", chain.subject
    values = list(chain.values())
    if any(is_key(value.node, value.scope) for _, value in values):
        return site.touch("orm", what, repeatable=True, resource=name, why="It stores the idempotency key.")
    if chain.has("on_conflict_do_nothing") or any(
        "IGNORE" in ast.unparse(call).upper() or "REPLACE" in ast.unparse(call).upper()
        for call in chain.calls("prefix_with")
    ):
        return _under_its_key(site, what, name, values)
    sets = [Column(column, value) for column, value in chain.conflict_sets()]
    if chain.has("on_conflict_do_update") or chain.has("on_duplicate_key_update"):
        touch = judge_columns(site, what, name, sets, [])
        return touch if touch.repeatable is False else _under_its_key(site, what, name, values)
    return site.touch(
        "orm",
        what,
        repeatable=False,
        resource=name,
        short="uses insert(), not an upsert",
        why="Each repetition adds a row, or fails on the one that is there.",
        fix=_FIX,
    )


def _under_its_key(site: Site, what: str, name: str, values: list[tuple[str, Valued]]) -> Touch:
    for column, value in values:
        if column in ("id", "uuid", "key") and is_unstable(value.node, value.scope):
            return site.touch(
                "orm",
                what,
                repeatable=False,
                resource=name,
                short=f"upserts under a new {column} each time",
                why=f"{column} is another one in each repetition, so it never meets the row that is there.",
                fix="Make it from the arguments of the call.",
            )
    return site.touch("orm", what, repeatable=True, resource=name, why="It is an upsert.")


def changes(site: Site) -> Iterator[Touch]:
    """Tell what an assignment to an attribute of an object from the database does."""
    match site.node:
        case ast.AugAssign(target=ast.Attribute(value=owner, attr=attr), value=value):
            relative = True
        case ast.Assign(targets=[ast.Attribute(value=owner, attr=attr)], value=value):
            relative = False
        case ast.Call(func=ast.Name(id="setattr"), args=[owner, ast.Constant(value=str(attr)), value]):
            relative = False
        case _:
            return
    row = _row(site, owner)
    if row is None:
        return
    subject = _subject_of(row)
    column = Column(attr, Valued(value, site.scope), adds=relative, owner=ast.unparse(owner))
    yield judge_columns(site, f"{subject or ast.unparse(owner)}.{attr} =", subject, [column], [])


def _row(site: Site, owner: ast.expr) -> Valued | None:
    """Find where a row of the database comes from; where it was read or else made anew, what was read counts."""
    ways = [Valued(owner, site.scope)]
    if isinstance(owner, ast.Name):
        earlier = [each for each in site.scope.bindings(owner.id) if each.how == "is"]
        ways += [Valued(each.value, site.scope) for each in earlier if each.line < owner.lineno]
    return next((each for each in ways if kind_of(each.node, each.scope).startswith("row:")), None)


def _subject_of(row: Valued) -> str:
    found = row.scope.follow(row.node)
    names = [node.id for node in ast.walk(found.node) if isinstance(node, ast.Name) and node.id[:1].isupper()]
    return names[0] if names else ""
