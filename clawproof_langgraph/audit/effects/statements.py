"""What one SQL statement does, as its text tells. Parsed with sqlglot, which is imported when the first one is met."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from sqlglot import exp

Verb = Literal["insert", "update", "delete", "merge", "select", "ddl", "call", "lock", "load", "other"]
Change = Literal["absolute", "relative", "counter"]
"""How a column is set: to a value, from its own old value, or as a counter of versions."""

HOLE: Final = "hole_"
"""What stands for an unknown part of a text, with a number behind it."""

_TOKENS: Final = re.compile(
    r"(?P<kept>'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|::|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|:=|%%)"
    r"|(?P<mark>%\((?P<percent>\w+)\)s|%s|\?(?![|&?])|(?<![\w:]):(?P<colon>[A-Za-z_]\w*)|\$(?P<number>\d+))"
    r"|(?P<end>;)",
    re.DOTALL,
)
_FIRST: Final = re.compile(r"\s*(?:(?:--[^\n]*\n|/\*.*?\*/|\()\s*)*([A-Za-z]+)", re.DOTALL)
_VERBS: Final[dict[str, Verb]] = {
    "insert": "insert", "replace": "insert", "upsert": "insert", "update": "update", "delete": "delete",
    "merge": "merge",
    "select": "select", "values": "select", "table": "select", "show": "select", "describe": "select",
    "explain": "select",
    "create": "ddl", "drop": "ddl", "alter": "ddl", "truncate": "ddl", "call": "call", "exec": "call",
    "execute": "call",
    "lock": "lock", "copy": "load", "load": "load", "with": "other", "begin": "other", "commit": "other",
    "rollback": "other",
    "savepoint": "other", "release": "other", "pragma": "other", "set": "other", "vacuum": "other", "notify": "other",
    "listen": "other", "analyze": "other", "grant": "other", "use": "other", "declare": "other", "start": "other",
    "if": "other", "attach": "other", "reindex": "other", "do": "call", "refresh": "other",
}  # fmt: skip
_COUNTERS: Final = re.compile(
    r"(^|_)(version|revision|rev|lock_version|etag|row_version|generation|attempts?)$", re.IGNORECASE
)
_KEEPING: Final = ("COALESCE", "IFNULL", "NVL", "GREATEST", "LEAST", "MAX", "MIN", "LOWER", "UPPER", "TRIM", "ISNULL")
_CHANCE: Final = re.compile(
    r"\b(gen_random_uuid|uuid_generate_v\d\w*|uuidv\d|uuid|newid|random|randomblob|rand|now|sysdate|"
    r"current_timestamp|clock_timestamp|nextval)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Term:
    """A value in a statement.

    Args:
        marks: the placeholders in it.
        literal: it as a text, where it is a literal.
        by_chance: whether it is another one each time.
        text: as it is written.
    """

    marks: tuple[str, ...] = ()
    literal: str | None = None
    by_chance: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Compare:
    """A column that a condition compares with a value."""

    column: str
    operator: str
    term: Term


@dataclass(frozen=True, slots=True)
class Assigned:
    """A column that an UPDATE, or the DO UPDATE of an INSERT, sets."""

    column: str
    change: Change
    term: Term


@dataclass(frozen=True, slots=True)
class Statement:
    """What a statement does.

    Args:
        verb: which it is.
        table: what it changes.
        values: of an INSERT, the columns with what they get.
        upsert: of an INSERT, whether it says what to do when the row is there.
        on_columns: of an upsert, the columns that tell that it is there.
        guarded: of an INSERT or UPDATE, whether it asks for the absence of a row itself.
        sets: of an UPDATE, an upsert or a MERGE, what is set.
        compares: what the condition compares.
        picks: whether it chooses some rows out of many (LIMIT), others the next time.
        exists: of DDL, whether it says IF [NOT] EXISTS.
        locks: whether it takes locks that outlive the statement.
        words: its first words.
        parsed: whether sqlglot understood it.
    """

    verb: Verb
    table: str = ""
    values: tuple[tuple[str, Term], ...] = ()
    upsert: bool = False
    on_columns: tuple[str, ...] = ()
    guarded: bool = False
    sets: tuple[Assigned, ...] = ()
    compares: tuple[Compare, ...] = ()
    picks: bool = False
    exists: bool = False
    locks: bool = False
    words: str = ""
    parsed: bool = True


def is_sql(text: str) -> bool:
    """Tell whether a text begins like a statement."""
    match = _FIRST.match(text)
    return (
        match is not None
        and match[1].lower() in _VERBS
        and (" " in text.strip() or match[1].lower() in ("commit", "begin"))
    )


@lru_cache(maxsize=4096)
def statements(text: str, dialect: str) -> tuple[Statement, ...]:
    """Read the statements of a text.

    Args:
        text: the SQL; unknown parts are identifiers that begin with `HOLE`.
        dialect: as sqlglot names it; empty where it is not known.
    """
    return tuple(_read(part, dialect) for part in _split(text))


def _split(text: str) -> Iterator[str]:
    """Split a script, with each placeholder replaced by one that every dialect reads: `:p0`, or `:n_name`."""
    parts: list[str] = []
    at = count = 0
    for match in _TOKENS.finditer(text):
        parts.append(text[at : match.start()])
        at = match.end()
        if match["end"]:
            yield "".join(parts)
            parts = []
        elif match["mark"]:
            name = match["percent"] or match["colon"]
            number = int(match["number"]) - 1 if match["number"] else count
            parts.append(f":n_{name}" if name else f":p{number}")
            count += not name
        elif not match["kept"].startswith(("--", "/*")):
            parts.append("%" if match["kept"] == "%%" else match["kept"])
    yield "".join([*parts, text[at:]])


def _read(text: str, dialect: str) -> Statement:
    match = _FIRST.match(text)
    word = match[1].lower() if match is not None else ""
    verb = _VERBS.get(word, "other")
    words = " ".join(text.split()[:3])
    if word == "if":
        return _guessed(text, verb)
    if verb in ("insert", "update", "delete", "merge") or word == "with":
        return _parsed(text, dialect, word) or _guessed(text, verb)
    if verb == "select":
        locking = re.search(
            r"\bFOR\s+(NO\s+KEY\s+)?(UPDATE|SHARE)\b|_advisory_(xact_)?lock|\bGET_LOCK\b", text, re.IGNORECASE
        )
        writing = re.search(r"\b(nextval|setval|dblink_exec)\s*\(", text, re.IGNORECASE)
        return Statement("call" if writing else "select", _table_after(text, "FROM"), locks=bool(locking), words=words)
    if verb == "ddl":
        exists = (
            bool(re.search(r"\bIF\s+(NOT\s+)?EXISTS\b|\bOR\s+REPLACE\b", text, re.IGNORECASE)) or word == "truncate"
        )
        return Statement("ddl", _table_after(text, "TABLE|INDEX|VIEW|TRUNCATE"), exists=exists, words=words)
    if verb == "load" and re.search(r"\bTO\b", text, re.IGNORECASE) and not re.search(r"\bFROM\b", text, re.IGNORECASE):
        verb = "select"
    return Statement(verb, _table_after(text, "CALL|EXECUTE|EXEC|COPY|TABLE"), locks=verb == "lock", words=words)


def _table_after(text: str, words: str) -> str:
    match = re.search(
        rf"\b(?:{words})\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+|INTO\s+|ONLY\s+)?([\w.\"`\[\]]+)", text, re.IGNORECASE
    )
    return match[1].strip('"`[]') if match is not None else ""


def _parsed(text: str, dialect: str, word: str) -> Statement | None:
    import sqlglot
    from sqlglot.errors import SqlglotError

    replaces = word in ("replace", "upsert")
    if replaces:
        text = re.sub(r"(?i)^\s*(replace|upsert)(\s+into)?", "INSERT INTO", text, count=1)
    for name in _dialects(text, dialect):
        try:
            tree = sqlglot.parse_one(text, dialect=name or None)
        except (SqlglotError, RecursionError, ValueError, IndexError, KeyError, AttributeError, TypeError):
            continue
        found = _of_tree(tree, text)
        if found is not None:
            return _as_upsert(found) if replaces else found
    return None


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
                sets=_sets(tree.expressions),
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
    sets = _sets(conflict.expressions) if isinstance(conflict, exp.Expression) else ()
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
        sets += _sets(update.expressions)
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


def _sets(expressions: list[exp.Expression]) -> tuple[Assigned, ...]:
    from sqlglot import exp

    found: list[Assigned] = []
    for each in expressions:
        if isinstance(each, exp.EQ):
            column = each.this.name if isinstance(each.this, exp.Column) else ""
            names = [column] if column else [inner.name for inner in each.this.find_all(exp.Column)]
            found += [Assigned(name, _change(name, each.expression), _term(each.expression)) for name in names]
    return tuple(found)


def _change(column: str, value: exp.Expression) -> Change:
    from sqlglot import exp

    for mention in value.find_all(exp.Column):
        if mention.name.lower() != column.lower() or mention.table.lower() in ("excluded", "new", "src", "source", "s"):
            continue
        if isinstance(mention.find_ancestor(exp.Subquery), exp.Subquery):
            continue
        if _only_kept(mention, value):
            continue
        return "counter" if _COUNTERS.search(column) else "relative"
    return "absolute"


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


def _guessed(text: str, verb: Verb) -> Statement:
    """Judge a text that no dialect reads by its words."""
    upper = " ".join(text.upper().split())
    words = " ".join(text.split()[:3])
    table = _table_after(text, "INSERT|INTO|UPDATE|FROM|MERGE")
    if verb == "insert" or (verb == "other" and "INSERT INTO" in upper):
        upsert = any(
            each in upper
            for each in (
                "ON CONFLICT",
                "ON DUPLICATE KEY",
                "INSERT OR IGNORE",
                "INSERT OR REPLACE",
                "INSERT IGNORE",
                "REPLACE INTO",
                "MERGE INTO",
            )
        )
        relative = re.search(
            r"DO UPDATE SET .*?\b(\w+) = (?:\w+\.)?\1 [-+*|]|DUPLICATE KEY UPDATE .*?\b(\w+) = \2 [-+*|]", upper
        )
        sets = (Assigned(relative[1] or relative[2] or "", "relative", Term()),) if relative is not None else ()
        return Statement(
            "insert",
            table,
            upsert=upsert,
            guarded="NOT EXISTS" in upper or upper.startswith("IF EXISTS"),
            sets=sets,
            words=words,
            parsed=False,
        )
    relative = re.search(r"\b(\w+) = (?:\w+\.)?\1 ?(?:[-+*/]|\|\|)", upper)
    if verb == "update" and relative is not None:
        column = relative[1].lower()
        change: Change = "counter" if _COUNTERS.search(column) else "relative"
        return Statement("update", table, sets=(Assigned(column, change, Term()),), words=words, parsed=False)
    return Statement(verb, table, words=words, parsed=False)
