"""Statements as sqlglot reads them. It is imported when the first one is met: that takes longer than all else."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from clawproof_langgraph.audit.effects.statement import COUNTERS, HOLE, Assigned, Change, Compare, Statement, Term

if TYPE_CHECKING:
    from sqlglot import exp

_KEEPING: Final = ("COALESCE", "IFNULL", "NVL", "GREATEST", "LEAST", "MAX", "MIN", "LOWER", "UPPER", "TRIM", "ISNULL")
_SOURCES: Final = frozenset({"excluded", "new", "src", "source"})
"""Usual names of what rows come from; they are asked where the name of the table that is changed is not known."""

_CHANCE: Final = re.compile(
    r"\b(gen_random_uuid|uuid_generate_v\d\w*|uuidv\d|uuid|newid|random|randomblob|rand|now|sysdate|"
    r"current_timestamp|clock_timestamp|nextval)\b",
    re.IGNORECASE,
)


def parsed(text: str, dialect: str, word: str) -> Statement | None:
    """Read a statement; None where no dialect does.

    Args:
        text: the SQL, with placeholders that every dialect reads.
        dialect: the one to try first; empty where it is not known.
        word: its first word, in lower case.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    replaces = word in ("replace", "upsert")
    if replaces:
        text = re.sub(r"(?i)^\s*(replace|upsert)(\s+into)?", "INSERT INTO", text, count=1)
    for name in _dialects(text, dialect):
        try:
            with _quiet():
                found = _of_tree(sqlglot.parse_one(text, dialect=name or None), text)
        except (SqlglotError, RecursionError, ValueError, IndexError, KeyError, AttributeError, TypeError):
            continue
        if found is not None:
            return _as_upsert(found) if replaces else found
    return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep sqlglot from warning of what it does not know: another dialect may."""
    logger = logging.getLogger("sqlglot")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _as_upsert(found: Statement) -> Statement:
    return Statement("insert", found.table, found.values, upsert=True, words="REPLACE INTO")


def _dialects(text: str, dialect: str) -> list[str]:
    upper = text.upper()
    guesses = [dialect] if dialect else []
    if "ON DUPLICATE" in upper or "INSERT IGNORE" in upper:
        guesses.append("mysql")
    if "INSERT OR " in upper:
        guesses.append("sqlite")
    return list(dict.fromkeys([*guesses, "postgres", "sqlite", "mysql", "oracle", "tsql"]))


def _of_tree(tree: object, text: str) -> Statement | None:
    from sqlglot import exp

    words = " ".join(text.split()[:3])
    match tree:
        case exp.Insert():
            return _insert(tree, words)
        case exp.Update():
            compares, picks = _condition(tree)
            where = tree.args.get("where")
            guarded = isinstance(where, exp.Where) and _asks_absence(where, of_rows=True)
            return Statement(
                "update",
                _table(tree.this),
                guarded=guarded,
                sets=_sets(tree.expressions, tree.this),
                compares=compares,
                picks=picks,
                words=words,
            )
        case exp.Delete():
            compares, picks = _condition(tree)
            return Statement("delete", _table(tree.this), compares=compares, picks=picks, words=words)
        case exp.Merge():
            return _merge(tree, words)
        case exp.Select():
            for written in tree.find_all(exp.Insert, exp.Update, exp.Delete):  # WITH moved AS (DELETE ... RETURNING *)
                return _of_tree(written, text)
            return Statement("select", locks=bool(tree.args.get("locks")), words=words)
        case _:
            return None


def _insert(tree: exp.Insert, words: str) -> Statement:
    from sqlglot import exp

    target = tree.this
    columns = [each.name for each in target.expressions] if isinstance(target, exp.Schema) else []
    conflict = tree.args.get("conflict")
    alternative = str(tree.args.get("alternative") or "").upper()
    upsert = bool(
        conflict or tree.args.get("ignore") or tree.args.get("overwrite") or alternative in ("IGNORE", "REPLACE")
    )
    sets = _sets(conflict.expressions, target) if isinstance(conflict, exp.Expression) else ()
    on = (
        tuple(each.name for each in (conflict.args.get("conflict_keys") or ()))
        if isinstance(conflict, exp.Expression)
        else ()
    )
    source = tree.args.get("expression")
    guarded = (
        isinstance(source, exp.Select) and (where := source.args.get("where")) is not None and _asks_absence(where)
    )
    return Statement("insert", _table(target), _values(columns, source), upsert, on, guarded, sets, words=words)


def _asks_absence(where: exp.Expression, *, of_rows: bool = False) -> bool:
    """Tell whether a condition asks that something is not there: NOT EXISTS, NOT IN, IS NULL after an outer join.

    Args:
        where: the condition.
        of_rows: to take only those that ask for rows of a query.
    """
    from sqlglot import exp

    for each in where.find_all(exp.Exists, exp.In):
        if isinstance(each.parent, exp.Not) and (not of_rows or isinstance(each, exp.Exists) or each.args.get("query")):
            return True
    return not of_rows and where.find(exp.Is) is not None


def _values(columns: list[str], source: object) -> tuple[tuple[str, Term], ...]:
    from sqlglot import exp

    rows: list[exp.Expression] = []
    if isinstance(source, exp.Values):
        rows = list(source.expressions)
    elif isinstance(source, exp.Select):
        rows = [exp.Tuple(expressions=source.expressions)]
    found: list[tuple[str, Term]] = []
    for row in rows:
        for number, value in enumerate(row.expressions):
            found.append((columns[number] if number < len(columns) else "", _term(value)))
    return tuple(found)


def _merge(tree: exp.Merge, words: str) -> Statement:
    from sqlglot import exp

    sets: tuple[Assigned, ...] = ()
    for update in tree.find_all(exp.Update):
        sets += _sets(update.expressions, tree.this)
    return Statement("merge", _table(tree.this), upsert=True, sets=sets, words=words)


def _table(node: object) -> str:
    from sqlglot import exp

    if isinstance(node, exp.Schema):
        node = node.this
    if not isinstance(node, exp.Expression):
        return ""
    table = node if isinstance(node, exp.Table) else node.find(exp.Table)
    if table is None:
        return ""
    return f"{table.db}.{table.name}" if table.db else table.name


def _sets(expressions: list[exp.Expression], target: object) -> tuple[Assigned, ...]:
    """Read what is set, where `target` is the table that is changed, with its alias."""
    from sqlglot import exp

    own = _names_of(target)
    found: list[Assigned] = []
    for each in expressions:
        if isinstance(each, exp.EQ):
            for column in each.this.find_all(exp.Column):
                change = _change(column.name, each.expression, own | {column.table.lower()})
                found.append(Assigned(column.name, change, _term(each.expression)))
    return tuple(found)


def _names_of(target: object) -> frozenset[str]:
    """Give the names by which a statement speaks of the table that it changes: none, and its alias or its name."""
    from sqlglot import exp

    table = target.find(exp.Table) if isinstance(target, exp.Expression) else None
    return frozenset({"", table.alias_or_name.lower()}) if table is not None else frozenset({""})


def _change(column: str, value: exp.Expression, own: frozenset[str]) -> Change:
    """Tell how a column of the table that has the names `own` is set."""
    from sqlglot import exp

    for mention in value.find_all(exp.Column):
        if mention.name.lower() != column.lower() or not _is_own(mention.table.lower(), own):
            continue
        if isinstance(mention.find_ancestor(exp.Subquery), exp.Subquery):
            continue
        if _only_kept(mention, value):
            continue
        return "counter" if COUNTERS.search(column) else "relative"
    return "absolute"


def _takes_extreme(tree: exp.Expression, where: exp.Expression) -> bool:
    """Tell whether a statement changes the first or the last of its rows, so that the next time it is another one.

    Such as DELETE ... WHERE id = (SELECT MAX(id) FROM the same table). An UPDATE has to take its row out of those that
    the query chooses from.
    """
    from sqlglot import exp

    set_here = {
        column.name.lower() for each in tree.expressions if isinstance(each, exp.EQ) for column in _columns(each)
    }
    for extreme in where.find_all(exp.Max, exp.Min):
        query = extreme.find_ancestor(exp.Select)
        around = query.find_ancestor(exp.EQ, exp.In) if query is not None else None
        if query is None or around is None or isinstance(around.parent, exp.Not) or not _is_from(query, tree):
            continue
        asked = query.args.get("where")
        asks_for = {each.name.lower() for each in asked.find_all(exp.Column)} if asked is not None else set()
        if isinstance(tree, exp.Delete) or set_here & asks_for:
            return True
    return False


def _columns(assigned: exp.Expression) -> Iterator[exp.Column]:
    from sqlglot import exp

    return assigned.this.find_all(exp.Column)  # type: ignore[no-any-return]


def _is_from(query: exp.Select, tree: exp.Expression) -> bool:
    """Tell whether a query chooses from the table that a statement changes."""
    from sqlglot import exp

    changed = _table(tree.this)
    return any(_table(each) == changed for each in query.find_all(exp.Table))


def _is_own(table: str, own: frozenset[str]) -> bool:
    """Tell whether a name may be one of the table that is changed: one that is not known may."""
    if table in own or table.startswith(HOLE):
        return True
    return any(name.startswith(HOLE) for name in own) and table not in _SOURCES


def _only_kept(mention: exp.Expression, value: exp.Expression) -> bool:
    """Tell whether a mention only keeps the old value, or the larger one: COALESCE(n, ?)."""
    from sqlglot import exp

    node: Any = mention
    while node is not value and node is not None:
        node = node.parent
        if isinstance(node, exp.Values | exp.Case | exp.If) and not isinstance(mention.parent, exp.Binary):
            return True
        if isinstance(node, exp.Binary | exp.Neg | exp.Not) and not isinstance(node, exp.Condition | exp.Predicate):
            return False
        if isinstance(node, exp.Binary) and not isinstance(node, exp.Predicate):
            return False
        if isinstance(node, exp.Not):
            return False
        if (
            isinstance(node, exp.Func)
            and node.sql_name() not in _KEEPING
            and str(getattr(node, "name", "")).upper() not in (*_KEEPING, "VALUES")
        ):
            return False
    return True


def _term(value: exp.Expression) -> Term:
    from sqlglot import exp

    marks = tuple(str(each.name) for each in value.find_all(exp.Placeholder))
    literal = value.sql() if isinstance(value, exp.Literal | exp.Null | exp.Boolean | exp.Neg) else None
    text = value.sql()
    return Term(marks, literal, literal is None and bool(_CHANCE.search(text)), text)


def _condition(tree: exp.Expression) -> tuple[tuple[Compare, ...], bool]:
    from sqlglot import exp

    where = tree.args.get("where")
    picks = tree.args.get("limit") is not None or (where is not None and where.find(exp.Limit, exp.Fetch) is not None)
    picks = picks or (isinstance(where, exp.Expression) and _takes_extreme(tree, where))
    found: list[Compare] = []
    if isinstance(where, exp.Expression):
        for each in where.find_all(
            exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.NullSafeNEQ, exp.NullSafeEQ
        ):
            value = each.args.get("expression")
            if isinstance(each.this, exp.Column) and isinstance(value, exp.Expression):
                negated = isinstance(each.parent, exp.Not)
                found.append(Compare(each.this.name, ("not " if negated else "") + each.key, _term(value)))
    return tuple(found), picks
