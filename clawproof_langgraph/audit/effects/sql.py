"""SQL in tools: which call is given which statements, and whether doing them twice is as good as once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clawproof_langgraph.audit.effects.keys import KEY_NAME, is_key, is_unstable
from clawproof_langgraph.audit.effects.parameters import Parameters, parameters_of
from clawproof_langgraph.audit.effects.readings import is_computed_from
from clawproof_langgraph.audit.effects.sites import Site, callee
from clawproof_langgraph.audit.effects.statement import Statement, Term
from clawproof_langgraph.audit.effects.statements import HOLE, is_sql, statements
from clawproof_langgraph.audit.effects.text import Text, text_of
from clawproof_langgraph.audit.effects.touches import Touch
from clawproof_langgraph.audit.findings import Confidence

_METHODS: Final = frozenset(
    {"execute", "executemany", "executescript", "exec_driver_sql", "fetch", "fetchrow", "fetchval", "fetch_all",
     "fetch_one",
     "fetch_val", "execute_fetchall", "execute_insert", "scalar", "scalars", "exec", "run", "query", "raw",
     "execute_sql",
     "execute_batch", "execute_values", "read_sql", "run_sql", "stream", "sql", "copy_expert", "execute_many"}
)  # fmt: skip
_DIALECTS: Final = {
    "sqlite3": "sqlite", "aiosqlite": "sqlite", "psycopg": "postgres", "psycopg2": "postgres", "asyncpg": "postgres",
    "psycopg_pool": "postgres", "pymysql": "mysql", "MySQLdb": "mysql", "aiomysql": "mysql", "mysql": "mysql",
    "oracledb": "oracle", "cx_Oracle": "oracle", "pyodbc": "tsql", "pymssql": "tsql", "duckdb": "duckdb",
}  # fmt: skip
_FAMILIES: Final = ("sql", "alchemy", "engine", "flask")


_TIMES: Final = re.compile(r"(_at|_on|time|date|stamp|^ts)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a statement may be made twice, and what is said of it."""

    repeatable: bool | None
    short: str = ""
    why: str = ""
    fix: str = ""
    sure: bool = True


def touches(site: Site) -> Iterator[Touch]:
    """Tell what the SQL that a call is given does."""
    if site.name == "callproc":
        yield from _procedure(site)
        return
    if site.name not in _METHODS:
        return
    text, position = _text(site)
    if text is None or callee(site.call.func, site.scope) is not None:
        return  # a function of the project counts by what is in it
    confidence = _confidence(site, text)
    given = parameters_of(site, position)
    for statement in statements(_filled(text), _dialect(site)):
        yield from _touch(site, statement, given, confidence)


def statements_at(site: Site) -> tuple[Statement, ...]:
    """Give the statements that a call is given."""
    if site.name not in _METHODS:
        return ()
    text, _ = _text(site)
    return statements(_filled(text), _dialect(site)) if text is not None else ()


def _text(site: Site) -> tuple[Text | None, int]:
    """Find the argument that is SQL, and its position: `execute_batch(cursor, sql, rows)` has it second."""
    for position in (0, 1):
        argument = site.argument(position, *(("sql", "query", "statement", "operation") if position == 0 else ()))
        if argument is None:
            continue
        text = text_of(argument, site.scope)
        first = text.parts[0] if text.parts else ""
        if isinstance(first, str) and is_sql(text.filled(HOLE)):
            return text, position
    return None, 0


def _filled(text: Text) -> str:
    parts: list[str] = []
    for number, part in enumerate(text.parts):
        parts.append(part if isinstance(part, str) else f"{HOLE}{number}")
    return "".join(parts)


def _confidence(site: Site, text: Text) -> Confidence:
    if site.family not in _FAMILIES and not site.dotted.startswith(("pandas.", "psycopg2.")):
        return Confidence.LIKELY
    return Confidence.CERTAIN if text.is_known else Confidence.LIKELY


def _dialect(site: Site) -> str:
    if site.family == "sql" and site.detail:
        return site.detail
    roots = {name.partition(".")[0] for name in site.scope.module.imports.values()}
    found = {_DIALECTS[root] for root in roots if root in _DIALECTS}
    return found.pop() if len(found) == 1 else ""


def _procedure(site: Site) -> Iterator[Touch]:
    name = text_of(site.argument(0), site.scope).filled() if site.argument(0) is not None else ""  # type: ignore[arg-type]
    yield site.touch(
        "sql",
        f"CALL {name}",
        repeatable=None,
        resource=name,
        short=f"calls the procedure {name}",
        confidence=Confidence.POSSIBLE,
        why="What a stored procedure does is not in this source.",
        fix="Give the tool a business key, or make the procedure an upsert.",
    )


def _touch(site: Site, statement: Statement, given: Parameters, confidence: Confidence) -> Iterator[Touch]:
    if statement.verb == "other":
        return
    table = "" if statement.table.startswith(HOLE) else statement.table
    what = f"{_WHAT.get(statement.verb, statement.words)} {table}".strip()
    if statement.verb in ("select", "lock"):
        yield site.touch(
            "sql", what, writes=False, repeatable=True, resource=table, why="It only reads.", confidence=confidence
        )
        return
    verdict = _judge(site, statement, given)
    if not (verdict.sure and statement.parsed):
        confidence = min(confidence, Confidence.LIKELY, key=list(Confidence).index)
    if verdict.repeatable is None:
        confidence = Confidence.POSSIBLE
    yield site.touch(
        "sql",
        what,
        repeatable=verdict.repeatable,
        short=verdict.short,
        why=verdict.why,
        fix=verdict.fix,
        resource=table,
        confidence=confidence,
    )


_WHAT: Final = {
    "insert": "INSERT INTO", "update": "UPDATE", "delete": "DELETE FROM", "merge": "MERGE INTO",
    "select": "SELECT FROM",
    "lock": "LOCK", "load": "COPY INTO", "call": "CALL",
}  # fmt: skip


def _judge(site: Site, statement: Statement, given: Parameters) -> Verdict:
    match statement.verb:
        case "insert" | "merge":
            return _insert(site, statement, given)
        case "update":
            return _update(site, statement, given)
        case "delete":
            if statement.picks:
                return Verdict(False, "uses DELETE ... LIMIT", "Each repetition deletes other rows.", "Delete by key.")
            return Verdict(True, why="A second DELETE of the same rows finds none.")
        case "ddl":
            if statement.exists:
                return Verdict(True, why="It says IF [NOT] EXISTS.")
            return Verdict(
                False, f"uses {statement.words} without IF [NOT] EXISTS", "A repetition fails.", "Say IF [NOT] EXISTS."
            )
        case "load":
            return Verdict(
                False,
                "uses COPY, not UPSERT",
                "Each repetition adds the rows again.",
                "Load into a staging table, then upsert.",
            )
        case _:
            return Verdict(
                None, f"calls {statement.table or 'a procedure'}", "What a stored procedure does is not in this source."
            )


_UPSERT_FIX: Final = (
    "Write INSERT ... ON CONFLICT ... DO UPDATE or DO NOTHING on a business key, "
    "or put the write into effects.sql.once(...)."
)


def _insert(site: Site, statement: Statement, given: Parameters) -> Verdict:
    if any(_has_key(site, column, term, given) for column, term in statement.values):
        return Verdict(True, why="It stores the idempotency key, by which the database refuses a second row.")
    if statement.guarded:
        return Verdict(True, why="It inserts only WHERE NOT EXISTS.")
    if not statement.upsert:
        return Verdict(
            False,
            "uses INSERT, not UPSERT",
            "Each repetition adds a row, or fails on the one that is there.",
            _UPSERT_FIX,
        )
    if (bad := next((each for each in statement.sets if each.change == "relative"), None)) is not None:
        return Verdict(
            False,
            f"adds to {bad.column} in its UPSERT",
            f"Each repetition changes {bad.column} again.",
            "Set the new value itself, or put the write into effects.sql.once(...).",
        )
    if (column := _new_each_time(statement, given)) is not None:
        return Verdict(
            False,
            f"upserts under a new {column} each time",
            f"{column} is another one in each repetition, so it never meets the row that is there.",
            "Make it from the arguments of the call, or use its idempotency key.",
        )
    return Verdict(True, why="It is an upsert.")


def _new_each_time(statement: Statement, given: Parameters) -> str | None:
    """Find the key of an upsert that is another one each time: a column of its conflict, else the first one."""
    for number, (column, term) in enumerate(statement.values):
        is_key_column = column in statement.on_columns if statement.on_columns else number == 0
        if not is_key_column or _TIMES.search(column):
            continue
        if term.by_chance or any(is_unstable(value.node, value.scope) for value in given.of(term.marks)):
            return column or "key"
    return None


def _has_key(site: Site, column: str, term: Term, given: Parameters) -> bool:
    for value in given.of(term.marks):
        if is_key(value.node, value.scope):
            return True
        if KEY_NAME.search(column) and not is_unstable(value.node, value.scope):
            return True
    return False


def _update(site: Site, statement: Statement, given: Parameters) -> Verdict:
    if statement.picks:
        return Verdict(
            False,
            "updates rows that LIMIT picks",
            "Each repetition picks other rows.",
            "Choose the rows by key, or put the write into effects.sql.once(...).",
        )
    if any(_has_key(site, each.column, each.term, given) for each in statement.sets):
        return Verdict(True, why="It stores the idempotency key, and its condition can tell a repetition.")
    relative = next((each for each in statement.sets if each.change == "relative"), None)
    computed = relative or next(
        (each for each in statement.sets if _is_computed(site, statement, each.column, each.term, given)), None
    )
    if computed is None:
        return Verdict(True, why="It sets values that do not depend on the old ones.")
    if statement.guarded:
        return Verdict(True, why="Its condition asks that a row of its own is not there yet.", sure=False)
    if _has_passed(statement):
        return Verdict(True, why="Its condition no longer holds once it was made.")
    compared = _compared(statement, computed.column)
    if compared is not None:
        values = given.of(compared.marks)
        if not any(_is_read(site, value.node, statement) for value in values):
            return Verdict(True, why="It is a compare-and-set with a value from the call.")
    if relative is not None:
        return Verdict(
            False,
            f"changes {relative.column} relative to its old value",
            f"Each repetition changes {relative.column} again.",
            "Set the new value itself under a lock, or put the write into effects.sql.once(...).",
        )
    return Verdict(
        False,
        f"writes back a {computed.column} that it computed from what it read",
        f"A repetition reads the new {computed.column} and computes from that.",
        "Put the write into effects.sql.once(...), or store the idempotency key with it.",
        sure=False,
    )


def _is_computed(site: Site, statement: Statement, column: str, term: Term, given: Parameters) -> bool:
    return any(is_computed_from(value, statement.table, column) for value in given.of(term.marks))


def _is_read(site: Site, node: ast.expr, statement: Statement) -> bool:
    from clawproof_langgraph.audit.effects.readings import is_read_from
    from clawproof_langgraph.audit.effects.scopes import Valued

    return is_read_from(Valued(node, site.scope), statement.table)


def _has_passed(statement: Statement) -> bool:
    """Tell whether what an UPDATE sets makes its own condition false: SET paid = 1 ... WHERE paid = 0."""
    for each in statement.sets:
        if each.change != "absolute":
            continue
        for compare in statement.compares:
            if compare.column.lower() != each.column.lower():
                continue
            old, new = compare.term.literal, each.term.literal
            if compare.operator == "eq" and old is not None and new is not None and old != new:
                return True
            if compare.operator in ("is", "eq") and (old or "").upper() in ("NULL", "FALSE") and new != old:
                return True
            if compare.operator in ("neq", "not is", "not eq", "nullsafeneq") and compare.term.text == each.term.text:
                return True
    return False


def _compared(statement: Statement, column: str) -> Term | None:
    """Find the old value, or the version, with which an UPDATE compares."""
    counters = {each.column.lower() for each in statement.sets if each.change == "counter"} | {column.lower()}
    for compare in statement.compares:
        if compare.operator in ("eq", "is") and compare.column.lower() in counters and compare.term.marks:
            return compare.term
    return None
